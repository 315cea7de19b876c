#include "hub/wire/http_device.h"

#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/metrics.h"
#include "errors/hub.h"
#include "hub/wire/http_errors.h"
#include "hub/wire/message_properties.h"
#include "json/value.h"
#include "security/sas.h"

namespace doppel::hub {
namespace {

using http::Request;
using http::Response;

constexpr std::string_view kBatchType = "application/vnd.microsoft.iothub.json";
constexpr std::size_t kBatchMessagesMax = 500;

struct Caller {
  HubName hub;
  DeviceGrant grant;
};

class Routes {
 public:
  explicit Routes(HubService& hubs) : hubs_(hubs) {}

  Task<Response> send(Request request) {
    auto caller = co_await authenticate(request);
    if (!caller) co_return refuse(request, caller.error());
    auto messages = read_messages(request, *caller);
    if (!messages) co_return error_response(messages.error(), request, now());
    // Each is a message of its own; all are durable before the answer.
    auto sent = co_await send_all(caller->hub, std::move(*messages));
    if (!sent) co_return error_response(sent.error(), request, now());
    co_return Response::empty(204);
  }

  Task<Response> receive(Request request) {
    auto caller = co_await authenticate(request);
    if (!caller) co_return refuse(request, caller.error());
    co_return Response::empty(204);
  }

  // A lock token that nobody handed out cannot be held.
  Task<Response> settle(Request request) {
    auto caller = co_await authenticate(request);
    if (!caller) co_return refuse(request, caller.error());
    co_return error_response(Error{.code = Code::precondition_failed,
                                   .message = std::string(errors::hub::kDeviceMessageLockLost.text),
                                   .service = &errors::hub::kDeviceMessageLockLost},
                             request, now());
  }

 private:
  TimePoint now() const { return hubs_.clock().now(); }

  Response refuse(const Request& request, const Error& error) const {
    // One answer for unknown, disabled and badly proven devices; error_response logs the reason.
    return error_response(error, request, now());
  }

  Task<Result<Caller>> authenticate(const Request& request) {
    const std::string token(request.headers.get_or("Authorization", ""));
    std::string host(request.host());
    // The token's audience names the hub better than the address that was dialled.
    if (!token.empty()) {
      const auto parsed = security::parse_sas(token);
      if (!parsed) co_return fail(Error(parsed.error()));
      host = security::sas_resource(parsed->resource).host;
    }
    const auto catalog = hubs_.catalog();
    const DeviceId device(request.param("device"));
    const ModuleId module(request.param("module"));
    const auto certificates =
        token.empty() && request.peer != nullptr
            ? security::presented(request.peer->client_certificate, request.peer->client_chain)
            : nullptr;
    Error last{.code = Code::unauthenticated, .message = "no hub has this host name"};
    for (const auto* hub : catalog->find_hubs_by_host(host)) {
      const HubName name = hub->name;
      DeviceProof proof{.sas_token = token, .certificates = certificates};
      auto grant = co_await hubs_.authenticate(name, device, module, std::move(proof));
      if (grant) co_return Caller{.hub = name, .grant = std::move(*grant)};
      last = std::move(grant.error());
    }
    co_return fail(std::move(last));
  }

  static DeviceMessage message_from(const Caller& caller) {
    return DeviceMessage{.device_id = caller.grant.identity.device_id,
                         .module_id = caller.grant.identity.module_id,
                         .generation = caller.grant.identity.generation,
                         .auth_method = caller.grant.auth_method,
                         .event = {}};
  }

  static Result<std::vector<DeviceMessage>> read_messages(Request& request, const Caller& caller) {
    if (starts_with_ignoring_case(request.headers.get_or("Content-Type", ""), kBatchType))
      return read_batch(request, caller);
    DeviceMessage message = message_from(caller);
    if (auto applied = apply_headers(message.event, request.headers); !applied)
      return fail(std::move(applied.error()));
    message.event.body = std::move(request.body);
    std::vector<DeviceMessage> one;
    one.push_back(std::move(message));
    return one;
  }

  static Result<std::vector<DeviceMessage>> read_batch(const Request& request,
                                                       const Caller& caller) {
    if (request.body.size() > kMessageSizeMax) return fail(errors::hub::kMessageTooLarge);
    const auto batch = json::parse(request.body);
    if (!batch || !batch->is_array())
      return fail(errors::hub::kArgumentInvalid, "The batch is not a JSON array.");
    if (batch->get_array().size() > kBatchMessagesMax)
      return fail(errors::hub::kArgumentInvalid,
                  fmt::format("A batch holds at most {} messages.", kBatchMessagesMax));
    std::vector<DeviceMessage> messages;
    for (const auto& item : batch->get_array()) {
      auto message = read_item(item, message_from(caller));
      if (!message) return fail(std::move(message.error()));
      messages.push_back(std::move(*message));
    }
    return messages;
  }

  static Result<DeviceMessage> read_item(const json::Value& item, DeviceMessage message) {
    const auto body = json::find_string(item, "body");
    if (!body) return fail(errors::hub::kArgumentInvalid, "A message of the batch has no body.");
    // C may send plain text and say so; everybody else sends base64.
    const auto* encoded = json::find(item, "base64Encoded");
    if (encoded != nullptr && encoded->is_bool() && !encoded->get_bool()) {
      message.event.body = *body;
    } else {
      auto bytes = base64_decode(*body);
      if (!bytes)
        return fail(errors::hub::kArgumentInvalid,
                    "The body of a message of the batch is not base64.");
      message.event.body = std::move(*bytes);
    }
    const auto* properties = json::find(item, "properties");
    if (properties == nullptr || !properties->is_object()) return message;
    for (const auto& property : properties->get_object()) {
      const std::string value = json::is_string(property.value())
                                    ? std::string(json::view(property.value().get_string()))
                                    : json::write(property.value());
      if (auto applied =
              apply_batch_property(message.event, std::string_view(property.key()), value);
          !applied)
        return fail(std::move(applied.error()));
    }
    return message;
  }

  Task<Status> send_all(HubName hub, std::vector<DeviceMessage> messages) {
    static auto& received = metrics::counter("doppel_hub_messages_received_total",
                                             "Telemetry messages", {{"protocol", "http"}});
    received.add(messages.size());
    // All are queued at once, so that one flush takes them; the answer waits for the last.
    struct Pending {
      std::size_t left;
      Status worst;
      std::move_only_function<void(Status)> done;
    };
    Executor& home = Executor::current();
    std::move_only_function<void(std::move_only_function<void(Status)>)> start =
        [&](std::move_only_function<void(Status)> done) {
          if (messages.empty()) return done(Status{});
          auto pending = std::make_shared<Pending>(
              Pending{.left = messages.size(), .worst = {}, .done = std::move(done)});
          for (auto& message : messages) {
            hubs_.send(hub, message, home, [pending](const Result<store::Committed>& sent) {
              if (!sent) pending->worst = fail(sent.error());
              if (--pending->left == 0) pending->done(std::move(pending->worst));
            });
          }
        };
    co_return co_await from_callback<Status>(std::move(start));
  }

  HubService& hubs_;
};

}  // namespace

void register_device_routes(http::Router& router, HubService& hubs) {
  auto routes = std::make_shared<Routes>(hubs);
  for (const std::string_view owner : {"/devices/{device}", "/devices/{device}/modules/{module}"}) {
    router.add("POST", fmt::format("{}/messages/events", owner),
               [routes](Request r) { return routes->send(std::move(r)); });
    router.add("GET", fmt::format("{}/messages/devicebound", owner),
               [routes](Request r) { return routes->receive(std::move(r)); });
    router.add("DELETE", fmt::format("{}/messages/devicebound/{{lock}}", owner),
               [routes](Request r) { return routes->settle(std::move(r)); });
    router.add("POST", fmt::format("{}/messages/devicebound/{{lock}}/abandon", owner),
               [routes](Request r) { return routes->settle(std::move(r)); });
  }
}

}  // namespace doppel::hub
