#include "events/amqp_text.h"

#include <cmath>
#include <string>

#include <fmt/core.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "events/amqp_event.h"
#include "json/value.h"
#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

json::Value to_json(const amqp::Value& value);

std::string uuid_text(const amqp::Uuid& uuid) {
  const auto hex =
      hex_encode({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string utf8_of(std::uint32_t code_point) {
  constexpr std::uint32_t kLast = 0x10FFFF;
  if (code_point > kLast) return {};
  std::string out;
  const auto add = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    add(code_point);
  } else if (code_point < 0x800) {
    add(0xC0 | code_point >> 6);
    add(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    add(0xE0 | code_point >> 12);
    add(0x80 | ((code_point >> 6) & 0x3F));
    add(0x80 | (code_point & 0x3F));
  } else {
    add(0xF0 | code_point >> 18);
    add(0x80 | ((code_point >> 12) & 0x3F));
    add(0x80 | ((code_point >> 6) & 0x3F));
    add(0x80 | (code_point & 0x3F));
  }
  return out;
}

std::string time_text(amqp::Timestamp time) {
  // What a TimePoint can hold (to the year 2262); further away only the number tells.
  constexpr std::int64_t kMax = 9'000'000'000'000;
  if (time.ms > kMax || time.ms < -kMax) return std::to_string(time.ms);
  return to_iso8601(TimePoint(std::chrono::milliseconds(time.ms)));
}

struct AsText {
  std::string operator()(amqp::Null) const { return {}; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  template <std::integral T>
  std::string operator()(T value) const {
    return std::to_string(value);
  }
  template <std::floating_point T>
  std::string operator()(T value) const {
    return fmt::format("{}", value);
  }
  template <std::size_t kSize>
  std::string operator()(const amqp::Decimal<kSize>& value) const {
    return hex_encode({reinterpret_cast<const char*>(value.bytes.data()), kSize});
  }
  std::string operator()(amqp::Char value) const { return utf8_of(value.code_point); }
  std::string operator()(amqp::Timestamp value) const { return time_text(value); }
  std::string operator()(const amqp::Uuid& value) const { return uuid_text(value); }
  std::string operator()(const amqp::Binary& value) const { return value.bytes; }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const amqp::Symbol& value) const { return value.text; }
  std::string operator()(const amqp::List& value) const { return json::write(to_json(value)); }
  std::string operator()(const amqp::Map& value) const { return json::write(to_json(value)); }
  std::string operator()(const amqp::Box<amqp::Array>& value) const {
    return json::write(to_json(*value));
  }
  std::string operator()(const amqp::Box<amqp::Described>& value) const {
    return std::visit(AsText{}, value->value.variant());
  }
};

std::string text_of(const amqp::Value& value) { return amqp_text(value); }

json::Value to_json(const std::vector<amqp::Value>& items) {
  json::Array array;
  for (const auto& item : items) array.push_back(to_json(item));
  return array;
}

json::Value to_json(const amqp::Map& map) {
  json::Object object;
  for (const auto& [key, value] : map.entries) object[text_of(key)] = to_json(value);
  return object;
}

struct AsJson {
  json::Value operator()(amqp::Null) const { return nullptr; }
  json::Value operator()(bool value) const { return value; }
  template <std::integral T>
  json::Value operator()(const T& value) const {
    if constexpr (std::is_signed_v<T>) return std::int64_t{value};
    return std::uint64_t{static_cast<std::make_unsigned_t<T>>(value)};
  }
  template <std::floating_point T>
  json::Value operator()(const T& value) const {
    if (!std::isfinite(value)) return json::Value(text_of(amqp::Value(value)));
    return static_cast<double>(value);
  }
  json::Value operator()(const amqp::List& list) const { return to_json(list.items); }
  json::Value operator()(const amqp::Map& map) const { return to_json(map); }
  json::Value operator()(const amqp::Box<amqp::Array>& array) const {
    return to_json(array->items);
  }
  json::Value operator()(const amqp::Box<amqp::Described>& described) const {
    return to_json(described->value);
  }
  json::Value operator()(const amqp::Binary& binary) const {
    return is_valid_utf8(binary.bytes) ? json::Value(binary.bytes)
                                       : json::Value(base64_encode(binary.bytes));
  }
  template <class T>
  json::Value operator()(const T& other) const {
    const auto text = AsText{}(other);
    return is_valid_utf8(text) ? json::Value(text) : json::Value(base64_encode(text));
  }
};

json::Value to_json(const amqp::Value& value) { return std::visit(AsJson{}, value.variant()); }

void copy_entries(const amqp::Map& from, Event::Properties& to) {
  to.reserve(from.entries.size());
  for (const auto& [key, value] : from.entries) to.emplace_back(text_of(key), text_of(value));
}

void copy_properties(const amqp::MessageProperties& from, Event& to) {
  if (from.message_id) to.message_id = text_of(*from.message_id);
  if (from.correlation_id) to.correlation_id = text_of(*from.correlation_id);
  if (from.user_id) to.user_id = from.user_id->bytes;
  to.to = from.to.value_or("");
  if (from.content_type) to.content_type = from.content_type->text;
  if (from.content_encoding) to.content_encoding = from.content_encoding->text;
  constexpr std::int64_t kMax = 9'000'000'000'000;  // milliseconds; as in time_text
  if (from.absolute_expiry_time && std::abs(from.absolute_expiry_time->ms) < kMax)
    to.absolute_expiry = TimePoint(std::chrono::milliseconds(from.absolute_expiry_time->ms));
}

// Each sequence of the body is a list; of one there is just that list.
std::string sequences_text(std::string_view body) {
  amqp::Decoder in(body, amqp::Input::whole);
  json::Array all;
  while (in.ok() && !in.is_at_end()) {
    in.descriptor();
    all.push_back(to_json(in.value()));
  }
  return json::write(all.size() == 1 ? all.front() : json::Value(all));
}

std::string body_text(const amqp::MessageView& message) {
  switch (message.body_kind) {
    case amqp::BodyKind::none:
      return {};
    case amqp::BodyKind::data: {
      std::string room;
      return std::string(amqp::joined_data(message, room));
    }
    case amqp::BodyKind::amqp_sequence:
      return sequences_text(message.body);
    case amqp::BodyKind::amqp_value: {
      const auto value = amqp::decode_body_value(message);
      return value.has_value() ? text_of(*value) : std::string{};
    }
  }
  return {};
}

Status copy_message(std::string_view encoded, Event& event) {
  if (encoded.empty()) return {};
  const auto message = amqp::split_message(encoded);
  if (!message.has_value()) return fail(Code::internal, "event record: no AMQP message");
  // The service takes sections without looking into them. One whose fields are of other types than
  // they should be has no text, and must not hold up who reads the log.
  if (const auto properties = amqp::decode_properties(*message); properties.has_value())
    copy_properties(*properties, event);
  if (const auto application = amqp::decode_map(message->application_properties);
      application.has_value())
    copy_entries(*application, event.application_properties);
  event.body = body_text(*message);
  return {};
}

}  // namespace

std::string amqp_text(const amqp::Value& value) { return std::visit(AsText{}, value.variant()); }

Result<Event> decode_amqp_text(std::string_view record) {
  const auto stored = decode_amqp(record);
  if (!stored) return fail(stored.error());
  Event event;
  event.partition_key = stored->partition_key;
  amqp::Decoder annotations(stored->annotations, amqp::Input::whole);
  for (std::uint32_t i = 0; i < stored->annotation_count && annotations.ok(); ++i) {
    auto key = annotations.value();
    event.annotations.emplace_back(text_of(key), text_of(annotations.value()));
  }
  if (!annotations.ok()) return fail(Code::internal, "event record: annotations are damaged");
  if (auto copied = copy_message(stored->message, event); !copied)
    return fail(std::move(copied.error()));
  return event;
}

}  // namespace doppel::events
