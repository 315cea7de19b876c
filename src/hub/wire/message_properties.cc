#include "hub/wire/message_properties.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"

namespace doppel::hub {
namespace {

constexpr std::string_view kAppHeaderPrefix = "iothub-app-";

Status set_expiry(events::Event& event, std::string_view text) {
  const auto time = parse_iso8601(text);
  if (!time)
    return fail(Code::invalid_argument, fmt::format("the expiry '{}' is no ISO 8601 time", text));
  event.absolute_expiry = *time;
  return {};
}

enum class Target : std::uint8_t {
  message_id,
  correlation_id,
  user_id,
  to,
  expiry,
  content_type,
  content_encoding,
  annotation,
  property,
  dropped
};
struct Rule {
  std::string_view name;
  Target target;
  std::string_view event_name;  // of an annotation or an application property
};

// iot-hub.md section 1.5.
constexpr Rule kBagRules[] = {
    {"$.mid", Target::message_id, ""},
    {"$.cid", Target::correlation_id, ""},
    {"$.uid", Target::user_id, ""},
    {"$.to", Target::to, ""},
    {"$.exp", Target::expiry, ""},
    {"$.ct", Target::content_type, ""},
    {"$.ce", Target::content_encoding, ""},
    {"$.ctime", Target::property, "iothub-creation-time-utc"},
    {"$.on", Target::property, "iothub-outputname"},
    {"$.schema", Target::property, "iothub-message-schema"},
    {"$.sub", Target::annotation, "dt-subject"},
    {"$.ifid", Target::annotation, "iothub-interface-id"},
    {"$.diagid", Target::annotation, "Diagnostic-Id"},
    {"$.diagctx", Target::annotation, "Correlation-Context"},
    // The hub says who sent a message; a device cannot.
    {"$.cdid", Target::dropped, ""},
    {"$.cmid", Target::dropped, ""},
};

// Section 3; header names compare without case.
constexpr Rule kHeaderRules[] = {
    {"IoTHub-MessageId", Target::message_id, ""},
    {"IoTHub-CorrelationId", Target::correlation_id, ""},
    {"IoTHub-UserId", Target::user_id, ""},
    {"IoTHub-To", Target::to, ""},
    {"IoTHub-Expiry", Target::expiry, ""},
    {"iothub-contenttype", Target::content_type, ""},
    {"iothub-contentencoding", Target::content_encoding, ""},
    {"IoTHub-Ack", Target::property, "iothub-ack"},
    {"iothub-interface-id", Target::annotation, "iothub-interface-id"},
    {"dt-subject", Target::annotation, "dt-subject"},
};

Status apply(events::Event& event, const Rule& rule, std::string_view value) {
  switch (rule.target) {
    case Target::message_id:
      event.message_id = value;
      break;
    case Target::correlation_id:
      event.correlation_id = value;
      break;
    case Target::user_id:
      event.user_id = value;
      break;
    case Target::to:
      event.to = value;
      break;
    case Target::expiry:
      return set_expiry(event, value);
    case Target::content_type:
      event.content_type = value;
      break;
    case Target::content_encoding:
      event.content_encoding = value;
      break;
    case Target::annotation:
      event.annotations.emplace_back(rule.event_name, value);
      break;
    case Target::property:
      event.application_properties.emplace_back(rule.event_name, value);
      break;
    case Target::dropped:
      break;
  }
  return {};
}

}  // namespace

Status apply_bag(events::Event& event, const mqtt::PropertyBag& bag) {
  for (const auto& [name, optional_value] : bag) {
    // A key alone is a null, which an event cannot hold: it becomes the empty text.
    const std::string value = optional_value.value_or("");
    const Rule* known = nullptr;
    if (name.starts_with("$.")) {
      for (const auto& rule : kBagRules)
        if (rule.name == name) known = &rule;
    }
    if (known == nullptr) {
      event.application_properties.emplace_back(name, value);
      continue;
    }
    if (auto applied = apply(event, *known, value); !applied) return applied;
  }
  return {};
}

Status apply_batch_property(events::Event& event, std::string_view name, std::string_view value) {
  if (starts_with_ignoring_case(name, kAppHeaderPrefix)) {
    event.application_properties.emplace_back(name.substr(kAppHeaderPrefix.size()), value);
    return {};
  }
  for (const auto& rule : kHeaderRules)
    if (equal_ignoring_case(rule.name, name)) return apply(event, rule, value);
  return {};  // an ordinary header
}

Status apply_headers(events::Event& event, const http::Headers& headers) {
  for (const auto& [name, value] : headers)
    if (auto applied = apply_batch_property(event, name, value); !applied) return applied;
  return {};
}

}  // namespace doppel::hub
