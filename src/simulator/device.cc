#include "simulator/device.h"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"
#include "security/sas.h"

namespace doppel::simulator {
namespace {

constexpr auto kTokenLife = std::chrono::hours(1);
constexpr std::uint16_t kKeepAlive_s = 180;
constexpr std::string_view kResponsePrefix = "$dps/registrations/res/";
constexpr Duration kAnswerWait = std::chrono::seconds(60);
constexpr int kPollsMax = 60;

int number_after(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return 0;
  int value = 0;
  std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), value);
  return value;
}

}  // namespace

// Where the answer to a request over MQTT arrives. Shared with the client's handlers, which may
// outlive the request.
struct Device::Mailbox {
  std::move_only_function<void(Result<Answer>)> waiting;

  void deliver(Result<Answer> answer) {
    if (waiting) std::exchange(waiting, nullptr)(std::move(answer));
  }
};

Device::Device(net::Loop& loop, const World& world, std::string registration_id)
    : loop_(loop), world_(world), registration_id_(std::move(registration_id)) {}

Result<std::string> Device::device_key() const {
  return security::derive_device_key(world_.group_key, registration_id_);
}

Task<Result<std::shared_ptr<net::MqttClient>>> Device::open(std::string client_id, std::string user,
                                                            std::string password,
                                                            net::MqttClient::Handlers handlers) {
  net::MqttClientOptions options{
      .host = world_.host, .addresses = world_.addresses, .tls = world_.tls};
  options.connect.protocol_name = "MQTT";
  options.connect.client_id = std::move(client_id);
  options.connect.user_name = std::move(user);
  options.connect.password = std::move(password);
  options.connect.keep_alive_s = kKeepAlive_s;
  auto client = net::MqttClient::create(loop_, std::move(options), std::move(handlers));
  auto connack = co_await client->connect();
  if (!connack) co_return fail(std::move(connack.error()));
  if (connack->code != mqtt::ConnectReturn::accepted)
    co_return fail(Code::unauthenticated,
                   fmt::format("the server refused the connection with code {}",
                               static_cast<int>(connack->code)));
  co_return client;
}

Task<Result<Device::Answer>> Device::ask(net::MqttClient& client, Mailbox& mailbox,
                                         std::string topic, std::string body) {
  mqtt::Publish request{.qos = 1, .topic = std::move(topic)};
  request.payload = std::move(body);
  std::move_only_function<void(std::move_only_function<void(Result<Answer>)>)> start =
      [&](std::move_only_function<void(Result<Answer>)> done) {
        mailbox.waiting = std::move(done);
        if (!client.publish_now(std::move(request)))
          mailbox.deliver(fail(Code::unavailable, "the connection is gone"));
      };
  co_return co_await from_callback<Result<Answer>>(std::move(start));
}

Task<Result<Assignment>> Device::provision() {
  auto key = device_key();
  if (!key) co_return fail(std::move(key.error()));
  const std::string resource =
      fmt::format("{}/registrations/{}", world_.id_scope, registration_id_);
  auto token = security::make_sas(resource, *key, security::KeyForm::base64, "registration",
                                  SystemClock().now() + kTokenLife);
  if (!token) co_return fail(std::move(token.error()));

  auto mailbox = std::make_shared<Mailbox>();
  net::MqttClient::Handlers handlers;
  handlers.on_message = [mailbox](const mqtt::PublishView& message) {
    if (!message.topic.starts_with(kResponsePrefix)) return;
    auto body = json::parse(message.payload);
    mailbox->deliver(Answer{.status = number_after(message.topic, kResponsePrefix),
                            .retry_after_s = number_after(message.topic, "retry-after="),
                            .body = body ? std::move(*body) : json::Value(nullptr)});
  };
  handlers.on_closed = [mailbox](std::string_view reason) {
    mailbox->deliver(fail(Code::unavailable, fmt::format("DPS closed the connection: {}", reason)));
  };
  auto client = co_await open(registration_id_,
                              resource + "/api-version=2019-03-31&ClientVersion=doppel-simulator",
                              *token, std::move(handlers));
  if (!client) co_return fail(std::move(client.error()));
  auto subscribed =
      co_await (*client)->subscribe({{.topic = "$dps/registrations/res/#", .qos = 1}});
  if (!subscribed) co_return fail(std::move(subscribed.error()));

  const auto timer = loop_.post_after(
      kAnswerWait, [mailbox] { mailbox->deliver(fail(Code::timeout, "DPS did not answer")); });
  const json::Value body = json::Object{{"registrationId", registration_id_},
                                        {"payload", json::Object{{"modelId", world_.model_id}}}};
  auto answer = co_await ask(**client, *mailbox, "$dps/registrations/PUT/iotdps-register/?$rid=1",
                             json::write(body));
  for (int poll = 0; answer && answer->status == 202 && poll < kPollsMax; ++poll) {
    co_await sleep_for(std::chrono::seconds(std::max(answer->retry_after_s, 1)));
    const std::string operation = json::get_string_or(answer->body, "operationId", "");
    answer = co_await ask(
        **client, *mailbox,
        fmt::format("$dps/registrations/GET/iotdps-get-operationstatus/?$rid={}&operationId={}",
                    poll + 2, operation),
        " ");
  }
  loop_.cancel(timer);
  (*client)->disconnect();
  if (!answer) co_return fail(std::move(answer.error()));
  const auto* state = json::find(answer->body, "registrationState");
  if (answer->status >= 300 || state == nullptr ||
      json::get_string_or(answer->body, "status", "") != "assigned")
    co_return fail(Code::unauthenticated,
                   fmt::format("DPS answered {}: {}", answer->status, json::write(answer->body)));
  co_return Assignment{.hub = json::get_string_or(*state, "assignedHub", ""),
                       .device_id = json::get_string_or(*state, "deviceId", "")};
}

Task<Status> Device::connect(Assignment assignment) {
  auto key = device_key();
  if (!key) co_return fail(std::move(key.error()));
  auto token =
      security::make_sas(fmt::format("{}/devices/{}", assignment.hub, assignment.device_id), *key,
                         security::KeyForm::base64, "", SystemClock().now() + kTokenLife);
  if (!token) co_return fail(std::move(token.error()));
  auto client =
      co_await open(assignment.device_id,
                    fmt::format("{}/{}/?api-version=2021-04-12&DeviceClientType=doppel-simulator",
                                assignment.hub, assignment.device_id),
                    *token, {});
  if (!client) co_return fail(std::move(client.error()));
  hub_ = std::move(*client);
  telemetry_topic_ = fmt::format(
      "devices/{}/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8", assignment.device_id);
  co_return Status{};
}

Task<Status> Device::send(double temperature) {
  mqtt::Publish message{.qos = 1, .topic = telemetry_topic_};
  message.payload = fmt::format(R"({{"Temperature":{:.2f}}})", temperature);
  co_return co_await hub_->publish(std::move(message));
}

void Device::disconnect() {
  if (hub_ != nullptr) hub_->disconnect();
}

}  // namespace doppel::simulator
