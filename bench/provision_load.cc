// Provisions many devices over MQTT and TLS, each once, on one loop, and says how long each took.
//
//   doppel_provision_load KIND KEY=VALUE...
//     KIND  key           devices of a group with symmetric keys
//           self_signed   devices with a certificate of their own each, for individual enrollments
//           intermediate  devices with a certificate below root and intermediate; they send both
//     host port ca scope  of the server          count parallel   devices, and how many at a time
//     prefix              device PREFIX-i        group_key        with KIND key
//     dir                 where certificates go: identity.pem and identity.key.pem of one device,
//                         certificates.json with what has to be enrolled: each leaf, or the
//                         intermediate and the root
//
// Prints "made" once the certificates are there and "ready" when all is prepared; goes on each time
// when a line comes on standard input. The result is one line of JSON.

#include <algorithm>
#include <charconv>
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
#include "json/value.h"
#include "net/dial.h"
#include "net/mqtt_client.h"
#include "security/certificate_testing.h"
#include "security/sas.h"

namespace doppel::bench {
namespace {

namespace certificates = security::testing;

constexpr auto kTokenLife = std::chrono::hours(4);
constexpr std::size_t kFailuresShown = 3;
constexpr std::string_view kResponses = "$dps/registrations/res/";

struct Settings {
  std::string kind;
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

struct Device {
  std::string id;
  std::string token;
  net::CertifiedKey identity{};
  std::shared_ptr<const net::TlsContext> tls{};
  std::shared_ptr<net::MqttClient> client{};
  SteadyTime began{};
};

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The devices with what they prove themselves by.
class Fleet {
 public:
  explicit Fleet(const Settings& settings) : settings_(settings) {
    for (std::size_t i = 1; i <= settings.number("count", 100); ++i)
      devices_.push_back({.id = fmt::format("{}-{}", settings.text("prefix"), i), .token = {}});
    if (settings.kind == "key")
      make_tokens();
    else
      make_certificates();
  }

  void make_contexts() {
    const std::string ca = read_text(settings_.text("ca"));
    std::shared_ptr<const net::TlsContext> shared;
    for (Device& device : devices_) {
      if (!shared || !device.identity.chain_pem.empty()) {
        auto made = net::TlsContext::client({.ca_pem = ca, .identity = device.identity});
        if (!made) throw std::runtime_error(made.error().message);
        shared = *made;
      }
      device.tls = shared;
    }
  }

  std::vector<Device>& devices() { return devices_; }

 private:
  void make_tokens() {
    for (Device& device : devices_) {
      const auto key = security::derive_device_key(settings_.text("group_key"), device.id);
      if (!key) throw std::runtime_error(key.error().message);
      auto token = security::make_sas(
          fmt::format("{}/registrations/{}", settings_.text("scope"), device.id), *key,
          security::KeyForm::base64, "registration", SystemClock().now() + kTokenLife);
      if (!token) throw std::runtime_error(token.error().message);
      device.token = *std::move(token);
    }
  }

  void make_certificates() {
    const bool is_below = settings_.kind == "intermediate";
    const auto root = certificates::issue(certificates::ca("bench root"));
    const auto above = certificates::issue(certificates::ca("bench intermediate"), &root);
    json::Array enrolled;
    for (Device& device : devices_) {
      const auto leaf =
          certificates::issue(certificates::leaf(device.id), is_below ? &above : nullptr);
      device.identity = {.chain_pem = leaf.certificate.pem(), .key_pem = leaf.key_pem()};
      if (is_below)
        device.identity.chain_pem += above.certificate.pem();
      else
        enrolled.push_back(json::Value(leaf.certificate.pem()));
    }
    if (is_below)
      enrolled = {json::Value(above.certificate.pem()), json::Value(root.certificate.pem())};
    const auto write = [&](std::string_view name, const std::string& text) {
      std::ofstream(fmt::format("{}/{}", settings_.text("dir"), name)) << text;
    };
    write("certificates.json", json::write(enrolled));
    write("identity.pem", devices_.front().identity.chain_pem);
    write("identity.key.pem", devices_.front().identity.key_pem);
  }

  const Settings& settings_;
  std::vector<Device> devices_;
};

class Load {
 public:
  Load(net::Loop& loop, const Settings& settings, Fleet& fleet)
      : loop_(loop), settings_(settings), devices_(fleet.devices()) {}

  // Loop's thread.
  void start(std::promise<void>& done) {
    done_ = &done;
    const std::size_t parallel = std::min(settings_.number("parallel", 8), devices_.size());
    for (std::size_t i = 0; i < parallel; ++i) next();
  }

  std::string result(Duration took) {
    std::sort(took_ms_.begin(), took_ms_.end());
    const auto at = [&](double share) {
      if (took_ms_.empty()) return 0.0;
      return took_ms_[static_cast<std::size_t>(share * static_cast<double>(took_ms_.size() - 1))];
    };
    return fmt::format(
        R"({{"count":{},"failures":{},"seconds":{:.3f},"p50_ms":{:.3f},"p99_ms":{:.3f}}})",
        took_ms_.size(), failures_, std::chrono::duration<double>(took).count(), at(0.5), at(0.99));
  }
  std::size_t failures() const { return failures_; }

 private:
  void next() {
    if (next_ == devices_.size()) return;
    const std::size_t index = next_++;
    Device& device = devices_[index];
    net::MqttClientOptions options{
        .host = settings_.text("host"), .addresses = {}, .tls = device.tls};
    const auto port = static_cast<std::uint16_t>(settings_.number("port", 8883));
    options.addresses = {*net::SocketAddress::parse("127.0.0.1", port)};
    options.connect_timeout = std::chrono::seconds(60);
    options.connect.client_id = device.id;
    options.connect.user_name = fmt::format("{}/registrations/{}/api-version=2019-03-31",
                                            settings_.text("scope"), device.id);
    if (!device.token.empty()) options.connect.password = device.token;
    options.connect.keep_alive_s = 180;
    net::MqttClient::Handlers handlers;
    handlers.on_message = [this, index](const mqtt::PublishView& message) {
      on_message(index, message);
    };
    handlers.on_closed = [this, index](std::string_view reason) { end(index, reason); };
    device.began = clock_.steady();
    device.client = net::MqttClient::create(loop_, std::move(options), std::move(handlers));
    spawn(device.client->connect(), [this, index](const Result<mqtt::Connack>& answer) {
      if (!answer || answer->code != mqtt::ConnectReturn::accepted)
        return end(index, answer ? "the connection was refused" : answer.error().message);
      on_connected(index);
    });
  }

  void on_connected(std::size_t index) {
    const auto client = devices_[index].client;
    auto subscribing = client->subscribe({{.topic = std::string(kResponses) + "#", .qos = 1}});
    spawn(std::move(subscribing), [this, index, client](const Status& done) {
      if (!done) return end(index, done.error().message);
      mqtt::Publish request{.qos = 1, .topic = "$dps/registrations/PUT/iotdps-register/?$rid=1"};
      request.payload = fmt::format(R"({{"registrationId":"{}"}})", devices_[index].id);
      if (!client->publish_now(std::move(request))) end(index, "cannot publish");
    });
  }

  void on_message(std::size_t index, const mqtt::PublishView& message) {
    const bool is_assigned = message.topic.starts_with(std::string(kResponses) + "200/") &&
                             message.payload.contains(R"("status":"assigned")");
    end(index, is_assigned ? std::string_view() : message.payload);
  }

  // Once for each device; empty: it is assigned.
  void end(std::size_t index, std::string_view trouble) {
    Device& device = devices_[index];
    const auto client = std::exchange(device.client, nullptr);
    if (!client) return;
    if (trouble.empty()) {
      const Duration took = clock_.steady() - device.began;
      took_ms_.push_back(std::chrono::duration<double, std::milli>(took).count());
    } else if (++failures_ <= kFailuresShown) {
      std::cerr << "doppel_provision_load: " << device.id << ": " << trouble << "\n";
    }
    client->disconnect();
    if (++finished_ == devices_.size()) return std::exchange(done_, nullptr)->set_value();
    next();
  }

  net::Loop& loop_;
  const Settings& settings_;
  SystemClock clock_;
  std::vector<Device>& devices_;
  std::vector<double> took_ms_;
  std::promise<void>* done_ = nullptr;
  std::size_t next_ = 0, finished_ = 0, failures_ = 0;
};

void say_and_wait(std::string_view what) {
  std::cout << what << std::endl;
  std::string line;
  std::getline(std::cin, line);
}

int run(const Settings& settings) {
  net::prepare_process();
  Fleet fleet(settings);
  say_and_wait("made");
  fleet.make_contexts();
  net::Loops loops(1);
  net::Loop& loop = loops.at(0);
  Load load(loop, settings, fleet);
  say_and_wait("ready");
  SystemClock clock;
  std::promise<void> done;
  auto ended = done.get_future();
  const auto began = clock.steady();
  loop.post([&] { load.start(done); });
  ended.wait();
  say_and_wait(load.result(clock.steady() - began));
  loops.stop();
  return load.failures() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  doppel::bench::Settings settings;
  if (argc > 1) settings.kind = argv[1];
  if (settings.kind != "key" && settings.kind != "self_signed" && settings.kind != "intermediate") {
    std::cerr << "doppel_provision_load key|self_signed|intermediate KEY=VALUE...\n";
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
    std::cerr << "doppel_provision_load: " << error.what() << "\n";
    return 1;
  }
}
