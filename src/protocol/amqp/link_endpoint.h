// Our end of one link: attach and detach, credit, and the state of the message that is under way
// (OASIS AMQP 1.0, part 2, section 2.6). Part of ConnectionEngine; services see it as Link.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/amqp/performative.h"
#include "protocol/amqp/service.h"
#include "protocol/amqp/session.h"

namespace doppel::amqp {

class LinkEndpoint final : public Link, public std::enable_shared_from_this<LinkEndpoint> {
 public:
  // The peer attached.
  LinkEndpoint(Session& session, std::uint32_t handle, Attach&& request);
  // We attach.
  LinkEndpoint(Session& session, std::uint32_t handle, LinkOptions&& options,
               std::shared_ptr<LinkHandler> handler);
  ~LinkEndpoint() override;

  Connection& connection() override;
  std::string_view name() const override { return name_; }
  std::string_view address() const override { return address_; }
  bool is_inbound() const override { return is_inbound_; }
  bool is_attached() const override { return state_ == State::attached; }
  std::uint16_t session() const override { return session_number_; }
  const Attach& request() const override;

  void attach(std::shared_ptr<LinkHandler> handler, AttachReply reply) override;
  void refuse(Condition why) override;
  void detach(std::optional<Condition> why) override;

  void accept(std::uint32_t id) override;
  void reject(std::uint32_t id, Condition why) override;
  void release(std::uint32_t id) override;
  void modify(std::uint32_t id, bool is_delivery_failed, bool is_undeliverable_here) override;
  void set_credit(std::uint32_t messages) override;

  bool can_send() const override;
  std::uint32_t credit() const override { return credit_; }
  std::uint32_t send(std::span<const std::string_view> pieces, const SendOptions& options) override;
  void drained() override;

 private:
  friend class ConnectionEngine;
  friend class Session;
  enum class State : std::uint8_t {
    attach_received,  // the service has it
    attach_sent,      // client: the peer has it
    attached,
    detach_sent,  // what still comes on it is ignored
    over,
  };

  // A message of the peer that is not whole yet.
  struct Assembly {
    std::string bytes{};
    std::string tag{};
    std::uint32_t id = 0;
    std::uint32_t message_format = 0;
    bool is_settled = false;
    bool is_oversize = false;  // its rest is thrown away
  };

  void send_own_attach();
  void on_peer_attach(const Attach& attach);
  void on_flow(const Flow& flow);
  void on_transfer(const Transfer& transfer, std::string_view payload);
  void on_peer_detach(const Detach& detach);
  // The session or connection ended: no frames any more.
  void end(const Condition* why);

  Attach reply_to(const Attach& request) const;
  void send_refusal(const std::optional<Condition>& why, bool is_closed);
  void send_detach(const std::optional<Condition>& why, bool is_closed);
  void tell_detached(const std::optional<Condition>& why);
  void owe_flow();
  void flush_flow();

  // Inbound.
  bool is_message_under_way() const { return assembly_ != nullptr; }
  bool is_assembling(std::uint32_t id) const { return assembly_ != nullptr && assembly_->id == id; }
  void first_transfer(const Transfer& transfer);
  void more_transfer(const Transfer& transfer, std::string_view payload);
  void deliver(const Delivery& delivery);
  void finish_oversize();
  void drop_assembly();
  std::uint32_t outstanding() const { return limit_ - delivery_count_; }
  void update_credit();
  void judged();
  void judge(std::uint32_t id, bool is_accepted);
  void judge_now(std::uint32_t id, DeliveryState state);

  // Outbound.
  void pump();
  void on_verdict(std::uint32_t id, const Verdict& verdict);
  void write_frames(std::span<const std::string_view> pieces, Transfer& transfer);
  void continue_send();
  std::string take_remainder();

  std::shared_ptr<ConnectionEngine> engine_;
  Session* session_ = nullptr;  // null once the link is over
  std::string name_;
  std::string address_;
  std::unique_ptr<Attach> request_;  // until it is answered
  std::shared_ptr<LinkHandler> handler_;
  std::uint32_t handle_ = 0;
  std::optional<std::uint32_t> peer_handle_{};
  std::uint32_t delivery_count_ = 0;
  std::uint16_t session_number_ = 0;
  State state_ = State::attach_received;
  bool is_inbound_ = false;
  bool owes_flow_ = false;
  bool owes_drain_flow_ = false;

  // Inbound.
  std::uint64_t max_message_size_ = 0;  // 0: no limit
  std::uint32_t limit_ = 0;             // the delivery count at which the peer's credit ends
  std::uint32_t limit_max_ = 0;         // the furthest limit that was ever given
  std::uint32_t window_ = 0;            // what the service wants under way
  std::uint32_t unjudged_ = 0;
  std::unique_ptr<Assembly> assembly_;  // while a message of several frames is under way

  // Outbound.
  std::uint32_t credit_ = 0;
  std::uint32_t next_tag_ = 0;
  bool sends_settled_ = false;  // snd-settle-mode leaves no choice
  bool is_draining_ = false;
  bool is_drain_told_ = false;
  mutable bool is_waiting_ = true;  // for can_send() to become true
  std::string remainder_;           // of a message that found the session window closed
};

}  // namespace doppel::amqp
