#include "cli/event_monitor.h"

#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"
#include "security/sas.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kTokenType = "servicebus.windows.net:sastoken";
constexpr std::string_view kReplyAddress = "monitor-replies";
constexpr std::uint32_t kPartitionCredit = 300;  // messages; what Event Hubs clients ask for
// (event-hubs.md section 7)
constexpr std::string_view kSelectorFilter = "apache.org:selector-filter:string";
constexpr std::int32_t kStatusFirstGood = 200, kStatusFirstBad = 300;

Code code_of(std::string_view condition) {
  if (condition == "amqp:not-found") return Code::not_found;
  if (condition == "amqp:unauthorized-access") return Code::forbidden;
  return Code::unavailable;
}

std::int64_t number_of(const std::optional<amqp::Value>& value) {
  if (!value) return 0;
  if (const auto* number = value->get_if<std::int32_t>()) return *number;
  if (const auto* number = value->get_if<std::int64_t>()) return *number;
  if (const auto* number = value->get_if<std::uint32_t>()) return *number;
  return 0;
}

}  // namespace

// Requests to $cbs go out here.
class EventMonitor::RequestLink final : public amqp::LinkHandler {
 public:
  explicit RequestLink(EventMonitor& monitor) : monitor_(monitor) {}
  void on_can_send() override {
    if (monitor_.is_token_due_) monitor_.put_token();
  }
  void on_detached(const amqp::Condition* why) override {
    monitor_.give_up("the token service ended the link", why);
  }

 private:
  EventMonitor& monitor_;
};

class EventMonitor::ReplyLink final : public amqp::LinkHandler {
 public:
  explicit ReplyLink(EventMonitor& monitor) : monitor_(monitor) {}
  void bind(std::shared_ptr<amqp::Link> link) { link_ = std::move(link); }
  void on_attached(const amqp::Attach&) override {
    monitor_.is_reply_attached_ = true;
    monitor_.put_token();
  }
  void on_message(const amqp::Delivery& delivery) override {
    if (link_) link_->accept(delivery.id);
    monitor_.on_token_reply(delivery.payload);
  }
  void on_detached(const amqp::Condition* why) override {
    link_.reset();
    monitor_.give_up("the token service ended the link", why);
  }

 private:
  EventMonitor& monitor_;
  std::shared_ptr<amqp::Link> link_;
};

class EventMonitor::PartitionLink final : public amqp::LinkHandler {
 public:
  PartitionLink(EventMonitor& monitor, std::string partition)
      : monitor_(monitor), partition_(std::move(partition)) {}
  void bind(std::shared_ptr<amqp::Link> link) { link_ = std::move(link); }
  void on_attached(const amqp::Attach& attach) override {
    // A refusal has no source; on_detached follows.
    if (!std::holds_alternative<std::monostate>(attach.source)) monitor_.on_partition_attached();
  }
  void on_message(const amqp::Delivery& delivery) override {
    monitor_.on_message(delivery.payload);
    if (link_) link_->accept(delivery.id);
  }
  void on_detached(const amqp::Condition* why) override {
    link_.reset();
    monitor_.give_up(fmt::format("partition {} cannot be read", partition_), why);
  }

 private:
  EventMonitor& monitor_;
  std::string partition_;
  std::shared_ptr<amqp::Link> link_;
};

EventMonitor::EventMonitor(EventMonitorOptions options, const Clock& clock, Handlers handlers)
    : options_(std::move(options)), clock_(clock), handlers_(std::move(handlers)) {}

EventMonitor::~EventMonitor() = default;

void EventMonitor::on_open(const amqp::Open&) {
  session_ = engine_->begin_session();
  amqp::LinkOptions replies{.name = "monitor-cbs-replies"};
  replies.source.emplace().address = "$cbs";
  replies.target.emplace().address = std::string(kReplyAddress);
  const auto reply = std::make_shared<ReplyLink>(*this);
  auto reply_link = session_->attach(std::move(replies), reply);
  amqp::LinkOptions requests{.name = "monitor-cbs-requests", .is_sender = true};
  requests.source.emplace().address = std::string(kReplyAddress);
  requests.target.emplace().address = "$cbs";
  request_ = session_->attach(std::move(requests), std::make_shared<RequestLink>(*this));
  if (!reply_link || !request_)
    return give_up(fail(Code::unavailable, "no link to the token service").error());
  reply->bind(std::move(reply_link));
  is_token_due_ = true;
}

void EventMonitor::renew() {
  if (is_stopping_ || !request_) return;
  is_token_due_ = true;
  put_token();
}

// Waits until replies can come and the request link has credit.
void EventMonitor::put_token() {
  if (!is_token_due_ || !is_reply_attached_ || is_stopping_ || !request_->can_send()) return;
  const std::string audience = fmt::format("sb://{}/{}", options_.host, options_.entity);
  // Event Hubs' keys sign as text; a hub's are accepted in that form on its built-in endpoint too.
  auto token = security::make_sas(audience, options_.key, security::KeyForm::text,
                                  options_.key_name, clock_.now() + kMonitorTokenLife);
  if (!token) return give_up(std::move(token.error()));
  is_token_due_ = false;
  std::string message;
  amqp::append(message, amqp::MessageProperties{
                            .message_id = amqp::Value(fmt::format("token-{}", ++requests_)),
                            .reply_to = std::string(kReplyAddress)});
  amqp::Map properties;
  properties.add_string("operation", "put-token");
  properties.add_string("type", kTokenType);
  properties.add_string("name", audience);
  amqp::append_map_section(message, amqp::SectionCode::application_properties, properties);
  amqp::append_value_section(message, amqp::Value(*token));
  const std::string_view pieces[] = {message};
  request_->send(pieces, {});
}

void EventMonitor::on_token_reply(std::string_view payload) {
  const auto message = amqp::split_message(payload);
  if (!message.has_value())
    return give_up(fail(Code::bad_gateway, "the token service's reply is malformed").error());
  const auto status = number_of(amqp::find_in(message->application_properties, "status-code"));
  if (status < kStatusFirstGood || status >= kStatusFirstBad) {
    const auto text = amqp::find_in(message->application_properties, "status-description");
    const auto* why = text ? text->text_if() : nullptr;
    return give_up(
        fail(status == 404 ? Code::not_found : Code::unauthenticated,
             fmt::format("the token was refused ({}): {}", status, why != nullptr ? *why : ""))
            .error());
  }
  if (!std::exchange(is_receiving_, true)) receive_all();
}

void EventMonitor::receive_all() {
  const auto from_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.from.time_since_epoch())
          .count();
  for (const auto& partition : options_.partitions) {
    amqp::LinkOptions link{.name = "monitor-" + partition, .credit = kPartitionCredit};
    auto& source = link.source.emplace();
    source.address = fmt::format("{}/ConsumerGroups/{}/Partitions/{}", options_.entity,
                                 options_.consumer_group, partition);
    source.filter.emplace().add_symbol(
        kSelectorFilter,
        amqp::Value(amqp::Described{.descriptor = amqp::Value(amqp::Symbol(kSelectorFilter)),
                                    .value = amqp::Value(fmt::format(
                                        "amqp.annotation.x-opt-enqueued-time > '{}'", from_ms))}));
    link.target.emplace().address = "monitor-" + partition;
    const auto handler = std::make_shared<PartitionLink>(*this, partition);
    auto made = session_->attach(std::move(link), handler);
    if (!made)
      return give_up(
          fail(Code::unavailable, fmt::format("no link to partition {}", partition)).error());
    handler->bind(made);
    receivers_.push_back(std::move(made));
  }
}

void EventMonitor::on_partition_attached() {
  if (++attached_ == options_.partitions.size() && !is_stopping_ && handlers_.on_ready)
    handlers_.on_ready();
}

void EventMonitor::on_message(std::string_view payload) {
  if (is_stopping_) return;
  // What does not decode was not written by this server; the rest is still worth showing.
  const auto message = amqp::split_message(payload);
  if (message.has_value()) handlers_.on_event(*message);
}

void EventMonitor::give_up(std::string_view what, const amqp::Condition* why) {
  if (is_stopping_) return;
  if (why == nullptr) return give_up(fail(Code::unavailable, std::string(what)).error());
  give_up(fail(code_of(why->condition),
               fmt::format("{}: {}", what,
                           why->description.empty() ? why->condition : why->description))
              .error());
}

void EventMonitor::give_up(Error why) {
  if (std::exchange(is_stopping_, true)) return;
  outcome_ = fail(std::move(why));
  engine_->close(std::nullopt);
}

void EventMonitor::stop() {
  if (std::exchange(is_stopping_, true)) return;
  if (engine_->is_open()) return engine_->close(std::nullopt);
  on_closed(nullptr);
}

void EventMonitor::on_closed(const amqp::Condition* why) {
  if (std::exchange(is_ended_, true)) return;
  if (!is_stopping_) {
    outcome_ = fail(
        Code::unavailable,
        why == nullptr ? std::string("the server closed the connection")
                       : fmt::format("the connection ended: {}",
                                     why->description.empty() ? why->condition : why->description));
  }
  is_stopping_ = true;
  request_.reset();
  receivers_.clear();
  session_.reset();
  if (handlers_.on_end) handlers_.on_end(std::move(outcome_));
}

}  // namespace doppel::cli
