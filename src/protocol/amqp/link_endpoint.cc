#include "protocol/amqp/link_endpoint.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "protocol/amqp/address.h"
#include "protocol/amqp/conditions.h"
#include "protocol/amqp/connection.h"
#include "protocol/amqp/errors.h"

namespace doppel::amqp {
namespace {

// The address of the node on our side; a terminus of another kind names none.
std::string address_of(const std::optional<std::string>& address) {
  return address ? std::string(node_of(*address)) : std::string{};
}

std::string own_address(const Attach& request) {
  if (request.role == Role::sender) {
    const auto* const target = std::get_if<Target>(&request.target);
    return target == nullptr ? std::string{} : address_of(target->address);
  }
  const auto* const source = std::get_if<Source>(&request.source);
  return source == nullptr ? std::string{} : address_of(source->address);
}

}  // namespace

LinkEndpoint::LinkEndpoint(Session& session, std::uint32_t handle, Attach&& request)
    : engine_(session.engine_->shared_from_this()),
      session_(&session),
      name_(request.name),
      address_(own_address(request)),
      request_(std::make_unique<Attach>(std::move(request))),
      handle_(handle),
      peer_handle_(request_->handle),
      session_number_(session.peer_channel_.value_or(0)),
      is_inbound_(request_->role == Role::sender) {
  if (is_inbound_)
    delivery_count_ = limit_ = limit_max_ = request_->initial_delivery_count.value_or(0);
  sends_settled_ = request_->snd_settle_mode == SenderSettleMode::settled;
}

LinkEndpoint::LinkEndpoint(Session& session, std::uint32_t handle, LinkOptions&& options,
                           std::shared_ptr<LinkHandler> handler)
    : engine_(session.engine_->shared_from_this()),
      session_(&session),
      name_(options.name),
      request_(std::make_unique<Attach>()),
      handler_(std::move(handler)),
      handle_(handle),
      session_number_(session.channel_),
      state_(State::attach_sent),
      is_inbound_(!options.is_sender),
      max_message_size_(options.max_message_size),
      window_(options.credit) {
  sends_settled_ = options.snd_settle_mode == SenderSettleMode::settled;
  Attach& own = *request_;
  own.name = std::move(options.name);
  own.handle = handle;
  own.role = options.is_sender ? Role::sender : Role::receiver;
  own.snd_settle_mode = options.snd_settle_mode;
  own.rcv_settle_mode = options.rcv_settle_mode;
  if (options.source) own.source = std::move(*options.source);
  if (options.target) own.target = std::move(*options.target);
  if (options.is_sender) own.initial_delivery_count = 0;
  if (options.max_message_size != 0) own.max_message_size = options.max_message_size;
  if (!options.properties.is_empty()) own.properties = std::move(options.properties);
  for (auto& name : options.desired_capabilities) own.desired_capabilities.emplace_back(name);
}

LinkEndpoint::~LinkEndpoint() = default;

Connection& LinkEndpoint::connection() { return *engine_; }

const Attach& LinkEndpoint::request() const {
  check(request_ != nullptr, "the request of a link is asked for before it is answered");
  return *request_;
}

void LinkEndpoint::send_own_attach() {
  engine_->write(session_->channel_, *request_);
  request_.reset();
}

// Client role: the peer's answer. A refusal has a null terminus and a detach behind it
// (section 2.6.3).
void LinkEndpoint::on_peer_attach(const Attach& attach) {
  peer_handle_ = attach.handle;
  if (state_ != State::attach_sent) return;
  state_ = State::attached;
  if (is_inbound_)
    delivery_count_ = limit_ = limit_max_ = attach.initial_delivery_count.value_or(0);
  if (const auto handler = handler_) handler->on_attached(attach);
  if (state_ != State::attached) return;
  if (is_inbound_) return update_credit();
  engine_->want_pump();
}

Attach LinkEndpoint::reply_to(const Attach& request) const {
  Attach reply;
  reply.name = request.name;
  reply.handle = handle_;
  reply.role = is_inbound_ ? Role::receiver : Role::sender;
  reply.snd_settle_mode = request.snd_settle_mode;
  // A receiver of mode "second" would owe its sender one more disposition for each message. As a
  // receiver we are always "first"; as a sender we take what the receiver wants.
  reply.rcv_settle_mode = is_inbound_ ? ReceiverSettleMode::first : request.rcv_settle_mode;
  if (!is_inbound_) reply.initial_delivery_count = delivery_count_;
  // Never null where the client sent a map: pyamqp merges the two (event-hubs.md, fact 2).
  if (request.properties) reply.properties = Map{};
  return reply;
}

void LinkEndpoint::attach(std::shared_ptr<LinkHandler> handler, AttachReply reply) {
  check(handler != nullptr, "an attached link has a handler");
  if (state_ != State::attach_received) {
    // The peer went away before the answer: whoever was let in learns that it is over.
    handler_ = std::move(handler);
    return tell_detached(std::nullopt);
  }
  Attach answer = reply_to(*request_);
  answer.source = reply.source ? AnySource(std::move(*reply.source)) : std::move(request_->source);
  answer.target = reply.target ? AnyTarget(std::move(*reply.target)) : std::move(request_->target);
  if (reply.max_message_size != 0) answer.max_message_size = reply.max_message_size;
  if (!reply.properties.is_empty()) answer.properties = std::move(reply.properties);
  for (auto& name : reply.offered_capabilities) answer.offered_capabilities.emplace_back(name);
  handler_ = std::move(handler);
  max_message_size_ = reply.max_message_size;
  window_ = reply.credit;
  state_ = State::attached;
  engine_->write(session_->channel_, answer);
  request_.reset();
  if (state_ != State::attached) return;  // the answer did not fit the peer's frames
  if (is_inbound_) return update_credit();
  engine_->count_subscription(+1);
  engine_->want_pump();
}

void LinkEndpoint::refuse(Condition why) {
  if (state_ != State::attach_received) return;
  send_refusal(why, true);
  state_ = State::detach_sent;
}

// As the real service does it: attach with null source and target, then detach
// (client-wire-notes.md, section 2, AMQP rule 3).
void LinkEndpoint::send_refusal(const std::optional<Condition>& why, bool is_closed) {
  engine_->write(session_->channel_, reply_to(*request_));
  request_.reset();
  // A peer that does not answer the detach keeps the handle, but nothing that it can choose.
  std::string().swap(name_);
  std::string().swap(address_);
  if (session_ != nullptr) send_detach(why, is_closed);
}

void LinkEndpoint::send_detach(const std::optional<Condition>& why, bool is_closed) {
  Detach detach;
  detach.handle = handle_;
  detach.closed = is_closed;
  if (why) detach.error = to_error(*why);
  engine_->write(session_->channel_, detach);
}

void LinkEndpoint::detach(std::optional<Condition> why) {
  if (state_ == State::attach_received) {
    send_refusal(why, true);
    state_ = State::detach_sent;
    return;
  }
  if (state_ != State::attached && state_ != State::attach_sent) return;
  session_->flush_verdicts();  // verdicts that were given count
  if (!is_inbound_ && state_ == State::attached) engine_->count_subscription(-1);
  state_ = State::detach_sent;
  drop_assembly();
  take_remainder();
  session_->release_deliveries(*this);
  send_detach(why, true);
  tell_detached(why);
}

void LinkEndpoint::on_peer_detach(const Detach& detach) {
  const auto why = from_error(detach.error);
  switch (state_) {
    case State::attach_received:
      send_refusal(std::nullopt, detach.closed);
      break;
    case State::attached:
      session_->flush_verdicts();
      [[fallthrough]];
    case State::attach_sent:
      if (!is_inbound_ && state_ == State::attached) engine_->count_subscription(-1);
      send_detach(std::nullopt, detach.closed);
      tell_detached(why);
      break;
    case State::detach_sent:
    case State::over:
      break;
  }
  state_ = State::over;
  drop_assembly();
  take_remainder();
  if (auto* const session = std::exchange(session_, nullptr)) session->forget(*this);
}

void LinkEndpoint::end(const Condition* why) {
  if (state_ == State::over) return;
  if (!is_inbound_ && state_ == State::attached) engine_->count_subscription(-1);
  state_ = State::over;
  drop_assembly();
  take_remainder();
  tell_detached(why == nullptr ? std::nullopt : std::optional(*why));
  if (auto* const session = std::exchange(session_, nullptr)) session->forget(*this);
}

// Later: the handler itself may be what ended the link, further up the stack.
void LinkEndpoint::tell_detached(const std::optional<Condition>& why) {
  if (!handler_) return;
  engine_->executor().post([self = shared_from_this(), handler = std::exchange(handler_, nullptr),
                            why] { handler->on_detached(why ? &*why : nullptr); });
}

void LinkEndpoint::owe_flow() {
  owes_flow_ = true;
  session_->mark_dirty();
}

void LinkEndpoint::flush_flow() {
  if (!std::exchange(owes_flow_, false) || state_ != State::attached) return;
  Flow flow = session_->flow_state();
  flow.handle = handle_;
  flow.delivery_count = delivery_count_;
  flow.link_credit = is_inbound_ ? outstanding() : credit_;
  flow.available = 0;
  flow.drain = std::exchange(owes_drain_flow_, false) || is_draining_;
  engine_->write(session_->channel_, flow);
}

}  // namespace doppel::amqp
