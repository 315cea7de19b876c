#include "events/wire/sender_link.h"

#include <utility>

#include "protocol/amqp/errors.h"

namespace doppel::events {
namespace {

namespace condition = amqp::condition;

std::optional<amqp::Condition> refusal_of(Arrival arrival) {
  switch (arrival) {
    case Arrival::next:
    case Arrival::repeated:
      return std::nullopt;
    case Arrival::out_of_order:
      return amqp::make_condition(condition::kOutOfOrderSequence,
                                  "The events are not those that follow the last ones accepted.");
    case Arrival::stolen:
      return amqp::make_condition(condition::kProducerEpochStolen,
                                  "A producer with a newer epoch has the partition.");
    case Arrival::foreign:
      return amqp::make_condition(condition::kArgumentError,
                                  "The events do not carry the id and epoch of this producer.");
    case Arrival::forgotten:
      return amqp::make_condition(condition::kDetachForced,
                                  "The producer was quiet for longer than its sequence number is "
                                  "kept. Attach again, with the last number it knows.");
  }
  return std::nullopt;
}

}  // namespace

SenderLink::SenderLink(EventHubContext& context, std::shared_ptr<amqp::Link> link, LinkGrant grant,
                       SenderTarget target, std::optional<std::int64_t> producer_id)
    : HubLink(context, std::move(link), std::move(grant)),
      target_(std::move(target)),
      producer_id_(producer_id) {
  streams_.reserve(target_.partitions);
  for (std::uint32_t i = 0; i < target_.partitions; ++i)
    streams_.emplace_back(stream_name({.log = this->grant().log, .index = i}));
}

void SenderLink::begin(amqp::AttachReply reply) {
  link().attach(self(), std::move(reply));
  watch();
}

void SenderLink::on_message(const amqp::Delivery& delivery) {
  if (!is_granted()) return;
  auto events = read_events(delivery, target_.publisher);
  if (!events) return link().reject(delivery.id, to_condition(events.error()));
  if (producer_id_) return append_in_turn(delivery.id, *std::move(events));
  append(delivery.id, *std::move(events));
}

// The partition of the address, else that of the key, else one after the other.
std::uint32_t SenderLink::partition_for(const IncomingEvents& events) {
  if (target_.partition) return *target_.partition;
  if (!events.partition_key.empty()) return partition_of(events.partition_key, target_.partitions);
  return context().next_partition.fetch_add(1, std::memory_order_relaxed) % target_.partitions;
}

void SenderLink::append(std::uint32_t delivery, IncomingEvents events) {
  const auto stream = streams_[partition_for(events)];
  store::WriteSet changes;
  changes.appends.reserve(events.records.size());
  for (auto& record : events.records)
    changes.appends.push_back({.streams = stream, .record = std::move(record)});
  context().log.store().commit(std::move(changes), executor(),
                               [self = self(), delivery](const Result<store::Committed>& done) {
                                 if (self->is_over()) return;
                                 if (done) return self->link().accept(delivery);
                                 self->link().reject(delivery, to_condition(done.error()));
                               });
}

void SenderLink::append_in_turn(std::uint32_t delivery, IncomingEvents events) {
  if (!events.producer) return link().reject(delivery, *refusal_of(Arrival::foreign));
  in_turn_.push_back(
      {.delivery = delivery, .mark = *events.producer, .records = std::move(events.records)});
  if (in_turn_.size() == 1) next_in_turn();
}

void SenderLink::next_in_turn() {
  auto& produced = in_turn_.front();
  auto appending = append_produced(context().log.store(), context().clock.now(),
                                   {.log = grant().log, .index = target_.partition.value_or(0)},
                                   *producer_id_, produced.mark, std::move(produced.records));
  spawn(std::move(appending),
        [self = self(), delivery = produced.delivery](const Result<Arrival>& arrival) {
          self->on_produced(delivery, arrival);
        });
}

void SenderLink::on_produced(std::uint32_t delivery, const Result<Arrival>& arrival) {
  if (is_over()) return;
  if (!arrival)
    link().reject(delivery, to_condition(arrival.error()));
  else if (*arrival == Arrival::forgotten)
    return link().detach(refusal_of(*arrival));  // what waits in turn goes with it
  else if (auto refused = refusal_of(*arrival))
    link().reject(delivery, *std::move(refused));
  else
    link().accept(delivery);
  in_turn_.pop_front();
  if (!in_turn_.empty()) next_in_turn();
}

void SenderLink::on_detached(const amqp::Condition* why) {
  HubLink::on_detached(why);
  in_turn_.clear();
}

}  // namespace doppel::events
