#include "provisioning/wire/amqp_device.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "errors/dps.h"
#include "protocol/amqp/errors.h"
#include "provisioning/wire/amqp_tpm.h"
#include "provisioning/wire/proof.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kApiVersion = "com.microsoft:api-version";
// C names none; it is what most others send.
constexpr std::string_view kApiVersionDefault = "2019-03-31";

std::optional<std::string> api_version_of(const amqp::Attach& attach) {
  const auto* value = attach.properties ? attach.properties->find(kApiVersion) : nullptr;
  const auto* text = value == nullptr ? nullptr : value->text_if();
  if (text == nullptr) return std::nullopt;
  return *text;
}

}  // namespace

// What a connection's links and requests under way share; kept in the connection's slot. On the
// connection's executor only.
class AmqpDeviceService::Device : public std::enable_shared_from_this<Device> {
 public:
  Device(std::shared_ptr<amqp::Connection> connection, AmqpDeviceName name, DeviceApi& api,
         Random& random)
      : connection_(std::move(connection)), name_(std::move(name)), api_(api), random_(random) {}

  const AmqpDeviceName& name() const { return name_; }
  DeviceApi& api() { return api_; }

  // Each request has a tracking ID of its own.
  DeviceCall make_call() const {
    DeviceCall made = call;
    made.tracking_id = random_.uuid();
    return made;
  }
  amqp::Condition refuse(const ServiceError& error, std::string text) const {
    const Error why = fail(error, std::move(text)).error();
    return refusal_of(api_.refuse(make_call(), why));
  }
  void close(amqp::Condition why) { connection_->close(std::move(why)); }

  // Whoever has not proven itself in time is left.
  void start_timer() {
    connection_->executor().post_after(kUnprovenLife, [weak = weak_from_this(), turn = ++timer_] {
      const auto self = weak.lock();
      if (self && self->timer_ == turn && !self->is_proven && self->running == 0)
        self->close(self->refuse(errors::dps::kUnauthorized, "no good registration in time"));
    });
  }
  // Of a request that was answered with this status.
  void count_answer(int status) {
    if (status == 401) {
      is_refused = true;
      start_timer();
    } else if (status < 400) {
      is_proven = true;
    }
  }

  std::shared_ptr<Replies> replies_for(std::uint16_t session) const;
  std::size_t busy() const;

  DeviceCall call;  // without tracking ID
  std::vector<std::shared_ptr<Replies>> replies;
  std::size_t links = 0;
  std::size_t running = 0;  // requests
  bool is_proven = false;
  bool is_refused = false;  // one request was answered with 401; there is no second

 private:
  std::shared_ptr<amqp::Connection> connection_;  // a cycle until the slots are cleared
  AmqpDeviceName name_;
  DeviceApi& api_;
  Random& random_;
  std::uint32_t timer_ = 0;  // the last one that was started
};

// The link on which replies go out.
class AmqpDeviceService::Replies final : public amqp::LinkHandler {
 public:
  Replies(std::shared_ptr<Device> device, std::shared_ptr<amqp::Link> link)
      : device_(std::move(device)), session_(link->session()), link_(std::move(link)) {}

  std::uint16_t session() const { return session_; }
  std::size_t waiting() const { return waiting_.size(); }

  void send(std::string reply) {
    if (link_ == nullptr) return;
    waiting_.push_back(std::move(reply));
    on_can_send();
  }
  void on_can_send() override {
    while (!waiting_.empty() && link_ != nullptr && link_->can_send()) {
      const std::string_view piece = waiting_.front();
      link_->send({&piece, 1}, {});
      waiting_.pop_front();
    }
  }
  void on_detached(const amqp::Condition*) override {
    link_.reset();
    waiting_.clear();
    if (const auto device = std::exchange(device_, nullptr)) {
      --device->links;
      std::erase_if(device->replies, [this](const auto& other) { return other.get() == this; });
    }
  }

 private:
  std::shared_ptr<Device> device_;
  std::uint16_t session_;
  std::shared_ptr<amqp::Link> link_;
  std::deque<std::string> waiting_;  // for credit; counted in Device::busy()
};

std::shared_ptr<AmqpDeviceService::Replies> AmqpDeviceService::Device::replies_for(
    std::uint16_t session) const {
  const auto same =
      std::ranges::find_if(replies, [&](const auto& link) { return link->session() == session; });
  if (same != replies.end()) return *same;
  return replies.empty() ? nullptr : replies.back();
}

std::size_t AmqpDeviceService::Device::busy() const {
  std::size_t sum = running;
  for (const auto& link : replies) sum += link->waiting();
  return sum;
}

// The link on which requests come in.
class AmqpDeviceService::Requests final : public amqp::LinkHandler,
                                          public std::enable_shared_from_this<Requests> {
 public:
  Requests(std::shared_ptr<Device> device, std::shared_ptr<amqp::Link> link)
      : device_(std::move(device)), link_(std::move(link)) {}

  void on_message(const amqp::Delivery& delivery) override {
    auto& device = *device_;
    if (device.is_refused || (!device.is_proven && device.running > 0)) {
      return device.close(
          device.refuse(errors::dps::kUnauthorized, "a second request without proof"));
    }
    auto request = read(delivery.payload);
    if (!request) {
      return link_->reject(delivery.id,
                           refusal_of(device.api().refuse(device.make_call(), request.error())));
    }
    ++device.running;
    auto correlation = std::move(request->correlation_id);
    auto asked = ask(device_, *std::move(request));
    spawn(std::move(asked),
          [self = shared_from_this(), id = delivery.id, correlation = std::move(correlation)](
              const DeviceAnswer& answer) { self->answer(id, correlation, answer); });
  }

  void on_detached(const amqp::Condition*) override {
    --device_->links;
    is_over_ = true;
  }

 private:
  Result<AmqpRequest> read(std::string_view message) const {
    const auto& device = *device_;
    if (device.busy() >= kRequestsInFlightMax)
      return fail(errors::dps::kThrottled, "too many requests at once on one connection");
    if (device.replies.empty())
      return fail(errors::dps::kBadRequest, "there is no link to send the reply on");
    if (!is_api_version(device.call.api_version))
      return fail(errors::dps::kBadRequest, "the links name an api-version that is none");
    return read_request(message);
  }

  static Task<DeviceAnswer> ask(std::shared_ptr<Device> device, AmqpRequest request) {
    DeviceCall call = device->make_call();
    if (!request.operation_id) {
      co_return co_await device->api().register_device(std::move(call), std::move(request.body));
    }
    co_return co_await device->api().poll(std::move(call), *std::move(request.operation_id));
  }

  // The verdict leaves before the reply: C's client counts on it. It acknowledges a request, not
  // data; what must be durable is told in the reply.
  void answer(std::uint32_t id, const amqp::Value& correlation, const DeviceAnswer& answer) {
    --device_->running;
    device_->count_answer(answer.status);
    if (is_over_) return;
    if (answer.status >= 400) return link_->reject(id, refusal_of(answer));
    link_->accept(id);
    if (const auto replies = device_->replies_for(link_->session()))
      replies->send(make_reply(answer, correlation));
  }

  std::shared_ptr<Device> device_;
  std::shared_ptr<amqp::Link> link_;
  bool is_over_ = false;
};

std::shared_ptr<AmqpDeviceService::Device> AmqpDeviceService::make_device(
    amqp::Connection& connection, const AmqpDeviceName& name, Proof proof) {
  auto device = std::make_shared<Device>(connection.share(), name, api_, provisioning_.random());
  device->call.instance = provisioning_.find_by_scope(name.id_scope);
  device->call.id = RegistrationId(name.registration_id);
  device->call.proof = std::move(proof);
  device->call.api_version = kApiVersionDefault;
  device->call.transport = "amqp";
  device->call.peer = connection.peer().address;
  connection.slot(this) = device;
  return device;
}

void AmqpDeviceService::present(amqp::Connection& connection, const AmqpDeviceName& name,
                                Proof proof) {
  make_device(connection, name, std::move(proof));
}

void AmqpDeviceService::present(amqp::Connection& connection, const AmqpDeviceName& name,
                                std::string sas_token) {
  present(connection, name, proof_of(&connection.peer(), std::move(sas_token)));
}

std::unique_ptr<amqp::SaslExchange> AmqpDeviceService::start_exchange(
    const std::shared_ptr<amqp::Connection>& connection, std::string_view mechanism) {
  if (mechanism != kTpmMechanism) return nullptr;
  return std::make_unique<TpmExchange>(
      provisioning_, connection, [this](amqp::Connection& peer, TpmPresented presented) {
        present(peer,
                {.id_scope = std::move(presented.id_scope),
                 .registration_id = std::move(presented.registration_id)},
                std::move(presented.proof));
      });
}

void AmqpDeviceService::open(std::shared_ptr<amqp::Connection> connection,
                             std::move_only_function<void(std::optional<amqp::Condition>)> answer) {
  const auto device = std::static_pointer_cast<Device>(connection->slot(this));
  if (device == nullptr) return answer(std::nullopt);
  if (const auto refused = device->api().check(device->call))
    return answer(refusal_of(device->api().refuse(device->make_call(), *refused)));
  auto proving =
      provisioning_.registrar().prove(device->call.instance, device->call.id, device->call.proof);
  spawn(std::move(proving), [device,
                             answer = std::move(answer)](const Result<Proven>& proven) mutable {
    if (!proven)
      return answer(refusal_of(device->api().refuse_proof(device->make_call(), proven.error())));
    device->api().accept_proof(device->call);
    device->is_proven = true;
    answer(std::nullopt);
  });
}

void AmqpDeviceService::on_attach(std::shared_ptr<amqp::Link> link) {
  const auto name = parse_device_name(link->address());
  if (!name)
    return link->refuse(amqp::make_condition(amqp::condition::kNotFound, "no such node here"));
  auto& connection = link->connection();
  auto device = std::static_pointer_cast<Device>(connection.slot(this));
  if (device == nullptr) {
    // Nothing was said in SASL: a certificate, if anything, is the proof.
    device = make_device(connection, *name, proof_of(&connection.peer(), {}));
    device->start_timer();
  }
  if (!device->name().is_same(*name)) {
    return device->close(device->refuse(errors::dps::kUnauthorized,
                                        "a link is for another registration than its connection"));
  }
  if (device->links >= kAmqpLinksMax) {
    return link->refuse(amqp::make_condition(amqp::condition::kResourceLimitExceeded,
                                             "The connection has as many links as it may."));
  }
  ++device->links;
  if (const auto version = api_version_of(link->request())) device->call.api_version = *version;
  if (link->is_inbound()) {
    auto requests = std::make_shared<Requests>(std::move(device), link);
    return link->attach(std::move(requests),
                        {.max_message_size = kMessageSizeMax + kAmqpEnvelopeSizeMax,
                         .credit = kRequestsInFlightMax});
  }
  auto replies = std::make_shared<Replies>(device, link);
  device->replies.push_back(replies);
  link->attach(std::move(replies), {});
}

}  // namespace doppel::provisioning
