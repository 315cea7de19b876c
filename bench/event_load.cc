// Loads a server of events over plain TCP, all connections on one loop, and says how long it took.
//
//   doppel_event_load MODE KEY=VALUE...
//     mode send      `clients` connections write for `seconds`, `window` messages under way on each
//     mode receive   `clients` connections read until they have `count` events together
//     mode latency   one connection writes, another reads: one event at a time for `seconds`
//     mode idle      `clients` connections read where nothing comes
//   protocol         amqp or nats
//   port user password
//   bytes            of an event's payload
//   batch            events in a message: AMQP with format=eventhubs as Event Hubs has them, else
//                    one payload of so many events' bytes
//   write read filter filter_value logs per_group     see EventClientOptions
//
// Prints "ready" once all are connected (idle: reading) and goes on when a line comes on standard
// input; whoever measures the server reads its counters in between. The result is one line of JSON;
// its count is of messages.

#include <algorithm>
#include <charconv>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "event_client.h"
#include "protocol/amqp/message.h"

namespace doppel::bench {
namespace {

constexpr std::size_t kFailuresShown = 3;
constexpr std::size_t kConnectsAtOnce = 16;

struct Settings {
  std::string mode;
  std::map<std::string, std::string, std::less<>> texts;

  std::string text(std::string_view name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? std::string() : found->second;
  }
  std::size_t number(std::string_view name, std::size_t otherwise) const {
    const auto value = text(name);
    std::size_t parsed = otherwise;
    std::from_chars(value.data(), value.data() + value.size(), parsed);
    return parsed;
  }
};

std::string make_message(const Settings& settings) {
  const std::string payload(settings.number("bytes", 1024), 'x');
  const std::size_t batch = settings.number("batch", 1);
  std::string joined;
  for (std::size_t i = 0; i < batch; ++i) joined += payload;
  if (settings.text("protocol") == "nats") return joined;
  std::string message;
  if (batch > 1 && settings.text("format") == "eventhubs") {
    std::string event;
    amqp::append_data_section(event, payload);
    for (std::size_t i = 0; i < batch; ++i) amqp::append_data_section(message, event);
  } else {
    amqp::append_data_section(message, joined);
  }
  return message;
}

class EventLoad final : public EventSink {
 public:
  EventLoad(net::Loop& loop, const Settings& settings) : loop_(loop), settings_(settings) {
    const bool is_latency = settings_.mode == "latency";
    writers_.resize(is_latency ? 2 : settings_.number("clients", 4));
    const auto message = make_message(settings_);
    for (std::size_t i = 0; i < writers_.size(); ++i) add_client(i, message);
  }

  // Each step runs on the loop, and `done` is set at its end.
  void connect_all(std::promise<void>& done) {
    expect_ready(done);
    is_connecting_ = true;
    for (std::size_t i = 0; i < kConnectsAtOnce; ++i) connect_next();
  }
  void open_writers(std::promise<void>& done) {
    expect_ready(done);
    if (settings_.mode == "latency") {
      ready_ = clients_.size() - 1;
      clients_.front()->open_writer();
    } else {
      for (auto& client : clients_) client->open_writer();
    }
  }
  void open_readers(std::promise<void>& done) {
    expect_ready(done);
    if (settings_.mode == "latency") {
      ready_ = clients_.size() - 1;
      clients_.back()->open_reader();
    } else {
      for (auto& client : clients_) client->open_reader();
    }
  }
  void send_all(std::promise<void>& done) {
    begin(done);
    for (std::size_t i = 0; i < writers_.size(); ++i) fill(i);
  }
  void read_all(std::promise<void>& done) {
    begin(done);
    ready_ = 0;
    for (auto& client : clients_) client->open_reader();
  }
  void time_all(std::promise<void>& done) {
    begin(done);
    send_timed();
  }
  void close_all() {
    for (auto& client : clients_) client->close();
  }

  std::size_t failures() const { return failures_; }
  std::string result(Duration took) {
    std::sort(took_ms_.begin(), took_ms_.end());
    const auto at = [&](double share) {
      return took_ms_.empty() ? 0.0
                              : took_ms_[static_cast<std::size_t>(
                                    share * static_cast<double>(took_ms_.size() - 1))];
    };
    return fmt::format(
        R"({{"count":{},"failures":{},"seconds":{:.3f},"p50_ms":{:.3f},"p99_ms":{:.3f}}})", count_,
        failures_, std::chrono::duration<double>(took).count(), at(0.5), at(0.99));
  }

  void on_ready(std::size_t) override {
    ++ready_;
    if (is_connecting_) connect_next();
    if (wanted_ready_ != 0 && ready_ == wanted_ready_) {
      wanted_ready_ = 0;
      is_connecting_ = false;
      finish();
    }
  }
  void on_can_send(std::size_t index) override {
    if (is_running_ && settings_.mode == "send") fill(index);
  }
  void on_ack(std::size_t index) override {
    if (settings_.mode == "latency") return;
    auto& sent = writers_[index].sent;
    if (sent.empty()) return on_failure("an acknowledgement of nothing");
    took_ms_.push_back(millis_since(sent.front()));
    sent.pop_front();
    ++count_;
    --under_way_;
    if (clock_.steady() < deadline_)
      fill(index);
    else if (under_way_ == 0)
      finish();
  }
  void on_event(std::size_t) override {
    if (!is_running_) return;
    ++count_;
    if (settings_.mode == "receive") {
      if (count_ == settings_.number("count", 1)) finish();
    } else if (settings_.mode == "latency") {
      took_ms_.push_back(millis_since(timed_at_));
      if (clock_.steady() < deadline_)
        send_timed();
      else
        finish();
    }
  }
  // What is lost would leave the run without an end.
  void on_failure(std::string_view why) override {
    if (++failures_ <= kFailuresShown) std::cerr << "doppel_event_load: " << why << "\n";
    finish();
  }

 private:
  struct Writer {
    std::deque<SteadyTime> sent;
  };

  void add_client(std::size_t index, const std::string& message) {
    const auto log =
        settings_.mode == "latency" ? 0 : index % settings_.number("logs", writers_.size());
    const auto group = index / settings_.number("per_group", writers_.size());
    const auto named = [&](std::string_view name) {
      return fmt::format(fmt::runtime(settings_.text(name)), log, group);
    };
    const bool is_batch = settings_.number("batch", 1) > 1;
    const bool has_format = is_batch && settings_.text("format") == "eventhubs";
    EventClientOptions options{
        .address = *net::SocketAddress::parse(
            "127.0.0.1", static_cast<std::uint16_t>(settings_.number("port", 5672))),
        .index = index,
        .user = settings_.text("user"),
        .password = settings_.text("password"),
        .write_to = named("write"),
        .read_from = named("read"),
        .filter_name = settings_.text("filter"),
        .filter_value = settings_.text("filter_value"),
        .is_from_start = settings_.mode == "receive",
        .message_format = has_format ? amqp::kBatchMessageFormat : 0,
        .message = message};
    clients_.push_back(settings_.text("protocol") == "nats"
                           ? make_nats_client(loop_, *this, std::move(options))
                           : make_amqp_client(loop_, *this, std::move(options)));
  }

  void expect_ready(std::promise<void>& done) {
    done_ = &done;
    ready_ = 0;
    next_ = 0;
    wanted_ready_ = clients_.size();
  }
  void connect_next() {
    if (is_connecting_ && next_ < clients_.size()) clients_[next_++]->connect();
  }
  void begin(std::promise<void>& done) {
    done_ = &done;
    is_running_ = true;
    deadline_ = clock_.steady() + std::chrono::seconds(settings_.number("seconds", 5));
  }
  void fill(std::size_t index) {
    auto& sent = writers_[index].sent;
    while (is_running_ && sent.size() < settings_.number("window", 64)) {
      const auto now = clock_.steady();
      if (now >= deadline_ || !clients_[index]->send()) return;
      sent.push_back(now);
      ++under_way_;
    }
  }
  void send_timed() {
    timed_at_ = clock_.steady();
    if (!clients_.front()->send()) on_failure("cannot send");
  }
  void finish() {
    if (auto* const done = std::exchange(done_, nullptr)) {
      is_running_ = false;
      done->set_value();
    }
  }
  double millis_since(SteadyTime began) const {
    return std::chrono::duration<double, std::milli>(clock_.steady() - began).count();
  }

  net::Loop& loop_;
  const Settings& settings_;
  SystemClock clock_;
  std::vector<std::shared_ptr<EventClient>> clients_;
  std::vector<Writer> writers_;
  std::vector<double> took_ms_;
  std::promise<void>* done_ = nullptr;
  SteadyTime deadline_{}, timed_at_{};
  std::size_t next_ = 0, ready_ = 0, wanted_ready_ = 0;
  std::size_t count_ = 0, under_way_ = 0, failures_ = 0;
  bool is_connecting_ = false, is_running_ = false;
};

void wait_for_line() {
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);
}

// Runs one step on the loop and waits for its end; yields the time it took.
template <class Step>
Duration run_step(net::Loop& loop, Step step) {
  SystemClock clock;
  std::promise<void> done;
  auto ended = done.get_future();
  const auto began = clock.steady();
  loop.post([&] { step(done); });
  ended.wait();
  return clock.steady() - began;
}

int run(const Settings& settings) {
  net::prepare_process();
  net::Loops loops(1);
  net::Loop& loop = loops.at(0);
  EventLoad load(loop, settings);
  const auto is_mode = [&](std::string_view mode) { return settings.mode == mode; };
  auto took = run_step(loop, [&](auto& done) { load.connect_all(done); });
  if ((is_mode("latency") || is_mode("idle")) && load.failures() == 0)
    run_step(loop, [&](auto& done) { load.open_readers(done); });
  if ((is_mode("latency") || is_mode("send")) && load.failures() == 0)
    run_step(loop, [&](auto& done) { load.open_writers(done); });
  wait_for_line();
  if (load.failures() == 0) {
    took = run_step(loop, [&](auto& done) {
      if (is_mode("send")) return load.send_all(done);
      if (is_mode("receive")) return load.read_all(done);
      if (is_mode("latency")) return load.time_all(done);
      done.set_value();
    });
  }
  std::cout << load.result(took) << std::endl;
  std::string line;
  std::getline(std::cin, line);
  run_step(loop, [&](auto& done) {
    load.close_all();
    done.set_value();
  });
  loops.stop();
  return load.failures() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  doppel::bench::Settings settings;
  if (argc > 1) settings.mode = argv[1];
  if (settings.mode != "send" && settings.mode != "receive" && settings.mode != "latency" &&
      settings.mode != "idle") {
    std::cerr << "doppel_event_load send|receive|latency|idle KEY=VALUE...\n";
    return 2;
  }
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto equals = argument.find('=');
    if (equals == std::string::npos) continue;
    settings.texts[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  try {
    return doppel::bench::run(settings);
  } catch (const std::exception& error) {
    std::cerr << "doppel_event_load: " << error.what() << "\n";
    return 1;
  }
}
