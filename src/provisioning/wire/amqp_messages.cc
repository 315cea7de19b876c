#include "provisioning/wire/amqp_messages.h"

#include <utility>

#include "base/encoding.h"
#include "errors/dps.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/message.h"

namespace doppel::provisioning {
namespace {

namespace condition = amqp::condition;

constexpr std::string_view kOperationType = "iotdps-operation-type";
constexpr std::string_view kOperationId = "iotdps-operation-id";
constexpr std::string_view kRegister = "iotdps-register";
constexpr std::string_view kPoll = "iotdps-get-operationstatus";

// Node and C look for the first, .NET for the second; both with case.
constexpr std::string_view kRetryAfter = "retry-after";
constexpr std::string_view kRetryAfterDotNet = "Retry-After";

// Node retries for this one and amqp:internal-error alone (its table of errors).
constexpr std::string_view kThrottled = "com.microsoft:device-container-throttled";

std::optional<std::string> find_text(const amqp::MessageView& message, std::string_view name) {
  const auto value = amqp::find_in(message.application_properties, name);
  const auto* text = value ? value->text_if() : nullptr;
  if (text == nullptr) return std::nullopt;
  return *text;
}

// Clients send data; a text or nothing at all says the same.
std::optional<std::string> body_of(const amqp::MessageView& message) {
  switch (message.body_kind) {
    case amqp::BodyKind::none:
      return std::string();
    case amqp::BodyKind::data: {
      std::string room;
      return std::string(amqp::joined_data(message, room));
    }
    case amqp::BodyKind::amqp_value: {
      const auto value = amqp::decode_body_value(message);
      if (!value.has_value()) return std::nullopt;
      if (value->is_null()) return std::string();
      if (const auto* text = value->text_if()) return *text;
      if (const auto* binary = value->get_if<amqp::Binary>()) return binary->bytes;
      return std::nullopt;
    }
    case amqp::BodyKind::amqp_sequence:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view condition_of(int status) {
  switch (status) {
    case 400:
      return condition::kArgumentError;
    case 401:
    case 403:
      return condition::kUnauthorizedAccess;
    case 404:
      return condition::kNotFound;
    case 413:
      return condition::kMessageSizeExceeded;
    case 429:
      return kThrottled;
    default:
      return status >= 500 ? condition::kInternalError : condition::kNotAllowed;
  }
}

}  // namespace

bool AmqpDeviceName::is_same(const AmqpDeviceName& other) const {
  return id_scope == other.id_scope && equal_ignoring_case(registration_id, other.registration_id);
}

std::optional<AmqpDeviceName> parse_device_name(std::string_view text) {
  const auto scope_end = text.find('/');
  if (scope_end == text.npos || scope_end == 0) return std::nullopt;
  auto scope = percent_decode(text.substr(0, scope_end));
  text.remove_prefix(scope_end + 1);
  constexpr std::string_view kRegistrations = "registrations/";
  if (!starts_with_ignoring_case(text, kRegistrations)) return std::nullopt;
  text.remove_prefix(kRegistrations.size());
  if (text.empty() || text.find('/') != text.npos) return std::nullopt;
  auto id = percent_decode(text);
  if (!scope || !id || id->empty()) return std::nullopt;
  return AmqpDeviceName{.id_scope = *std::move(scope), .registration_id = *std::move(id)};
}

Result<AmqpRequest> read_request(std::string_view message) {
  const auto refuse = [](std::string text) {
    return fail(errors::dps::kBadRequest, std::move(text));
  };
  const auto split = amqp::split_message(message);
  if (!split.has_value()) return refuse("no AMQP message: " + std::string(split.reason()));
  const auto properties = amqp::decode_properties(*split);
  if (!properties.has_value())
    return refuse("the properties cannot be read: " + std::string(properties.reason()));
  AmqpRequest request;
  if (properties->correlation_id) request.correlation_id = *properties->correlation_id;
  const auto type = find_text(*split, kOperationType);
  if (!type) return refuse("the application property iotdps-operation-type is missing");
  if (*type == kPoll) {
    request.operation_id = find_text(*split, kOperationId);
    if (!request.operation_id)
      return refuse("the application property iotdps-operation-id is missing");
    return request;
  }
  if (*type != kRegister) return refuse("iotdps-operation-type is none that is known");
  auto body = body_of(*split);
  if (!body) return refuse("the body must be a data section");
  request.body = *std::move(body);
  return request;
}

std::string make_reply(const DeviceAnswer& answer, const amqp::Value& correlation_id) {
  std::string out;
  amqp::MessageProperties properties;
  if (!correlation_id.is_null()) properties.correlation_id = correlation_id;
  amqp::append(out, properties);
  if (answer.retry_after_s > 0) {
    amqp::MapSectionWriter map(out, amqp::SectionCode::application_properties);
    for (const auto name : {kRetryAfter, kRetryAfterDotNet}) {
      map.string_key(name);
      amqp::append_int(out, answer.retry_after_s);
    }
    map.finish();
  }
  amqp::append_data_section(out, answer.body);
  return out;
}

amqp::Condition refusal_of(const DeviceAnswer& answer) {
  auto refusal = amqp::make_condition(condition_of(answer.status), answer.body);
  if (answer.retry_after_s > 0) {
    for (const auto name : {kRetryAfter, kRetryAfterDotNet})
      refusal.info.add_symbol(name, std::int32_t{answer.retry_after_s});
  }
  return refusal;
}

}  // namespace doppel::provisioning
