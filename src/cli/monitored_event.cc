#include "cli/monitored_event.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::cli {
namespace {

constexpr json::ParseLimits kPayloadLimits{.depth_max = 64, .size_max = 1024 * 1024};

json::Value text_or_base64(std::string_view bytes) {
  return json::Value(is_valid_utf8(bytes) ? std::string(bytes) : base64_encode(bytes));
}

std::string uuid_text(const amqp::Uuid& uuid) {
  std::string text =
      hex_encode({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
  for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, "-");
  return text;
}

std::string annotation(const amqp::MessageView& event, std::string_view name) {
  const auto value = amqp::find_in(event.message_annotations, name);
  if (!value) return "";
  if (const auto* text = value->text_if()) return *text;
  // Some clients write names as binary.
  if (const auto* binary = value->get_if<amqp::Binary>()) return binary->bytes;
  return "";
}

json::Object map_to_json(const amqp::Map& map) {
  json::Object object;
  for (const auto& [key, value] : map.entries) {
    const auto* text = key.text_if();
    const std::string name = text != nullptr ? *text : json::write(to_json(key));
    if (!object.contains(name)) object[name] = to_json(value);
  }
  return object;
}

json::Object section_to_json(const amqp::Section& section) {
  const auto map = amqp::decode_map(section);
  return map.has_value() ? map_to_json(*map) : json::Object{};
}

// Only what the event has, in az's spelling of the names.
json::Object system_properties(const amqp::MessageView& event) {
  json::Object shown;
  const auto properties = amqp::decode_properties(event);
  if (!properties.has_value()) return shown;
  amqp::for_each_field(*properties, [&](std::string_view name, const auto& field) {
    if (!field) return;
    std::string spelled(name);
    std::ranges::replace(spelled, '-', '_');
    shown[spelled] = to_json(amqp::Value(*field));
  });
  return shown;
}

json::Value payload_of(const amqp::MessageView& event, std::string_view content_type) {
  if (event.body_kind == amqp::BodyKind::amqp_value) {
    const auto value = amqp::decode_body_value(event);
    return value.has_value() ? to_json(*value) : json::Value("");
  }
  std::string room;
  const auto bytes = amqp::joined_data(event, room);
  if (to_lower(content_type).find("application/json") != std::string::npos) {
    if (auto parsed = json::parse(bytes, kPayloadLimits)) return std::move(*parsed);
  }
  return text_or_base64(bytes);
}

}  // namespace

Result<EventFormat> event_format(const Arguments& args) {
  EventFormat format;
  format.content_type = args.get("--content-type");
  for (const auto& name : args.all("--properties")) {
    const bool is_all = name == "all";
    if (!is_all && name != "anno" && name != "sys" && name != "app")
      return fail(Code::invalid_argument,
                  fmt::format("--properties takes anno, sys, app and all, not '{}'", name));
    format.has_annotations |= is_all || name == "anno";
    format.has_system |= is_all || name == "sys";
    format.has_application |= is_all || name == "app";
  }
  return format;
}

bool fits_pattern(std::string_view pattern, std::string_view text) {
  // Back to the last star, one character further, whenever what follows it does not fit.
  std::size_t p = 0, t = 0;
  std::optional<std::size_t> star;
  std::size_t resumed = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resumed = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star) {
      p = *star + 1;
      t = ++resumed;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool EventFilter::lets_pass(const amqp::MessageView& event) const {
  const auto fits = [&](const std::string& pattern, std::string_view name) {
    return pattern.empty() || fits_pattern(pattern, annotation(event, name));
  };
  return fits(device, "iothub-connection-device-id") && fits(module, "iothub-connection-module-id");
}

json::Value monitored_event(const amqp::MessageView& event, const EventFormat& format) {
  std::string interface = annotation(event, "iothub-interface-name");
  if (interface.empty()) interface = annotation(event, "dt-dataschema");
  json::Object shown{{"origin", annotation(event, "iothub-connection-device-id")},
                     {"module", annotation(event, "iothub-connection-module-id")},
                     {"interface", interface},
                     {"component", annotation(event, "dt-subject")}};
  json::Object system = system_properties(event);
  std::string content_type = format.content_type;
  if (const auto* own = system.if_contains("content_type");
      content_type.empty() && own != nullptr && json::is_string(*own))
    content_type = json::view(own->get_string());
  if (format.has_properties()) {
    json::Object properties;
    if (format.has_system && !system.empty()) properties["system"] = std::move(system);
    if (format.has_application)
      properties["application"] = section_to_json(event.application_properties);
    shown["properties"] = std::move(properties);
  }
  if (format.has_annotations) shown["annotations"] = section_to_json(event.message_annotations);
  shown["payload"] = payload_of(event, content_type);
  return json::Object{{"event", std::move(shown)}};
}

json::Value to_json(const amqp::Value& value) {
  return std::visit(
      [](const auto& held) -> json::Value {
        using Held = std::remove_cvref_t<decltype(held)>;
        if constexpr (std::same_as<Held, amqp::Null>) {
          return nullptr;
        } else if constexpr (std::same_as<Held, bool>) {
          return held;
        } else if constexpr (std::floating_point<Held>) {
          // JSON has neither infinities nor NaN.
          if (std::isfinite(held)) return static_cast<double>(held);
          return json::Value(fmt::format("{}", held));
        } else if constexpr (std::unsigned_integral<Held>) {
          return static_cast<std::uint64_t>(held);
        } else if constexpr (std::signed_integral<Held>) {
          return static_cast<std::int64_t>(held);
        } else if constexpr (std::same_as<Held, amqp::Char>) {
          return static_cast<std::uint64_t>(held.code_point);
        } else if constexpr (std::same_as<Held, amqp::Timestamp>) {
          return held.ms;
        } else if constexpr (std::same_as<Held, amqp::Uuid>) {
          return json::Value(uuid_text(held));
        } else if constexpr (std::same_as<Held, amqp::Binary>) {
          return text_or_base64(held.bytes);
        } else if constexpr (std::same_as<Held, std::string>) {
          return json::Value(held);
        } else if constexpr (std::same_as<Held, amqp::Symbol>) {
          return json::Value(held.text);
        } else if constexpr (std::same_as<Held, amqp::List>) {
          json::Array list;
          for (const auto& item : held.items) list.push_back(to_json(item));
          return list;
        } else if constexpr (std::same_as<Held, amqp::Map>) {
          return map_to_json(held);
        } else if constexpr (std::same_as<Held, amqp::Box<amqp::Array>>) {
          json::Array list;
          for (const auto& item : held->items) list.push_back(to_json(item));
          return list;
        } else if constexpr (std::same_as<Held, amqp::Box<amqp::Described>>) {
          return to_json(held->value);
        } else {  // decimals: their bytes
          return json::Value(
              hex_encode({reinterpret_cast<const char*>(held.bytes.data()), held.bytes.size()}));
        }
      },
      value.variant());
}

}  // namespace doppel::cli
