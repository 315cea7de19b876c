// The SASL mechanism TPM, server's side (dps.md section 2.4): the device names itself and its TPM's
// keys, gets a challenge for the TPM in a few segments and answers with a token.
//
//   C: 00 idScope 00 registrationId 00 endorsement key    S: 00
//   C: 00 storage root key                                S: 80 | last 40 | sequence, up to 470
//   bytes C: 00 (to each but the last segment)                  S: the next segment C: 00 token (to
//   the last)                             S: outcome
//
// A client may send its keys in segments of the same form (C does when they are long); each but the
// last is answered with 00. Nothing is proven here: whoever takes what was presented checks it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "protocol/amqp/service.h"
#include "provisioning/wire/device_api.h"

namespace doppel::provisioning {

inline constexpr std::string_view kTpmMechanism = "TPM";
// Bytes of a segment's content: SASL frames have up to 512 (OASIS AMQP 1.0, part 5, section 5.3.1).
inline constexpr std::size_t kTpmSegmentSize = 470;
// .NET compares a counter with the sequence's two bits.
inline constexpr std::size_t kTpmSegmentsMax = 4;
// Bytes that a client may send in segments: a scope, an ID and a key.
inline constexpr std::size_t kTpmGatheredMax = 2048;

// What the exchange ended with.
struct TpmPresented {
  std::string id_scope;
  std::string registration_id;
  Proof proof;
};

class TpmExchange final : public amqp::SaslExchange {
 public:
  using Present = std::function<void(amqp::Connection& connection, TpmPresented presented)>;

  // `provisioning` outlives the exchange. `present` is called once, on the connection's executor,
  // before the exchange is accepted.
  TpmExchange(Provisioning& provisioning, const std::shared_ptr<amqp::Connection>& connection,
              Present present);

  // Refuses (outcome 1) where no challenge can be made: what cannot be read. An unknown scope or ID
  // and another endorsement key get one that proves nothing.
  void respond(std::string response, Answer answer) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace doppel::provisioning
