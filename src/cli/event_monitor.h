// The client's side of reading an event hub to its end and on: proves a key on $cbs, then receives
// from every partition. Protocol only; who owns the connection gives it bytes and time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/amqp/connection.h"
#include "protocol/amqp/message.h"
#include "protocol/amqp/session.h"

namespace doppel::cli {

struct EventMonitorOptions {
  std::string host;    // of the event hub, without a port
  std::string entity;  // the event hub, or a built-in endpoint's Event Hub-compatible name
  std::string consumer_group = "$Default";
  std::vector<std::string> partitions;
  std::string key_name;
  std::string key;
  TimePoint from{};  // events that were enqueued later
};

// For how long a token is good, and how often a new one is put: well before the old one ends.
inline constexpr Duration kMonitorTokenLife = std::chrono::hours(1);
inline constexpr Duration kMonitorTokenRenewal = std::chrono::minutes(45);

// One thread: the engine's. Outlives the engine that it observes.
class EventMonitor final : public amqp::ClientObserver {
 public:
  struct Handlers {
    // All partitions are being read.
    std::function<void()> on_ready;
    // One event. The view is valid during the call.
    std::function<void(const amqp::MessageView&)> on_event;
    // The end, once: an error says why. Nothing is called after it.
    std::function<void(Status)> on_end;
  };

  EventMonitor(EventMonitorOptions options, const Clock& clock, Handlers handlers);
  ~EventMonitor() override;

  // The engine that this is the observer of; before it is started.
  void watch(std::shared_ptr<amqp::ConnectionEngine> engine) { engine_ = std::move(engine); }
  // Puts a new token. To be called every kMonitorTokenRenewal.
  void renew();
  // Closes the connection; on_end follows without an error.
  void stop();

  void on_open(const amqp::Open& open) override;
  void on_closed(const amqp::Condition* why) override;

 private:
  class RequestLink;
  class ReplyLink;
  class PartitionLink;

  void put_token();
  void on_token_reply(std::string_view payload);
  void receive_all();
  void on_partition_attached();
  void on_message(std::string_view payload);
  // Remembers the first reason and closes.
  void give_up(Error why);
  void give_up(std::string_view what, const amqp::Condition* why);

  EventMonitorOptions options_;
  const Clock& clock_;
  Handlers handlers_;
  std::shared_ptr<amqp::ConnectionEngine> engine_;
  std::shared_ptr<amqp::Session> session_;
  std::shared_ptr<amqp::Link> request_;
  std::vector<std::shared_ptr<amqp::Link>> receivers_;
  std::size_t attached_ = 0;
  std::uint64_t requests_ = 0;
  bool is_reply_attached_ = false;
  bool is_receiving_ = false;
  bool is_token_due_ = false;
  bool is_stopping_ = false;
  bool is_ended_ = false;
  Status outcome_{};
};

}  // namespace doppel::cli
