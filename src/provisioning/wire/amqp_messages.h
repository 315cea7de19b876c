// What devices and DPS write to each other over AMQP (dps.md section 1.5): names, requests, replies
// and refusals. No connection, no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/amqp/service.h"
#include "protocol/amqp/value.h"
#include "provisioning/wire/device_api.h"

namespace doppel::provisioning {

// Properties and annotations around the body; more than that is no request of any SDK.
inline constexpr std::size_t kAmqpEnvelopeSizeMax = 8 * 1024;

// "{idScope}/registrations/{id}": the user of SASL PLAIN, the host name of SASL TPM and the address
// of both links (as amqp::node_of gives it).
struct AmqpDeviceName {
  std::string id_scope;
  std::string registration_id;

  // Registration IDs compare without case.
  bool is_same(const AmqpDeviceName& other) const;
};
// Nothing when it is not of that form. Percent-escapes are decoded.
std::optional<AmqpDeviceName> parse_device_name(std::string_view text);

struct AmqpRequest {
  // As the device wrote it, type included; null: it wrote none (C).
  amqp::Value correlation_id{};
  // Of a poll; a registration has none.
  std::optional<std::string> operation_id{};
  // Of a registration, may be empty. Of a poll it is noise, and every SDK makes a different one.
  std::string body{};
};

// Errors: BadRequest, with a text for the client.
Result<AmqpRequest> read_request(std::string_view message);

// The reply: a data section, which is all that C takes; the hint under both names that clients look
// for, each with case.
std::string make_reply(const DeviceAnswer& answer, const amqp::Value& correlation_id);

// What a refusal (status 400 and above) is to an AMQP client: the error JSON as description, which
// .NET takes apart, and the hint where Node looks for it.
amqp::Condition refusal_of(const DeviceAnswer& answer);

}  // namespace doppel::provisioning
