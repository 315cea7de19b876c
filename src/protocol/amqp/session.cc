#include "protocol/amqp/session.h"

#include <algorithm>
#include <utility>

#include "protocol/amqp/connection.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/link_endpoint.h"

namespace doppel::amqp {
Session::Session(ConnectionEngine& engine, std::uint16_t channel)
    : engine_(&engine), channel_(channel), incoming_window_(engine.limits().incoming_window) {}

Session::~Session() = default;

void Session::send_begin(std::optional<std::uint16_t> remote_channel) {
  Begin begin;
  begin.remote_channel = remote_channel;
  begin.next_outgoing_id = next_outgoing_id_;
  begin.incoming_window = incoming_window_;
  begin.outgoing_window = engine_->limits().outgoing_window;
  begin.handle_max = engine_->limits().handle_max;
  engine_->write(channel_, begin);
}

void Session::on_begin(const Begin& begin) {
  next_incoming_id_ = begin.next_outgoing_id;
  peer_window_ = begin.incoming_window;
  peer_handle_max_ = begin.handle_max;
  if (state_ == State::begin_sent) state_ = State::mapped;
}

std::shared_ptr<Link> Session::attach(LinkOptions options, std::shared_ptr<LinkHandler> handler) {
  if (state_ != State::begin_sent && state_ != State::mapped) return nullptr;
  const auto handle = free_handle();
  if (!handle) return nullptr;
  auto link =
      std::make_shared<LinkEndpoint>(*this, *handle, std::move(options), std::move(handler));
  links_[*handle] = link;
  engine_->count_link(+1);
  link->send_own_attach();
  return link;
}

std::optional<std::uint32_t> Session::free_handle() {
  const auto gap = std::find(links_.begin(), links_.end(), nullptr);
  const auto handle = static_cast<std::uint32_t>(gap - links_.begin());
  if (handle > std::min(engine_->limits().handle_max, peer_handle_max_)) return std::nullopt;
  if (gap == links_.end()) links_.emplace_back();
  return handle;
}

LinkEndpoint* Session::link_of(std::uint32_t peer_handle) const {
  return peer_handle < by_peer_handle_.size() ? by_peer_handle_[peer_handle] : nullptr;
}

void Session::map_peer_handle(std::uint32_t peer_handle, LinkEndpoint* link) {
  if (peer_handle >= by_peer_handle_.size()) by_peer_handle_.resize(peer_handle + 1);
  by_peer_handle_[peer_handle] = link;
}

// Our attach that the peer now answers: same name, the other role. We may have given up meanwhile.
std::shared_ptr<LinkEndpoint> Session::awaiting(const Attach& attach) const {
  for (const auto& link : links_) {
    if (link && !link->peer_handle_ && link->name_ == attach.name &&
        link->is_inbound_ == (attach.role == Role::sender))
      return link;
  }
  return nullptr;
}

// The link of the peer's that has this name already. Like the library of the real service we look
// for it on the same session only, where it cannot be another client's
// (Azure/azure-amqp: src/AmqpSession.cs, AttachLink).
std::shared_ptr<LinkEndpoint> Session::namesake(const Attach& attach) const {
  for (const auto& link : links_) {
    if (link && link->peer_handle_ && link->name_ == attach.name &&
        link->is_inbound_ == (attach.role == Role::sender) &&
        (link->state_ == LinkEndpoint::State::attached ||
         link->state_ == LinkEndpoint::State::attach_received))
      return link;
  }
  return nullptr;
}

void Session::on_attach(Attach&& attach) {
  if (attach.handle > engine_->limits().handle_max)
    return engine_->fail(make_condition(condition::kFramingError, "A handle is above handle-max."));
  if (link_of(attach.handle) != nullptr)
    return end(make_condition(condition::kHandleInUse, "The handle is attached already."));
  if (const auto own = awaiting(attach)) {
    map_peer_handle(attach.handle, own.get());
    return own->on_peer_attach(attach);
  }
  const auto handle = free_handle();
  if (!handle)
    return end(
        make_condition(condition::kResourceLimitExceeded, "The session has no handle left."));
  const auto stolen = namesake(attach);
  const auto peer_handle = attach.handle;
  const auto link = std::make_shared<LinkEndpoint>(*this, *handle, std::move(attach));
  links_[*handle] = link;
  map_peer_handle(peer_handle, link.get());
  engine_->count_link(+1);
  if (!stolen) return engine_->offer(link);
  // Section 2.6.1: the newer one has the name. Its service hears of it when that of the older one
  // knows that the older one is gone.
  stolen->detach(make_condition(condition::kStolen, "A link of the same name was attached."));
  engine_->executor().post([link] { link->engine_->offer(link); });
}

// Section 2.5.6.
void Session::on_flow(const Flow& flow) {
  next_incoming_id_ = flow.next_outgoing_id;
  // A peer that has not seen our begin yet counts from its beginning: our first transfer.
  const auto seen = flow.next_incoming_id.value_or(kFirstTransfer);
  const auto under_way = serial_lead(seen, next_outgoing_id_);
  peer_window_ = flow.incoming_window - std::min(flow.incoming_window, under_way);
  if (!flow.handle) {
    if (flow.echo) owe_flow();
  } else if (auto* link = link_of(*flow.handle); link == nullptr) {
    return end(
        make_condition(condition::kUnattachedHandle, "A flow names a handle without a link."));
  } else {
    link->shared_from_this()->on_flow(flow);
  }
  engine_->want_pump();
}

void Session::on_transfer(const Transfer& transfer, std::string_view payload) {
  if (incoming_window_ == 0)
    return end(make_condition(condition::kWindowViolation, "A transfer is outside the window."));
  ++next_incoming_id_;
  // Given back when half is used: the service behind has credit and verdicts to slow a peer down.
  if (--incoming_window_ <= engine_->limits().incoming_window / 2) {
    incoming_window_ = engine_->limits().incoming_window;
    owe_flow();
  }
  auto* const found = link_of(transfer.handle);
  if (found == nullptr)
    return end(
        make_condition(condition::kUnattachedHandle, "A transfer names a handle without a link."));
  const auto link = found->shared_from_this();
  if (!takes_delivery_id(transfer, *link)) return;
  if (link->state_ == LinkEndpoint::State::attached) link->on_transfer(transfer, payload);
}

// Ids rise; pyamqp leaves gaps behind messages of several frames, because it counts frames
// (azure-eventhub: _pyamqp/session.py, _outgoing_transfer).
bool Session::takes_delivery_id(const Transfer& transfer, LinkEndpoint& link) {
  if (link.is_message_under_way()) return true;
  if (!transfer.delivery_id) {
    if (link.state_ != LinkEndpoint::State::attached) return true;  // the rest of what we ignore
    end(make_condition(condition::kInvalidField, "A message begins without a delivery-id."));
    return false;
  }
  const auto id = *transfer.delivery_id;
  if (!std::exchange(has_incoming_ids_, true) || incoming_.empty()) incoming_.start_at(id);
  const auto gap = serial_distance(incoming_.next(), id);
  if (gap < 0 || static_cast<std::size_t>(gap) > engine_->limits().unjudged_span_max) {
    // What we ignore may go on under its old id.
    if (link.state_ != LinkEndpoint::State::attached) return true;
    end(make_condition(condition::kInvalidField, "A delivery-id is out of sequence."));
    return false;
  }
  for (int i = 0; i < gap; ++i) incoming_.push({});
  const bool is_open = link.state_ == LinkEndpoint::State::attached &&
                       (transfer.more || !transfer.settled.value_or(false));
  incoming_.push(is_open ? Entry{.link = &link} : Entry{});
  return true;
}

void Session::take_incoming(std::uint32_t id, std::uint32_t bytes) {
  if (Entry* entry = incoming_.find(id)) {
    entry->bytes = bytes;
    entry->is_with_service = true;
    engine_->count_unjudged(bytes);
  }
}

// False: nothing of that link is under way by that id.
bool Session::settle_incoming(std::uint32_t id, const LinkEndpoint& link) {
  const Entry* const entry = incoming_.find(id);
  if (entry == nullptr || entry->link != &link) return false;
  if (entry->is_with_service) engine_->uncount_unjudged(entry->bytes);
  incoming_.settle(id);
  return true;
}

void Session::queue_verdict(std::uint32_t id, bool is_accepted) {
  if (!verdicts_.empty() && verdicts_.back().last + 1 == id &&
      verdicts_.back().is_accepted == is_accepted) {
    verdicts_.back().last = id;
    return;
  }
  verdicts_.push_back({.first = id, .last = id, .is_accepted = is_accepted});
  mark_dirty();
}

void Session::on_disposition(const Disposition& disposition) {
  const auto last = disposition.last.value_or(disposition.first);
  if (disposition.role == Role::sender) {
    // The peer settles what it sent: there is nothing left to say about it.
    if (!disposition.settled) return;
    incoming_.for_range(disposition.first, last, [&](std::uint32_t id, Entry& entry) {
      auto* const link = entry.link;
      if (link->is_assembling(id)) return;
      settle_incoming(id, *link);
      link->judged();
    });
    return;
  }
  const auto verdict = verdict_of(disposition.state);
  // A state that is no outcome (received), and not settled: not a verdict yet.
  if (!verdict && !disposition.settled) return;
  bool has_any = false;
  outgoing_.for_range(disposition.first, last, [&](std::uint32_t id, const Entry& entry) {
    has_any = true;
    const auto link = entry.link->shared_from_this();
    outgoing_.settle(id);
    link->on_verdict(id, verdict.value_or(Verdict{}));
  });
  engine_->want_pump();
  if (!has_any || disposition.settled || state_ != State::mapped) return;
  // A receiver of mode "second" waits for us to settle first (section 2.6.12).
  Disposition settled = disposition;
  settled.role = Role::sender;
  settled.settled = true;
  settled.batchable = false;
  engine_->write(channel_, settled);
}

void Session::on_detach(const Detach& detach) {
  auto* const link = link_of(detach.handle);
  if (link == nullptr)
    return end(
        make_condition(condition::kUnattachedHandle, "A detach names a handle without a link."));
  link->shared_from_this()->on_peer_detach(detach);
}

void Session::forget(LinkEndpoint& link) {
  const auto self = shared_from_this();
  release_deliveries(link);
  if (partial_ == &link) partial_ = nullptr;
  if (link.peer_handle_ && link_of(*link.peer_handle_) == &link)
    by_peer_handle_[*link.peer_handle_] = nullptr;
  if (link.handle_ < links_.size() && links_[link.handle_].get() == &link) {
    links_[link.handle_].reset();
    engine_->count_link(-1);
  }
}

// What was under way on a link that ends has no verdict any more.
void Session::release_deliveries(const LinkEndpoint& link) {
  if (!incoming_.empty()) {
    incoming_.for_range(incoming_.first(), incoming_.next() - 1,
                        [&](std::uint32_t id, const Entry&) { settle_incoming(id, link); });
  }
  if (outgoing_.empty()) return;
  outgoing_.for_range(outgoing_.first(), outgoing_.next() - 1,
                      [&](std::uint32_t id, const Entry& entry) {
                        if (entry.link == &link) outgoing_.settle(id);
                      });
}

void Session::end(std::optional<Condition> why) {
  if (state_ != State::begin_sent && state_ != State::mapped) return;
  flush_verdicts();
  End end;
  if (why) end.error = to_error(*why);
  engine_->write(channel_, end);
  state_ = State::end_sent;
  drop_links(why ? &*why : nullptr);
}

void Session::on_end(const End& peer_end) {
  if (state_ != State::end_sent && state_ != State::over) {
    const auto why = from_error(peer_end.error);
    engine_->write(channel_, End{});
    drop_links(why ? &*why : nullptr);
  }
  state_ = State::over;
}

void Session::drop_links(const Condition* why) {
  const auto links = links_;
  for (const auto& link : links) {
    if (link) link->end(why);
  }
}

}  // namespace doppel::amqp
