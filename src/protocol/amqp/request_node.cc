#include "protocol/amqp/request_node.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "protocol/amqp/address.h"
#include "protocol/amqp/errors.h"

namespace doppel::amqp {
namespace {

// Of both links: requests are small and answered soon.
constexpr std::uint32_t kRequestCredit = 100;

// The reply's bytes. `message_id` comes back with the type it had: Python and .NET count with
// ulong, Node makes strings.
std::string encode_reply(const Reply& reply, const Value& message_id) {
  std::string out;
  MessageProperties properties;
  if (!message_id.is_null()) properties.correlation_id = message_id;
  append(out, properties);
  MapSectionWriter map(out, SectionCode::application_properties);
  map.string_key("status-code");
  append_int(out, reply.status);
  map.string_key("status-description");
  append_string(out, reply.description);
  if (!reply.condition.empty()) {
    map.string_key("error-condition");
    append_symbol(out, reply.condition);
  }
  map.finish();
  append_value_section(out, reply.body ? *reply.body : Value());
  return out;
}

}  // namespace

std::string Request::property(std::string_view name) const {
  const auto value = find_in(message.application_properties, name);
  const auto* text = value ? value->text_if() : nullptr;
  return text == nullptr ? std::string{} : *text;
}

// The links of one connection to one node.
class RequestNode::Pair {
 public:
  std::vector<std::shared_ptr<Replies>> replies;
  std::size_t bytes_waiting = 0;

  // Where the reply to a request goes: Node names the receiver's name or target as reply-to, .NET
  // its target, Python nothing at all.
  std::shared_ptr<Replies> find(std::string_view reply_to, std::uint16_t session,
                                std::string_view node) const;
};

class RequestNode::Replies final : public LinkHandler {
 public:
  Replies(std::shared_ptr<Link> link, std::weak_ptr<Pair> pair)
      : pair_(std::move(pair)),
        name_(link->name()),
        target_(target_of(*link)),
        node_(link->address()),
        session_(link->session()),
        link_(std::move(link)) {}

  bool is_named(std::string_view reply_to) const {
    return reply_to == name_ || (!target_.empty() && reply_to == target_);
  }
  std::uint16_t session() const { return session_; }
  const std::string& node() const { return node_; }
  bool is_full() const {
    const auto pair = pair_.lock();
    return waiting_.size() >= kRepliesWaitingMax ||
           (pair && pair->bytes_waiting >= kReplyBytesWaitingMax);
  }

  void send(std::string reply) {
    if (link_ == nullptr || is_full()) return;
    if (const auto pair = pair_.lock()) pair->bytes_waiting += reply.size();
    waiting_.push_back(std::move(reply));
    on_can_send();
  }

  void on_can_send() override {
    while (!waiting_.empty() && link_ != nullptr && link_->can_send()) {
      const std::string_view piece = waiting_.front();
      link_->send({&piece, 1}, {});
      drop_first();
    }
  }

  void on_detached(const Condition*) override {
    link_.reset();
    while (!waiting_.empty()) drop_first();
    if (const auto pair = pair_.lock())
      std::erase_if(pair->replies, [this](const auto& other) { return other.get() == this; });
  }

 private:
  void drop_first() {
    if (const auto pair = pair_.lock()) pair->bytes_waiting -= waiting_.front().size();
    waiting_.pop_front();
  }

  static std::string target_of(Link& link) {
    const auto* target = std::get_if<Target>(&link.request().target);
    return target == nullptr ? std::string{} : target->address.value_or("");
  }

  std::weak_ptr<Pair> pair_;
  std::string name_;
  std::string target_;
  std::string node_;
  std::uint16_t session_;
  std::shared_ptr<Link> link_;
  std::deque<std::string> waiting_;
};

std::shared_ptr<RequestNode::Replies> RequestNode::Pair::find(std::string_view reply_to,
                                                              std::uint16_t session,
                                                              std::string_view node) const {
  const auto named = std::ranges::find_if(
      replies, [&](const auto& link) { return !reply_to.empty() && link->is_named(reply_to); });
  if (named != replies.end()) return *named;
  std::shared_ptr<Replies> found;
  for (const auto& link : replies) {
    if (link->node() != node) continue;
    if (link->session() == session) return link;
    found = link;
  }
  return found;
}

class RequestNode::Requests final : public LinkHandler {
 public:
  Requests(RequestNode& owner, std::shared_ptr<Link> link, std::shared_ptr<Pair> pair)
      : owner_(owner), link_(std::move(link)), pair_(std::move(pair)) {}

  void on_message(const Delivery& delivery) override {
    const auto split = split_message(delivery.payload);
    if (!split.has_value())
      return link_->reject(delivery.id, make_condition(condition::kDecodeError, split.reason()));
    const auto properties = decode_properties(*split);
    if (!properties.has_value())
      return link_->reject(delivery.id,
                           make_condition(condition::kDecodeError, properties.reason()));
    auto replies =
        pair_->find(properties->reply_to.value_or(""), link_->session(), link_->address());
    if (replies == nullptr)
      return link_->reject(delivery.id, make_condition(condition::kNotAllowed,
                                                       "There is no link to send the reply on."));
    if (replies->is_full())
      return link_->reject(delivery.id, make_condition(condition::kResourceLimitExceeded,
                                                       "Too many replies wait for credit."));
    link_->accept(delivery.id);
    owner_.on_request({.link = *link_, .node = link_->address(), .message = *split},
                      [replies = std::weak_ptr(replies),
                       message_id = properties->message_id.value_or(Value())](const Reply& reply) {
                        if (const auto to = replies.lock())
                          to->send(encode_reply(reply, message_id));
                      });
  }

  void on_detached(const Condition*) override { pair_.reset(); }

 private:
  RequestNode& owner_;
  std::shared_ptr<Link> link_;
  std::shared_ptr<Pair> pair_;
};

void RequestNode::on_attach(std::shared_ptr<Link> link) {
  auto& slot = link->connection().slot(this);
  if (slot == nullptr) slot = std::make_shared<Pair>();
  auto pair = std::static_pointer_cast<Pair>(slot);
  if (link->is_inbound()) {
    auto requests = std::make_shared<Requests>(*this, link, std::move(pair));
    link->attach(std::move(requests),
                 {.max_message_size = kRequestBytesMax, .credit = kRequestCredit});
    return;
  }
  auto replies = std::make_shared<Replies>(link, pair);
  pair->replies.push_back(replies);
  link->attach(std::move(replies), {});
}

}  // namespace doppel::amqp
