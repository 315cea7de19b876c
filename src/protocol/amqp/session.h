// One AMQP session: transfer windows and delivery ids of both directions, and the links on it
// (OASIS AMQP 1.0, part 2, section 2.5). Part of ConnectionEngine; lives on its executor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/amqp/delivery_ring.h"
#include "protocol/amqp/performative.h"
#include "protocol/amqp/service.h"

namespace doppel::amqp {

class ConnectionEngine;
class LinkEndpoint;

// Client role: a link to open. Sender and receiver are named from our side.
struct LinkOptions {
  std::string name{};
  bool is_sender = false;
  std::optional<Source> source{};
  std::optional<Target> target{};
  Map properties{};
  std::vector<std::string> desired_capabilities{};
  SenderSettleMode snd_settle_mode = SenderSettleMode::mixed;
  ReceiverSettleMode rcv_settle_mode = ReceiverSettleMode::first;
  std::uint32_t credit = kCreditDefault;  // of a receiver
  std::uint64_t max_message_size = 0;     // 0: no limit of ours
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(ConnectionEngine& engine, std::uint16_t channel);
  ~Session();

  // Client role: sends attach. on_attached or on_detached of the handler follows. Null when no
  // handle is left or the session is over.
  std::shared_ptr<Link> attach(LinkOptions options, std::shared_ptr<LinkHandler> handler);
  // Ends it; its links with it.
  void end(std::optional<Condition> why);

 private:
  friend class ConnectionEngine;
  friend class LinkEndpoint;
  enum class State : std::uint8_t { begin_sent, mapped, end_sent, over };

  // The number of our first transfer, as in traces of the real service.
  static constexpr std::uint32_t kFirstTransfer = 1;

  // A delivery of the peer that no verdict was sent for; or one of ours.
  struct Entry {
    LinkEndpoint* link = nullptr;
    std::uint32_t bytes = 0;
    bool is_with_service = false;  // whole, and counted as not judged
    explicit operator bool() const { return link != nullptr; }
  };
  // Verdicts that wait for the flush: accepted and released ones, as ranges.
  struct Range {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    bool is_accepted = true;
  };

  void send_begin(std::optional<std::uint16_t> remote_channel);
  void on_begin(const Begin& begin);
  void on_attach(Attach&& attach);
  void on_flow(const Flow& flow);
  void on_transfer(const Transfer& transfer, std::string_view payload);
  void on_disposition(const Disposition& disposition);
  void on_detach(const Detach& detach);
  void on_end(const End& end);
  // Ends the links without frames and tells their handlers.
  void drop_links(const Condition* why);

  // Incoming deliveries.
  bool takes_delivery_id(const Transfer& transfer, LinkEndpoint& link);
  void take_incoming(std::uint32_t id, std::uint32_t bytes);
  bool settle_incoming(std::uint32_t id, const LinkEndpoint& link);
  void queue_verdict(std::uint32_t id, bool is_accepted);
  void send_verdict(std::uint32_t id, DeliveryState state);
  bool is_full() const;

  // Outgoing transfers.
  bool can_transfer() const;
  void count_transfer();

  void flush();
  void flush_verdicts();
  void mark_dirty();
  void owe_flow();
  // A flow with the session's fields filled in.
  Flow flow_state() const;

  std::shared_ptr<LinkEndpoint> awaiting(const Attach& attach) const;
  std::shared_ptr<LinkEndpoint> namesake(const Attach& attach) const;
  LinkEndpoint* link_of(std::uint32_t peer_handle) const;
  std::optional<std::uint32_t> free_handle();
  void map_peer_handle(std::uint32_t peer_handle, LinkEndpoint* link);
  void forget(LinkEndpoint& link);
  void release_deliveries(const LinkEndpoint& link);

  ConnectionEngine* engine_;  // outlives the sessions it holds; null when it let go of this one
  std::uint16_t channel_;     // we send on it
  std::optional<std::uint16_t> peer_channel_{};  // the peer sends on it
  State state_ = State::mapped;
  bool is_dirty_ = false;
  bool owes_flow_ = false;

  // We receive.
  std::uint32_t next_incoming_id_ = 0;
  std::uint32_t incoming_window_ = 0;
  bool has_incoming_ids_ = false;  // the first delivery id was seen
  DeliveryRing<Entry> incoming_;
  std::vector<Range> verdicts_;
  // We send.
  std::uint32_t next_outgoing_id_ = kFirstTransfer;
  std::uint32_t peer_window_ = 0;
  std::uint32_t peer_handle_max_ = 0xffffffff;
  DeliveryRing<Entry> outgoing_;
  LinkEndpoint* partial_ = nullptr;  // its message waits in the middle for the window

  std::vector<std::shared_ptr<LinkEndpoint>> links_;  // by our handle; gaps are null
  std::vector<LinkEndpoint*> by_peer_handle_;
};

}  // namespace doppel::amqp
