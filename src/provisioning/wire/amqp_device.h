// The device API over AMQP (dps.md section 1.5). A connection belongs to one registration ID, which
// it tells in SASL or, with a certificate, by the address of its links:
//
//   SASL PLAIN  user {idScope}/registrations/{id}, password a token; SASL TPM: amqp_tpm.h
//   links       both at {idScope}/registrations/{id}: requests on the one, replies on the other
//   request     application property iotdps-operation-type, correlation ID, JSON as data
//   reply       same correlation ID, JSON as data; an error is a rejected request
//
// A refusal at SASL would hide its reason from every SDK, one at attach leaves Node's client hang:
// so the peer is let in, and told after its open or by rejecting its first request.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "protocol/amqp/service.h"
#include "provisioning/wire/amqp_messages.h"
#include "provisioning/wire/device_api.h"

namespace doppel::provisioning {

// Two are what every client attaches.
inline constexpr std::size_t kAmqpLinksMax = 8;

class AmqpDeviceService final : public amqp::Service {
 public:
  // `provisioning` outlives the service, which outlives its connections.
  explicit AmqpDeviceService(Provisioning& provisioning)
      : provisioning_(provisioning), api_(provisioning) {}

  // What the peer brought in SASL, whatever mechanism carried it; open() judges it. Once for a
  // connection.
  void present(amqp::Connection& connection, const AmqpDeviceName& name, Proof proof);
  void present(amqp::Connection& connection, const AmqpDeviceName& name, std::string sas_token);

  // A SASL mechanism of several rounds was chosen, which is TPM; null: refused.
  std::unique_ptr<amqp::SaslExchange> start_exchange(
      const std::shared_ptr<amqp::Connection>& connection, std::string_view mechanism);

  // The peer's open came: the condition to close with when what it presented is not good. Peers
  // that presented nothing are let in.
  void open(std::shared_ptr<amqp::Connection> connection,
            std::move_only_function<void(std::optional<amqp::Condition>)> answer);

  // Links whose address parse_device_name() takes.
  void on_attach(std::shared_ptr<amqp::Link> link) override;

 private:
  class Device;
  class Replies;
  class Requests;

  std::shared_ptr<Device> make_device(amqp::Connection& connection, const AmqpDeviceName& name,
                                      Proof proof);

  Provisioning& provisioning_;
  DeviceApi api_;
};

}  // namespace doppel::provisioning
