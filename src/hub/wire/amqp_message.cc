#include "hub/wire/amqp_message.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/time_text.h"
#include "errors/hub.h"
#include "events/amqp_text.h"
#include "protocol/amqp/decoder.h"

namespace doppel::hub {
namespace {

using amqp::Decoder;
using amqp::Input;
using amqp::Type;

constexpr std::string_view kCreationTime = "iothub-creation-time-utc";
// The annotations a device may set; who sent a message is for the hub to say.
constexpr std::array<std::string_view, 4> kOwnAnnotations = {
    "dt-subject", "iothub-interface-id", "Diagnostic-Id", "Correlation-Context"};
// Milliseconds since 1970 that a TimePoint can hold.
constexpr std::int64_t kLatestMs = 9'000'000'000'000;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(errors::hub::kArgumentInvalid, std::string(why));
}

std::string_view next_text(Decoder& in, TextRoom& room) {
  switch (in.peek().value_or(Type::null)) {
    case Type::string:
      return in.string();
    case Type::symbol:
      return in.symbol();
    case Type::binary:
      return in.binary();
    default:
      // Node makes a UUID of what looks like one; other clients send numbers and booleans.
      return room.emplace_back(events::amqp_text(in.value()));
  }
}

std::optional<TimePoint> next_time(Decoder& in) {
  const auto ms = in.timestamp().ms;
  if (ms > kLatestMs || ms < -kLatestMs) return std::nullopt;
  return TimePoint(std::chrono::milliseconds(ms));
}

// The fields of the properties section, in their order (OASIS AMQP 1.0 part 3, section 3.2.4).
enum class Field : std::uint8_t {
  message_id,
  user_id,
  to,
  subject,
  reply_to,
  correlation_id,
  content_type,
  content_encoding,
  absolute_expiry_time,
  creation_time,
};

void read_field(Decoder& in, Field field, events::EventView& event, TextRoom& room) {
  switch (field) {
    case Field::message_id:
      event.message_id = next_text(in, room);
      return;
    case Field::user_id:
      event.user_id = next_text(in, room);
      return;
    case Field::to:
      event.to = next_text(in, room);
      return;
    case Field::correlation_id:
      event.correlation_id = next_text(in, room);
      return;
    case Field::content_type:
      event.content_type = next_text(in, room);
      return;
    case Field::content_encoding:
      event.content_encoding = next_text(in, room);
      return;
    case Field::absolute_expiry_time:
      event.absolute_expiry = next_time(in);
      return;
    case Field::creation_time:
      if (const auto time = next_time(in))
        event.application_properties.emplace_back(kCreationTime,
                                                  room.emplace_back(to_iso8601(*time)));
      return;
    case Field::subject:
    case Field::reply_to:
      in.skip();
      return;
  }
  in.skip();  // groups, of which the hub knows nothing
}

bool read_properties(std::string_view section, events::EventView& event, TextRoom& room) {
  Decoder in(section, Input::whole);
  const auto list = in.open_list();
  for (std::uint32_t i = 0; i < list.count && in.ok(); ++i) {
    if (!in.take_null()) read_field(in, static_cast<Field>(i), event, room);
  }
  in.close(list);
  return in.ok();
}

template <class Take>
bool each_entry(std::string_view section, TextRoom& room, Take take) {
  Decoder in(section, Input::whole);
  const auto map = in.open_map();
  for (std::uint32_t i = 0; i + 1 < map.count && in.ok(); i += 2) {
    const auto key = next_text(in, room);
    take(key, next_text(in, room));
  }
  in.close(map);
  return in.ok();
}

}  // namespace

Result<events::EventView> read_telemetry(const amqp::MessageView& message, TextRoom& room) {
  events::EventView event;
  const auto& properties = message.properties;
  if (properties.is_present() && !read_properties(properties.value, event, room))
    return refuse("the properties of a message cannot be read");
  const auto& application = message.application_properties;
  const auto add_property = [&](std::string_view name, std::string_view value) {
    event.application_properties.emplace_back(name, value);
  };
  if (application.is_present() && !each_entry(application.value, room, add_property))
    return refuse("the application properties of a message cannot be read");
  const auto& annotations = message.message_annotations;
  const auto add_annotation = [&](std::string_view name, std::string_view value) {
    if (std::ranges::find(kOwnAnnotations, name) != kOwnAnnotations.end())
      event.annotations.emplace_back(name, value);
  };
  if (annotations.is_present() && !each_entry(annotations.value, room, add_annotation))
    return refuse("the annotations of a message cannot be read");
  switch (message.body_kind) {
    case amqp::BodyKind::none:
      break;
    case amqp::BodyKind::data: {
      std::string joined;
      event.body = amqp::joined_data(message, joined);
      if (!joined.empty()) event.body = room.emplace_back(std::move(joined));
      break;
    }
    case amqp::BodyKind::amqp_value: {
      const auto value = amqp::decode_body_value(message);
      if (!value.has_value()) return refuse("the body of a message cannot be read");
      event.body = room.emplace_back(events::amqp_text(*value));
      break;
    }
    case amqp::BodyKind::amqp_sequence:
      return refuse("the body of a message must be data");
  }
  return event;
}

}  // namespace doppel::hub
