#include "events/wire/receiver_link.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "base/log.h"
#include "base/time_text.h"
#include "events/wire/event_message.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

namespace condition = amqp::condition;

// After an error of the store, or when too many wait.
constexpr Duration kRetryAfter = std::chrono::milliseconds(500);

}  // namespace

ReceiverLink::ReceiverLink(EventHubContext& context, std::shared_ptr<amqp::Link> link,
                           LinkGrant grant, ReceiverSource source)
    : HubLink(context, std::move(link), std::move(grant)),
      source_(std::move(source)),
      key_{.stream = stream_name(source_.partition), .generation = this->grant().generation} {}

// What lies before retention begins at the oldest event kept. A position past the end is an error,
// as in the service: a checkpoint of another log would else wait for ever.
Result<SequenceNumber> ReceiverLink::sequence_position(const Position& position) const {
  const auto bounds = context().log.bounds(source_.partition);
  const auto sequence = static_cast<std::uint64_t>(position.value);
  // The very next event is a position too: "what follows the last one" of a client that counts.
  if (sequence >= bounds.next.value + (position.is_inclusive ? 1 : 0))
    return fail(
        Code::invalid_argument,
        fmt::format("The supplied sequence number '{}' is invalid. The last sequence number "
                    "in the system is '{}'.",
                    sequence, static_cast<std::int64_t>(bounds.next.value) - 1));
  return SequenceNumber{sequence + (position.is_inclusive ? 0 : 1)};
}

void ReceiverLink::begin(const Position& position, amqp::AttachReply reply) {
  switch (position.kind) {
    case Position::Kind::earliest:
      return begin_at(SequenceNumber{}, std::move(reply));
    case Position::Kind::latest:
      return begin_at(context().log.bounds(source_.partition).next, std::move(reply));
    case Position::Kind::sequence: {
      const auto next = sequence_position(position);
      if (!next) return link().refuse(to_condition(next.error()));
      return begin_at(*next, std::move(reply));
    }
    case Position::Kind::time:
      break;
  }
  // Clients know milliseconds; an event is "after" one if it was not in it.
  constexpr std::int64_t kMax = 9'000'000'000'000;  // what a TimePoint can hold
  const auto ms =
      std::clamp(position.value + (position.is_inclusive ? 0 : 1), std::int64_t{0}, kMax);
  auto finding =
      context().log.find_by_time(source_.partition, TimePoint(std::chrono::milliseconds(ms)));
  spawn(std::move(finding),
        [self = self(), reply = std::move(reply)](const Result<SequenceNumber>& found) mutable {
          if (!found) return self->link().refuse(to_condition(found.error()));
          self->begin_at(*found, std::move(reply));
        });
}

void ReceiverLink::begin_at(SequenceNumber next, amqp::AttachReply reply) {
  next_ = next;
  auto entered = context().owners.enter(
      source_.place, {.level = source_.owner_level,
                      .home = &executor(),
                      .stolen = [weak = weak()](std::string why) {
                        const auto self = weak.lock();
                        if (self == nullptr || self->is_over()) return;
                        self->place_ticket_.reset();
                        self->link().detach(amqp::make_condition(condition::kStolen, why));
                      }});
  if (!entered) return link().refuse(to_condition(entered.error()));
  place_ticket_ = *entered;
  link().attach(self(), std::move(reply));
  watch();
}

void ReceiverLink::on_can_send() { pump(); }

bool ReceiverLink::on_drain() {
  if (!is_loading_) return true;
  is_draining_ = true;
  return false;
}

void ReceiverLink::on_detached(const amqp::Condition* why) {
  HubLink::on_detached(why);
  if (place_ticket_) context().owners.leave(source_.place, *std::exchange(place_ticket_, {}));
  stop_waiting();
  batch_.reset();
}

void ReceiverLink::pump() {
  if (is_over() || !is_granted()) return;
  if (!link().can_send()) {
    if (link().credit() == 0) is_draining_ = false;  // nothing is left to be given back
    return;
  }
  const auto metrics = source_.wants_runtime_metrics ? runtime_metrics() : std::string{};
  while (link().can_send() && find_batch()) {
    const std::array<std::string_view, 2> pieces = {metrics, batch_->message(next_)};
    link().send(pieces, {});
    ++next_.value;
  }
  batch_.reset();
  finish_drain();
}

// The batch with the next event; else it is asked for, or waited for.
bool ReceiverLink::find_batch() {
  if (batch_ != nullptr && batch_->has(next_)) return true;
  batch_ = context().cache.find(key_, next_);
  if (batch_ != nullptr) return true;
  if (is_loading_ || wait_ticket_ || retry_timer_ != 0) return false;
  if (context().log.bounds(source_.partition).next > next_)
    load();
  else
    wait_for_events();
  // A load may have ended within the call.
  return batch_ != nullptr && batch_->has(next_);
}

void ReceiverLink::load() {
  is_loading_ = true;
  // Not from here: the answer may come before load() returns, and would send from within a send.
  executor().post([self = self()] {
    if (self->is_over()) return;
    self->context().cache.load(self->key_, self->source_.partition, self->next_,
                               [weak = self->weak()](const Result<BatchCache::Batch>& loaded) {
                                 if (const auto link = weak.lock()) link->on_loaded(loaded);
                               });
  });
}

void ReceiverLink::on_loaded(const Result<BatchCache::Batch>& loaded) {
  is_loading_ = false;
  if (is_over()) return;
  if (!loaded) {
    log::warn("events.read_failed", {{"stream", source_.partition.log.name},
                                     {"partition", source_.partition.index},
                                     {"reason", loaded.error().message}});
    return try_later();
  }
  batch_ = *loaded;
  // Behind retention: the oldest that is kept.
  if (batch_ != nullptr && batch_->first() > next_) next_ = batch_->first();
  if (batch_ == nullptr) {
    const auto bounds = context().log.bounds(source_.partition);
    if (bounds.first > next_) next_ = bounds.first;
  }
  pump();
  batch_.reset();
}

void ReceiverLink::wait_for_events() {
  const auto ticket = context().log.wait(source_.partition, next_, executor(), [weak = weak()] {
    const auto self = weak.lock();
    if (self == nullptr || self->is_over()) return;
    self->wait_ticket_.reset();
    self->pump();
  });
  if (!ticket) return try_later();
  wait_ticket_ = *ticket;
}

void ReceiverLink::try_later() {
  retry_timer_ = executor().post_after(kRetryAfter, [weak = weak()] {
    const auto self = weak.lock();
    if (self == nullptr || self->is_over()) return;
    self->retry_timer_ = 0;
    self->pump();
  });
}

void ReceiverLink::stop_waiting() {
  if (wait_ticket_) context().log.cancel_wait(*std::exchange(wait_ticket_, {}));
  if (retry_timer_ != 0) executor().cancel(std::exchange(retry_timer_, 0));
}

void ReceiverLink::finish_drain() {
  if (!is_draining_ || is_loading_) return;
  is_draining_ = false;
  link().drained();
}

// The delivery annotations of events that are sent now (Node: lastEnqueuedEventProperties).
std::string ReceiverLink::runtime_metrics() const {
  const auto bounds = context().log.bounds(source_.partition);
  const auto last = static_cast<std::int64_t>(bounds.next.value) - 1;
  std::string out;
  amqp::MapSectionWriter map(out, amqp::SectionCode::delivery_annotations);
  map.symbol_key("last_enqueued_sequence_number");
  amqp::append_long(out, last);
  map.symbol_key("last_enqueued_offset");
  amqp::append_string(out, offset_text(last));
  map.symbol_key("last_enqueued_time_utc");
  amqp::append_timestamp(out, {to_unix_millis(bounds.last_enqueued)});
  map.symbol_key("runtime_info_retrieval_time_utc");
  amqp::append_timestamp(out, {to_unix_millis(context().clock.now())});
  map.finish();
  return out;
}

}  // namespace doppel::events
