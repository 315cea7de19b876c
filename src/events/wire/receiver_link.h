// A consumer's link: events of one partition, from a position on, as fast as the consumer gives
// credit. Between events it holds a number and a place among the waiters, and no event.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "events/wire/batch_cache.h"
#include "events/wire/hub_link.h"
#include "events/wire/link_address.h"
#include "events/wire/owners.h"

namespace doppel::events {

struct ReceiverSource {
  Partition partition;
  Owners::Place place;
  std::optional<std::int64_t> owner_level{};
  bool wants_runtime_metrics = false;
};

class ReceiverLink final : public HubLink {
 public:
  ReceiverLink(EventHubContext& context, std::shared_ptr<amqp::Link> link, LinkGrant grant,
               ReceiverSource source);

  // Finds the position and answers the attach: at once, or after a look into the store.
  void begin(const Position& position, amqp::AttachReply reply);

  void on_can_send() override;
  bool on_drain() override;
  void on_detached(const amqp::Condition* why) override;

 private:
  std::shared_ptr<ReceiverLink> self() {
    return std::static_pointer_cast<ReceiverLink>(shared_from_this());
  }
  std::weak_ptr<ReceiverLink> weak() { return self(); }
  void begin_at(SequenceNumber next, amqp::AttachReply reply);
  Result<SequenceNumber> sequence_position(const Position& position) const;

  void pump();
  bool find_batch();
  void load();
  void on_loaded(const Result<BatchCache::Batch>& loaded);
  void wait_for_events();
  void try_later();
  void stop_waiting();
  void finish_drain();
  std::string runtime_metrics() const;

  ReceiverSource source_;
  BatchCache::Key key_;
  SequenceNumber next_{};
  BatchCache::Batch batch_;  // only while it is being sent
  std::optional<Owners::Ticket> place_ticket_;
  std::optional<EventLog::Ticket> wait_ticket_;
  Executor::TimerId retry_timer_ = 0;
  bool is_loading_ = false;
  bool is_draining_ = false;
};

}  // namespace doppel::events
