// What a session has to say at the end of an event: verdicts as ranges, flows; and its windows.
#include <algorithm>
#include <utility>

#include "protocol/amqp/connection.h"
#include "protocol/amqp/link_endpoint.h"
#include "protocol/amqp/session.h"

namespace doppel::amqp {

bool Session::is_full() const { return incoming_.span() >= engine_->limits().unjudged_span_max; }

bool Session::can_transfer() const {
  return state_ == State::mapped && peer_window_ > 0 && partial_ == nullptr &&
         outgoing_.span() < engine_->limits().unsettled_max;
}

void Session::count_transfer() {
  ++next_outgoing_id_;
  --peer_window_;
}

void Session::mark_dirty() {
  if (std::exchange(is_dirty_, true)) return;
  engine_->add_dirty(shared_from_this());
}

void Session::owe_flow() {
  owes_flow_ = true;
  mark_dirty();
}

Flow Session::flow_state() const {
  Flow flow;
  flow.next_incoming_id = next_incoming_id_;
  flow.incoming_window = incoming_window_;
  flow.next_outgoing_id = next_outgoing_id_;
  flow.outgoing_window = engine_->limits().outgoing_window;
  return flow;
}

void Session::flush() {
  is_dirty_ = false;
  if (state_ != State::mapped) return;
  flush_verdicts();
  for (const auto& link : links_) {
    if (link && link->owes_flow_) {
      link->flush_flow();
      owes_flow_ = false;  // a link's flow has the session's fields too
    }
  }
  if (std::exchange(owes_flow_, false)) engine_->write(channel_, flow_state());
}

// Events become durable in groups, so verdicts come in runs; those of several links on one session
// interleave, hence the sort.
void Session::flush_verdicts() {
  if (verdicts_.empty()) return;
  const auto base = verdicts_.front().first;
  const auto before = [base](const Range& a, const Range& b) {
    return serial_distance(base, a.first) < serial_distance(base, b.first);
  };
  if (!std::is_sorted(verdicts_.begin(), verdicts_.end(), before))
    std::sort(verdicts_.begin(), verdicts_.end(), before);
  for (std::size_t i = 0; i < verdicts_.size();) {
    Range range = verdicts_[i++];
    while (i < verdicts_.size() && verdicts_[i].first == range.last + 1 &&
           verdicts_[i].is_accepted == range.is_accepted)
      range.last = verdicts_[i++].last;
    Disposition disposition;
    disposition.role = Role::receiver;
    disposition.first = range.first;
    disposition.last = range.last;
    disposition.settled = true;
    if (range.is_accepted)
      disposition.state = Accepted{};
    else
      disposition.state = Released{};
    engine_->write(channel_, disposition);
  }
  verdicts_.clear();
}

void Session::send_verdict(std::uint32_t id, DeliveryState state) {
  Disposition disposition;
  disposition.role = Role::receiver;
  disposition.first = id;
  disposition.last = id;
  disposition.settled = true;
  disposition.state = std::move(state);
  engine_->write(channel_, disposition);
}

}  // namespace doppel::amqp
