#include "events/wire/http_send.h"

#include <charconv>
#include <memory>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/log.h"
#include "base/time_text.h"
#include "events/wire/event_message.h"
#include "json/value.h"
#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

using http::Request;
using http::Response;

constexpr std::string_view kBatchType = "application/vnd.microsoft.servicebus.json";
constexpr std::size_t kBodyBytesMax = 1024 * 1024;  // as over AMQP
constexpr std::size_t kBatchEventsSentMax = 4096;

// Where the events of a request go, and the events.
struct Sending {
  LogName log;
  std::uint32_t partition = 0;
  std::vector<std::string> records;
};

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// JSON values as the AMQP types a .NET client would have sent.
void append_json(std::string& out, const json::Value& value) {
  if (value.is_bool()) return amqp::append_boolean(out, value.get_bool());
  if (json::is_string(value)) return amqp::append_string(out, json::view(value.get_string()));
  if (!json::is_number(value)) return amqp::append_string(out, json::write(value));
  if (const auto integer = json::to_int64(value)) return amqp::append_long(out, *integer);
  amqp::append_double(out, json::to_double(value));
}

std::string make_message(std::string_view body, const json::Value* properties) {
  std::string out;
  if (properties != nullptr && properties->is_object() && !properties->get_object().empty()) {
    amqp::MapSectionWriter map(out, amqp::SectionCode::application_properties);
    for (const auto& [name, value] : properties->get_object()) {
      map.string_key({name.data(), name.size()});
      append_json(out, value);
    }
    map.finish();
  }
  amqp::append_data_section(out, body);
  return out;
}

// {"PartitionKey": "k"}; the rest of Service Bus's properties means nothing here.
Result<std::string> partition_key(std::string_view header) {
  if (header.empty()) return std::string{};
  const auto properties = json::parse(header);
  if (!properties || !properties->is_object())
    return fail(Code::invalid_argument, "BrokerProperties is not a JSON object.");
  return json::get_string_or(*properties, "PartitionKey", "");
}

Result<std::vector<std::string>> messages_of(const Request& request) {
  std::vector<std::string> messages;
  if (!starts_with_ignoring_case(request.headers.get_or("Content-Type", ""), kBatchType)) {
    messages.push_back(make_message(request.body, nullptr));
    return messages;
  }
  const auto batch = json::parse(request.body);
  if (!batch || !batch->is_array() || batch->get_array().empty())
    return fail(Code::invalid_argument, "The batch is not a JSON array of events.");
  if (batch->get_array().size() > kBatchEventsSentMax)
    return fail(Code::too_large, "The batch has too many events.");
  for (const auto& item : batch->get_array()) {
    const auto body = json::find_string(item, "Body");
    if (!body) return fail(Code::invalid_argument, "An event of the batch has no Body.");
    messages.push_back(make_message(*body, json::find(item, "UserProperties")));
  }
  return messages;
}

int status_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::unsupported:
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::conflict:
      return 400;
    case Code::unauthenticated:
    case Code::forbidden:
      return 401;
    case Code::not_found:
      return 404;
    case Code::too_large:
      return 413;
    case Code::throttled:
    case Code::quota_exceeded:
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
      return 503;
    case Code::bad_gateway:
    case Code::internal:
      return 500;
  }
  return 500;
}

Response refuse(const Request& request, const Error& error) {
  const int status = status_of(error.code);
  log::info("events.send_refused",
            {{"tracking_id", request.tracking_id}, {"status", status}, {"reason", error.message}});
  // What a proof lacks is nothing the caller is told.
  const std::string text =
      status == 401 ? "The authorization header is missing, wrong or without the right to send."
                    : error.message;
  json::Object detail{{"Code", std::to_string(status)},
                      {"Detail", text + " TrackingId:" + request.tracking_id}};
  return Response::json(status, json::write(json::Object{{"Error", std::move(detail)}}));
}

class SendRoutes {
 public:
  SendRoutes(EventHubContext& context, BearerCheck bearer)
      : context_(context), bearer_(std::move(bearer)) {}

  Task<Response> send(Request request) {
    auto sending = read(request);
    if (!sending) co_return refuse(request, sending.error());
    store::WriteSet changes;
    const store::StreamName stream =
        stream_name({.log = sending->log, .index = sending->partition});
    for (auto& record : sending->records)
      changes.appends.push_back({.streams = stream, .record = std::move(record)});
    const auto committed = co_await context_.log.store().commit(std::move(changes));
    if (!committed) co_return refuse(request, committed.error());
    co_return Response::empty(201);
  }

 private:
  Result<HubView> authorize(const resources::Catalog& catalog, const Request& request) {
    const auto name = request.param("hub");
    auto last = fail(Code::unauthenticated, "no event hub of this name");
    for (const auto& hub : find_hubs(catalog, request.host(), name)) {
      std::string path(request.path);
      while (path.starts_with('/')) path.erase(0, 1);
      auto allowed = authorize_header(hub, bearer_, request.headers.get_or("Authorization", ""),
                                      path, amqp::ClaimRights::kSend, context_.clock.now());
      if (allowed) return hub;
      last = fail(std::move(allowed.error()));
    }
    return last;
  }

  Result<Sending> read(const Request& request) {
    const auto catalog = context_.catalog();
    const auto hub = authorize(*catalog, request);
    if (!hub) return fail(hub.error());
    if (request.body.size() > kBodyBytesMax)
      return fail(Code::too_large, "The events have more than 1 MiB.");
    const auto publisher = request.param("publisher");
    auto key = partition_key(request.headers.get_or("BrokerProperties", ""));
    if (!key) return fail(std::move(key.error()));
    if (!publisher.empty()) key = std::string(publisher);
    const auto partition = choose(*hub, request.param("partition"), *key);
    if (!partition) return fail(Code::not_found, "There is no such partition.");
    const auto messages = messages_of(request);
    if (!messages) return fail(messages.error());
    Sending sending{.log = hub->log(), .partition = *partition, .records = {}};
    for (const auto& message : *messages) sending.records.push_back(make_record(*key, message));
    return sending;
  }

  std::optional<std::uint32_t> choose(const HubView& hub, std::string_view asked,
                                      const std::string& key) {
    if (!asked.empty()) {
      const auto partition = number(asked);
      return partition && *partition < hub.partitions() ? partition : std::nullopt;
    }
    if (!key.empty()) return partition_of(key, hub.partitions());
    return context_.next_partition.fetch_add(1, std::memory_order_relaxed) % hub.partitions();
  }

  EventHubContext& context_;
  BearerCheck bearer_;
};

}  // namespace

void register_send_routes(http::Router& router, EventHubContext& context,
                          const BearerCheck& bearer) {
  const auto routes = std::make_shared<SendRoutes>(context, bearer);
  const auto send = [routes](Request request) { return routes->send(std::move(request)); };
  router.add("POST", "/{hub}/messages", send);
  router.add("POST", "/{hub}/partitions/{partition}/messages", send);
  router.add("POST", "/{hub}/publishers/{publisher}/messages", send);
}

}  // namespace doppel::events
