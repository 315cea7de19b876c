// A producer's link: its messages become events, and are accepted once they are on disk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "events/wire/event_message.h"
#include "events/wire/hub_link.h"
#include "events/wire/producers.h"
#include "store/store.h"

namespace doppel::events {

// Where a sender's events go.
struct SenderTarget {
  std::uint32_t partitions = 0;
  std::optional<std::uint32_t> partition{};  // as the address has it
  std::string publisher{};                   // as the address has it
};

class SenderLink final : public HubLink {
 public:
  // `producer_id`: of an idempotent producer, whose deliveries are taken one by one.
  SenderLink(EventHubContext& context, std::shared_ptr<amqp::Link> link, LinkGrant grant,
             SenderTarget target, std::optional<std::int64_t> producer_id);

  // Answers the attach.
  void begin(amqp::AttachReply reply);

  void on_message(const amqp::Delivery& delivery) override;
  void on_detached(const amqp::Condition* why) override;

 private:
  struct Produced {
    std::uint32_t delivery;
    ProducerMark mark;
    std::vector<std::string> records;
  };

  std::shared_ptr<SenderLink> self() {
    return std::static_pointer_cast<SenderLink>(shared_from_this());
  }
  std::uint32_t partition_for(const IncomingEvents& events);
  void append(std::uint32_t delivery, IncomingEvents events);
  void append_in_turn(std::uint32_t delivery, IncomingEvents events);
  void next_in_turn();
  void on_produced(std::uint32_t delivery, const Result<Arrival>& arrival);

  SenderTarget target_;
  std::vector<store::StreamName> streams_;  // by partition
  std::optional<std::int64_t> producer_id_;
  std::deque<Produced> in_turn_;  // the first is being appended; bounded by the link's credit
};

}  // namespace doppel::events
