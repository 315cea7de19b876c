#include "cli/live_events.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "base/task.h"
#include "net/amqp_connection.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/socket_stream.h"
#include "net/tls.h"

namespace doppel::cli {
namespace {

// Until all partitions are read; the user's time limit if that is less.
constexpr Duration kConnectTimeout = std::chrono::seconds(10);
constexpr Duration kCloseTimeout = std::chrono::seconds(1);
constexpr Duration kLookAgain = std::chrono::hours(1);  // where there is no limit
constexpr int kWakeSignal = SIGUSR1;                    // from the loop to the thread that waits

// Blocks signals for this thread and those it starts, so that sigtimedwait gets them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, kWakeSignal}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  // Whoever could wake this thread has ended. A wake that came too late would end the process.
  ~BlockedSignals() {
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, kWakeSignal);
    const timespec at_once{};
    while (sigtimedwait(&wake, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // A signal, or nothing after `most`.
  std::optional<int> wait(Duration most) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (most - seconds).count()};
    for (;;) {
      const int signal = sigtimedwait(&set_, nullptr, &limit);
      if (signal > 0) return signal;
      if (errno != EINTR) return std::nullopt;
    }
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

Result<std::shared_ptr<const net::TlsContext>> make_tls(const std::string& ca_file) {
  std::ifstream file(ca_file);
  if (!file)
    return fail(Code::not_found,
                fmt::format("cannot read the CA file {} that the CLI profile names", ca_file));
  net::TlsClientConfig config;
  config.ca_pem.assign(std::istreambuf_iterator<char>(file), {});
  return net::TlsContext::client(config);
}

// One connection and what runs on it; on one loop, which is stopped before this is destroyed.
class Live final : public net::StreamOwner {
 public:
  Live(net::Loop& loop, const Profile& profile, LiveEventsOptions options,
       std::function<void()> on_ready, std::function<bool(const amqp::MessageView&)> on_event,
       pthread_t waiting)
      : loop_(loop),
        profile_(profile),
        host_(options.events.host),
        on_ready_(std::move(on_ready)),
        on_event_(std::move(on_event)),
        waiting_(waiting),
        monitor_(std::move(options.events), clock_,
                 {.on_ready = [this] { ready(); },
                  .on_event = [this](const amqp::MessageView& event) { show(event); },
                  .on_end = [this](Status status) { end(std::move(status)); }}) {}

  void start(std::vector<net::SocketAddress> addresses,
             std::shared_ptr<const net::TlsContext> tls) {
    addresses_ = std::move(addresses);
    tls_ = std::move(tls);
    dial("no address to connect to");
  }
  void stop() { monitor_.stop(); }

  bool has_ended() const { return has_ended_.load(); }
  bool is_ready() const { return is_ready_.load(); }
  SteadyTime last_sign() const { return SteadyTime(Duration(last_sign_.load())); }
  // After has_ended().
  Status take_outcome() { return std::move(outcome_); }
  void on_gone(net::SocketStream&) override { stream_.reset(); }

 private:
  void dial(std::string last) {
    while (next_address_ < addresses_.size()) {
      const auto& address = addresses_[next_address_++];
      const auto fd = net::start_connect(address);
      if (!fd) {
        last = fd.error().message;
        continue;
      }
      stream_ = std::make_shared<net::SocketStream>(loop_, *fd, address, limits_,
                                                    static_cast<net::StreamOwner&>(*this));
      auto connection = std::make_shared<net::AmqpConnection>(
          stream_, monitor_,
          amqp::EngineOptions{.container_id = net::new_amqp_container_id(),
                              .hostname = host_,
                              .sasl_mechanism = "ANONYMOUS"});
      monitor_.watch(connection->engine().shared_from_this());
      stream_->set_receiver(std::move(connection));
      stream_->start_client(tls_.get(), profile_.host);
      return;
    }
    end(fail(Code::unavailable, std::move(last)));
  }

  void ready() {
    touch();
    is_ready_ = true;
    pthread_kill(waiting_, kWakeSignal);  // from now on it waits for something else
    if (on_ready_) on_ready_();
    renew_later();
  }
  void renew_later() {
    loop_.post_after(kMonitorTokenRenewal, [this] {
      if (has_ended_) return;
      monitor_.renew();
      renew_later();
    });
  }
  void show(const amqp::MessageView& event) {
    touch();
    if (!on_event_(event)) monitor_.stop();
  }
  void touch() { last_sign_ = clock_.steady().time_since_epoch().count(); }
  void end(Status status) {
    if (has_ended_) return;
    outcome_ = std::move(status);
    has_ended_ = true;
    pthread_kill(waiting_, kWakeSignal);
  }

  net::Loop& loop_;
  const Profile& profile_;
  std::string host_;
  std::function<void()> on_ready_;
  std::function<bool(const amqp::MessageView&)> on_event_;
  pthread_t waiting_;
  SystemClock clock_;
  net::StreamLimits limits_{};
  EventMonitor monitor_;
  std::vector<net::SocketAddress> addresses_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::shared_ptr<net::SocketStream> stream_;
  std::size_t next_address_ = 0;
  std::atomic<std::int64_t> last_sign_{0};
  std::atomic<bool> is_ready_{false};
  Status outcome_{};
  std::atomic<bool> has_ended_{false};
};

// Waits for the answer to our close, but not for long: the user has seen enough.
Status close_and_wait(net::Loop& loop, Live& live, const BlockedSignals& signals) {
  const SystemClock clock;
  const auto end = clock.steady() + kCloseTimeout;
  loop.post([&live] { live.stop(); });
  while (!live.has_ended()) {
    const auto left = end - clock.steady();
    if (left.count() <= 0) return {};
    const auto signal = signals.wait(left);
    if (signal && *signal != kWakeSignal) return {};  // the user is impatient
  }
  return live.take_outcome();
}

// Until the end, a signal of the user's, or the time limit.
Status wait_for_end(net::Loop& loop, Live& live, const BlockedSignals& signals, Duration timeout) {
  const SystemClock clock;
  const bool is_limited = timeout.count() != 0;
  const auto connected_by =
      clock.steady() + (is_limited ? std::min(timeout, kConnectTimeout) : kConnectTimeout);
  while (!live.has_ended()) {
    const bool is_ready = live.is_ready();
    const auto now = clock.steady();
    auto end = is_ready ? live.last_sign() + timeout : connected_by;
    if (is_ready && !is_limited) end = now + kLookAgain;
    if (end <= now) {
      if (is_ready) return close_and_wait(loop, live, signals);
      return fail(Code::timeout, "no answer within the time limit");
    }
    const auto signal = signals.wait(end - now);
    if (signal && *signal != kWakeSignal) return close_and_wait(loop, live, signals);
  }
  return live.take_outcome();
}

}  // namespace

Status watch_events(const Profile& profile, LiveEventsOptions options,
                    std::function<void()> on_ready,
                    std::function<bool(const amqp::MessageView&)> on_event) {
  auto tls = make_tls(profile.ca_file);
  if (!tls) return fail(std::move(tls.error()));
  const BlockedSignals signals;
  const Duration timeout = options.timeout;
  net::Resolver resolver;
  // The connection ends before its loop does, and its loop before what it calls.
  std::unique_ptr<Live> live;
  net::Loops loops(1);
  net::Loop& loop = loops.at(0);
  live = std::make_unique<Live>(loop, profile, std::move(options), std::move(on_ready),
                                std::move(on_event), pthread_self());
  loop.post([&] {
    spawn(resolver.find(profile.host, profile.amqp_port),
          [&live = *live, tls = *tls](Result<std::vector<net::SocketAddress>> found) mutable {
            live.start(found ? std::move(*found) : std::vector<net::SocketAddress>{},
                       std::move(tls));
          });
  });
  auto outcome = wait_for_end(loop, *live, signals, timeout);
  loops.stop();
  if (!outcome && outcome.error().code == Code::unavailable)
    return fail(Code::unavailable, fmt::format("no events from {}:{}: {}", profile.host,
                                               profile.amqp_port, outcome.error().message));
  return outcome;
}

}  // namespace doppel::cli
