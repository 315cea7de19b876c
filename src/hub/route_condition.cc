#include "hub/route_condition.h"

#include <array>

#include "base/encoding.h"
#include "errors/hub.h"
#include "hub/api.h"

namespace doppel::hub {
namespace {

using query::Scope;
using query::Value;

// System properties that are fields of an event, by their names in conditions.
struct Field {
  std::string_view name;
  std::string_view events::EventView::* field;
};
constexpr std::array kFields = {
    Field{"contentType", &events::EventView::content_type},
    Field{"contentEncoding", &events::EventView::content_encoding},
    Field{"messageId", &events::EventView::message_id},
    Field{"correlationId", &events::EventView::correlation_id},
    Field{"userId", &events::EventView::user_id},
    Field{"to", &events::EventView::to},
};

// ... and those that are annotations.
struct Annotation {
  std::string_view name;
  std::string_view annotation;
};
constexpr std::array kAnnotations = {
    Annotation{"connectionDeviceId", kConnectionDeviceId},
    Annotation{"connectionModuleId", kConnectionModuleId},
    Annotation{"enqueuedTime", kEnqueuedTime},
    Annotation{"connectionAuthMethod", kConnectionAuthMethod},
    Annotation{"connectionDeviceGenerationId", kConnectionGenerationId},
};

Value text_or_undefined(std::string_view text) { return text.empty() ? Value{} : Value::of(text); }

// "application/json;charset=utf-8" and an encoding that says, or does not deny, UTF-8.
bool has_json_body(const events::EventView& event) {
  constexpr std::string_view kJson = "application/json";
  const std::string_view type = event.content_type;
  if (!starts_with_ignoring_case(type, kJson)) return false;
  const auto parameters = type.substr(kJson.size());
  if (!parameters.empty() && parameters.front() != ';' && parameters.front() != ' ') return false;
  if (equal_ignoring_case(event.content_encoding, "utf-8")) return true;
  return event.content_encoding.empty() && to_lower(parameters).find("utf-8") != std::string::npos;
}

}  // namespace

Value RoutedEvent::lookup(const query::Path& path) const {
  const auto name = path.steps.empty() ? std::string_view() : path.steps.front().name;
  switch (path.scope) {
    case Scope::property:
      return application_property(name);
    case Scope::dollar_property: {
      const auto own = application_property("$" + std::string(name));
      return own.is_defined() ? own : system_property(name);
    }
    case Scope::system:
      return system_property(name);
    case Scope::body:
    case Scope::change:  // the body of a twin change event holds what changed
      return in_body(path);
    case Scope::document:
    case Scope::twin:
      return {};
  }
  return {};
}

// An exact name wins; Azure treats names without regard to case.
Value RoutedEvent::application_property(std::string_view name) const {
  if (const auto exact = event_.property(name)) return Value::of(*exact);
  for (const auto& [key, value] : event_.application_properties)
    if (equal_ignoring_case(key, name)) return Value::of(std::string_view(value));
  return {};
}

Value RoutedEvent::system_property(std::string_view name) const {
  for (const auto& field : kFields)
    if (equal_ignoring_case(name, field.name)) return text_or_undefined(event_.*field.field);
  for (const auto& known : kAnnotations)
    if (equal_ignoring_case(name, known.name))
      return text_or_undefined(event_.annotation(known.annotation).value_or(std::string_view()));
  for (const auto& [key, value] : event_.annotations)  // dt-subject, iothub-message-source, ...
    if (equal_ignoring_case(key, name)) return Value::of(std::string_view(value));
  for (const auto& [key, value] : event_.application_properties)  // iothub-creation-time-utc
    if (key.starts_with("iothub-") && equal_ignoring_case(key, name))
      return Value::of(std::string_view(value));
  return {};
}

Value RoutedEvent::in_body(const query::Path& path) const {
  const auto* document = body();
  if (document == nullptr || path.steps.empty()) return {};
  const auto* value = json::find(*document, path.steps);
  return value ? Value::of(*value) : Value{};
}

const json::Value* RoutedEvent::body() const {
  if (!is_body_parsed_) {
    is_body_parsed_ = true;
    if (has_json_body(event_)) {
      if (auto parsed = json::parse(event_.body)) body_ = std::move(*parsed);
    }
  }
  return body_ ? &*body_ : nullptr;
}

Result<RouteCondition> RouteCondition::parse(std::string_view text) {
  auto condition = query::parse_condition(text);
  if (!condition) return fail(errors::hub::kArgumentInvalid, std::move(condition.error().message));
  if (condition->needs_twin())
    return fail(errors::hub::kArgumentInvalid,
                "Conditions over $twin are not supported in this version.");
  return RouteCondition(std::move(*condition));
}

}  // namespace doppel::hub
