// IoT Hub's door for AMQP devices: who is on the connection (a token on $cbs, SASL PLAIN, or the
// certificate of the handshake), and whose link it is. A connection may serve many devices, as
// .NET's pools do: each link is judged by itself (iot-hub.md section 2).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hub/hubs.h"
#include "hub/wire/amqp_names.h"
#include "protocol/amqp/cbs.h"
#include "protocol/amqp/service.h"

namespace doppel::hub {

// .NET puts at most 995 into one connection of a pool.
inline constexpr std::size_t kDevicesOfConnectionMax = 1000;

// Any thread; outlives every connection.
class AmqpService final : public amqp::Service {
 public:
  explicit AmqpService(HubService& hubs) : hubs_(hubs) {}

  // SASL PLAIN with the user of a device: as amqp::Container.
  void authenticate(std::shared_ptr<amqp::Connection> connection,
                    amqp::PlainCredentials credentials, std::move_only_function<void(bool)> answer);
  // A token for "{host}/devices/{id}...": as amqp::TokenAuthority. Renews the device's time when it
  // is connected here.
  void verify_token(std::shared_ptr<amqp::Connection> connection, amqp::TokenRequest request,
                    amqp::TokenAuthority::Answer answer);
  // A token for "{host}": the claim for all its devices when a policy that may speak for them
  // signed it.
  std::optional<amqp::Claim> claim_for_all_devices(const amqp::TokenRequest& request) const;

  // Links at "devices/..." and, not there yet, "messages/...".
  void on_attach(std::shared_ptr<amqp::Link> link) override;

 private:
  struct Peer;
  struct Attaching;
  struct Found {
    HubName hub;
    DeviceGrant grant;
  };

  std::shared_ptr<Peer> peer_of(amqp::Connection& connection);
  void admit_next(std::shared_ptr<Peer> peer);
  Task<void> admit(std::shared_ptr<Peer> peer, Attaching attaching);
  Task<Result<Found>> prove(std::shared_ptr<amqp::Connection> connection,
                            AmqpDeviceAddress address);
  Task<Result<Found>> prove_by_token(std::vector<HubName> hubs, AmqpDeviceAddress address,
                                     std::string token);
  void refuse(amqp::Link& link, const AmqpDeviceAddress& address, const Error& error) const;

  HubService& hubs_;
};

}  // namespace doppel::hub
