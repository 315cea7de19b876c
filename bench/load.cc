// Loads an MQTT server over TLS with many devices on one loop and says how long each operation
// took.
//
//   doppel_load MODE KEY=VALUE...
//     mode connect   `count` connects of devices, `parallel` at a time: TLS, CONNECT, CONNACK, end
//     mode publish   `count` devices send QoS 1 messages for `seconds`, `window` unacknowledged
//     each mode idle      `count` devices connect and stay silent
//   host port ca     of the server                        group_key prefix   device PREFIX-i has
//   the bytes            of a message's payload                                  key derived from
//   it
//
// publish and idle print "ready" once all are connected and go on when a line comes on standard
// input; whoever measures the server reads its counters in between. The result is one line of JSON.

#include <algorithm>
#include <charconv>
#include <deque>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "net/dial.h"
#include "net/mqtt_client.h"
#include "security/sas.h"

namespace doppel::bench {
namespace {

// Below the range of ephemeral ports of one local address (28,000).
constexpr std::size_t kConnectionsPerAddress = 4000;
constexpr std::uint16_t kKeepAlive_s = 1200;
constexpr auto kTokenLife = std::chrono::hours(4);
constexpr std::size_t kFailuresShown = 3;

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

class Load {
 public:
  Load(net::Loop& loop, const Settings& settings) : loop_(loop), settings_(settings) {
    std::ifstream file(settings.text("ca"));
    const std::string ca_pem(std::istreambuf_iterator<char>(file), {});
    auto tls = net::TlsContext::client({.ca_pem = ca_pem});
    if (!tls) throw std::runtime_error(tls.error().message);
    tls_ = std::move(*tls);
    prepare_devices();
  }

  // Connects every device once; those stay open unless `is_closing`. Loop's thread.
  void connect_all(bool is_closing, std::promise<void>& done) {
    is_closing_ = is_closing;
    done_ = &done;
    const std::size_t parallel = std::min(settings_.number("parallel", 32), devices_.size());
    for (std::size_t i = 0; i < parallel; ++i) connect_next();
  }

  void publish_all(std::promise<void>& done) {
    done_ = &done;
    took_ms_.clear();
    deadline_ = clock_.steady() + std::chrono::seconds(settings_.number("seconds", 5));
    for (auto& device : devices_)
      for (std::size_t i = 0; i < settings_.number("window", 16); ++i) publish_next(device);
    finish_if_done();
  }

  void close_all() {
    for (auto& device : devices_)
      if (device.client) device.client->disconnect();
  }

  std::string result(Duration took) {
    std::sort(took_ms_.begin(), took_ms_.end());
    const auto at = [&](double share) {
      return took_ms_.empty() ? 0.0
                              : took_ms_[static_cast<std::size_t>(
                                    share * static_cast<double>(took_ms_.size() - 1))];
    };
    return fmt::format(
        R"({{"count":{},"failures":{},"seconds":{:.3f},"p50_ms":{:.3f},"p99_ms":{:.3f},"max_ms":{:.3f}}})",
        took_ms_.size(), failures_, std::chrono::duration<double>(took).count(), at(0.5), at(0.99),
        at(1));
  }

  std::size_t failures() const { return failures_; }

 private:
  struct Device {
    std::string id;
    std::string topic;
    std::string token;
    std::shared_ptr<net::MqttClient> client;
    std::deque<std::pair<std::uint16_t, SteadyTime>> sent;
  };

  // Tokens are made before the clock runs.
  void prepare_devices() {
    const auto host = settings_.text("host");
    const auto count = settings_.number("count", 50);
    devices_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto& device = devices_[i];
      device.id = fmt::format("{}-{}", settings_.text("prefix"), i + 1);
      device.topic = fmt::format(
          "devices/{}/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8", device.id);
      const auto key = security::derive_device_key(settings_.text("group_key"), device.id);
      if (!key) throw std::runtime_error(key.error().message);
      auto token = security::make_sas(fmt::format("{}/devices/{}", host, device.id), *key,
                                      security::KeyForm::base64, "", clock_.now() + kTokenLife);
      if (!token) throw std::runtime_error(token.error().message);
      device.token = std::move(*token);
    }
    payload_ = R"({"Temperature":21.5,"pad":")";
    const auto bytes = std::max(settings_.number("bytes", 64), payload_.size() + 2);
    payload_.append(bytes - payload_.size() - 2, 'x').append("\"}");
  }

  std::shared_ptr<net::MqttClient> make_client(std::size_t index) {
    auto& device = devices_[index];
    net::MqttClientOptions options{.host = settings_.text("host"), .addresses = {}, .tls = tls_};
    const auto port = static_cast<std::uint16_t>(settings_.number("port", 8883));
    options.addresses = {*net::SocketAddress::parse("127.0.0.1", port)};
    options.from =
        net::SocketAddress::parse(fmt::format("127.0.0.{}", 2 + index / kConnectionsPerAddress), 0);
    options.connect_timeout = std::chrono::seconds(60);
    options.connect.client_id = device.id;
    options.connect.user_name =
        fmt::format("{}/{}/?api-version=2021-04-12", options.host, device.id);
    options.connect.password = device.token;
    options.connect.keep_alive_s = kKeepAlive_s;
    net::MqttClient::Handlers handlers;
    handlers.on_puback = [this, index](std::uint16_t id) { on_puback(devices_[index], id); };
    handlers.on_closed = [this](std::string_view reason) { on_closed(reason); };
    return net::MqttClient::create(loop_, std::move(options), std::move(handlers));
  }

  void connect_next() {
    if (next_ == devices_.size()) return;
    const std::size_t index = next_++;
    const auto began = clock_.steady();
    auto client = make_client(index);
    spawn(client->connect(), [this, client, index, began](const Result<mqtt::Connack>& answer) {
      ++finished_;
      if (!answer) {
        note_failure(answer.error().message);
      } else if (answer->code != mqtt::ConnectReturn::accepted) {
        note_failure(fmt::format("CONNACK {}", static_cast<int>(answer->code)));
      } else {
        took_ms_.push_back(millis_since(began));
        if (is_closing_)
          client->disconnect();
        else
          devices_[index].client = client;
      }
      connect_next();
      if (finished_ == devices_.size()) finish();
    });
  }

  void publish_next(Device& device) {
    mqtt::Publish message{.qos = 1, .topic = device.topic, .payload = payload_};
    const auto sent_at = clock_.steady();
    const auto id = device.client ? device.client->publish_now(std::move(message)) : std::nullopt;
    if (!id) return note_failure("cannot publish");
    device.sent.emplace_back(*id, sent_at);
    ++in_flight_;
  }

  void on_puback(Device& device, std::uint16_t id) {
    const auto found = std::find_if(device.sent.begin(), device.sent.end(),
                                    [&](const auto& one) { return one.first == id; });
    if (found == device.sent.end()) return note_failure("PUBACK of nothing");
    took_ms_.push_back(millis_since(found->second));
    device.sent.erase(found);
    --in_flight_;
    if (clock_.steady() < deadline_)
      publish_next(device);
    else
      finish_if_done();
  }

  // A connection that ends while messages wait would leave the run without an end.
  void on_closed(std::string_view reason) {
    if (in_flight_ == 0) return;
    note_failure(reason);
    in_flight_ = 0;
    finish();
  }

  void finish_if_done() {
    if (in_flight_ == 0) finish();
  }
  void finish() {
    if (auto* const done = std::exchange(done_, nullptr)) done->set_value();
  }
  void note_failure(std::string_view reason) {
    if (++failures_ <= kFailuresShown) std::cerr << "doppel_load: " << reason << "\n";
  }
  double millis_since(SteadyTime began) const {
    return std::chrono::duration<double, std::milli>(clock_.steady() - began).count();
  }

  net::Loop& loop_;
  const Settings& settings_;
  SystemClock clock_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::string payload_;
  std::vector<Device> devices_;
  std::vector<double> took_ms_;
  std::promise<void>* done_ = nullptr;
  SteadyTime deadline_{};
  std::size_t next_ = 0, finished_ = 0, in_flight_ = 0, failures_ = 0;
  bool is_closing_ = false;
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
  Load load(loop, settings);
  const bool is_closing = settings.mode == "connect";
  if (is_closing) wait_for_line();
  auto took = run_step(loop, [&](auto& done) { load.connect_all(is_closing, done); });
  if (!is_closing) wait_for_line();
  if (settings.mode == "publish")
    took = run_step(loop, [&](auto& done) { load.publish_all(done); });
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
  if (settings.mode != "connect" && settings.mode != "publish" && settings.mode != "idle") {
    std::cerr << "doppel_load connect|publish|idle KEY=VALUE...\n";
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
    std::cerr << "doppel_load: " << error.what() << "\n";
    return 1;
  }
}
