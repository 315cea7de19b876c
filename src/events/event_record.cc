// The bytes of one event as the store keeps them. The format and why it is as it is:
// docs/wire/event-record.md.
#include <algorithm>
#include <array>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"
#include "events/amqp_event.h"
#include "events/api.h"
#include "events/varint.h"

namespace doppel::events {
namespace {

constexpr unsigned char kFormatVersion = 1;

// Which optional parts a record holds, in the order in which they follow the head.
enum Part : unsigned {
  kHasMessageId = 1u << 0,
  kHasCorrelationId = 1u << 1,
  kHasUserId = 1u << 2,
  kHasTo = 1u << 3,
  kHasContentType = 1u << 4,
  kHasContentEncoding = 1u << 5,
  kHasPartitionKey = 1u << 6,
  kHasExpiry = 1u << 7,
  kHasApplicationProperties = 1u << 8,
  kHasAnnotations = 1u << 9,
  kAllParts = (1u << 10) - 1,
};

template <class Text>
struct TextPart {
  Part bit;
  Text BasicEvent<Text>::* field;
};
template <class Text>
constexpr std::array kTextParts = {
    TextPart<Text>{kHasMessageId, &BasicEvent<Text>::message_id},
    TextPart<Text>{kHasCorrelationId, &BasicEvent<Text>::correlation_id},
    TextPart<Text>{kHasUserId, &BasicEvent<Text>::user_id},
    TextPart<Text>{kHasTo, &BasicEvent<Text>::to},
    TextPart<Text>{kHasContentType, &BasicEvent<Text>::content_type},
    TextPart<Text>{kHasContentEncoding, &BasicEvent<Text>::content_encoding},
    TextPart<Text>{kHasPartitionKey, &BasicEvent<Text>::partition_key},
};

// Names that nearly every hub event carries, written as one byte: their place here plus one. Only
// ever append; a record on disk means a place in this list.
constexpr std::array<std::string_view, 16> kKnownNames = {
    "iothub-connection-device-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "iothub-connection-module-id",
    "iothub-message-schema",
    "dt-dataschema",
    "dt-subject",
    "hubName",
    "deviceId",
    "moduleId",
    "operationTimestamp",
    "opType",
    "generationId",
    "iothub-creation-time-utc",
};

// 0: not in the list.
unsigned code_of(std::string_view name) {
  for (unsigned i = 0; i < kKnownNames.size(); ++i)
    if (kKnownNames[i] == name) return i + 1;
  return 0;
}

template <class Properties>
void append_properties(std::string& out, const Properties& properties) {
  append_varint(out, properties.size());
  for (const auto& [name, value] : properties) {
    const unsigned code = code_of(name);
    out.push_back(static_cast<char>(code));
    if (code == 0) append_text(out, name);
    append_text(out, value);
  }
}

template <class Text>
std::size_t size_bound(const BasicEvent<Text>& event) {
  constexpr std::size_t kPerText = 12;  // lengths and codes, generously
  std::size_t size = 64 + event.body.size();
  for (const auto& part : kTextParts<Text>) size += (event.*part.field).size() + kPerText;
  for (const auto* properties : {&event.application_properties, &event.annotations})
    for (const auto& [name, value] : *properties) size += name.size() + value.size() + kPerText;
  return size;
}

template <class Text>
unsigned parts_of(const BasicEvent<Text>& event) {
  unsigned parts = 0;
  for (const auto& part : kTextParts<Text>)
    if (!(event.*part.field).empty()) parts |= part.bit;
  if (event.absolute_expiry) parts |= kHasExpiry;
  if (!event.application_properties.empty()) parts |= kHasApplicationProperties;
  if (!event.annotations.empty()) parts |= kHasAnnotations;
  return parts;
}

template <class Properties>
void read_properties(RecordReader& in, Properties& properties) {
  const auto count = in.varint();
  if (count == 0) return in.refuse("an empty list is written as absent");
  if (count > in.rest().size()) return in.refuse("a count passes the end");
  properties.reserve(std::min<std::uint64_t>(count, 64));  // a liar gets no more memory than this
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    const unsigned code = in.byte();
    if (code > kKnownNames.size()) return in.refuse("a name is not in the list");
    const auto name = code == 0 ? in.text() : kKnownNames[code - 1];
    if (code == 0 && code_of(name) != 0) return in.refuse("a listed name is spelled out");
    const auto value = in.text();
    properties.emplace_back(name, value);
  }
}

template <class Text>
Result<BasicEvent<Text>> decode_as(std::string_view record) {
  RecordReader in(record);
  BasicEvent<Text> event;
  if (in.byte() != kFormatVersion)
    return fail(Code::internal, "event record: not of a format this version knows");
  const auto head = in.bytes(2);
  const unsigned parts = in.failed() ? 0 : load_be<std::uint16_t>(head.data());
  if (parts & ~kAllParts) in.refuse("a part is unknown");
  for (const auto& part : kTextParts<Text>) {
    if (!(parts & part.bit)) continue;
    event.*part.field = in.text();
    if ((event.*part.field).empty()) in.refuse("an empty text is written as absent");
  }
  if (parts & kHasExpiry) {
    const auto expiry = in.bytes(8);
    if (!in.failed()) {
      const auto nanos = static_cast<std::int64_t>(load_be<std::uint64_t>(expiry.data()));
      event.absolute_expiry = TimePoint(Duration(nanos));
    }
  }
  if (parts & kHasApplicationProperties) read_properties(in, event.application_properties);
  if (parts & kHasAnnotations) read_properties(in, event.annotations);
  if (in.failed()) return fail(Code::internal, "event record: " + std::string(in.reason()));
  event.body = in.rest();
  return event;
}

template <class Text>
std::string encode_any(const BasicEvent<Text>& event) {
  const unsigned parts = parts_of(event);
  std::string out;
  out.reserve(size_bound(event));
  out.push_back(static_cast<char>(kFormatVersion));
  append_be(out, static_cast<std::uint16_t>(parts));
  for (const auto& part : kTextParts<Text>)
    if (parts & part.bit) append_text(out, event.*part.field);
  if (event.absolute_expiry) {
    append_be(out, static_cast<std::uint64_t>(event.absolute_expiry->time_since_epoch().count()));
  }
  if (parts & kHasApplicationProperties) append_properties(out, event.application_properties);
  if (parts & kHasAnnotations) append_properties(out, event.annotations);
  out.append(event.body);
  return out;
}

}  // namespace

std::string encode(const Event& event) { return encode_any(event); }

std::string encode(const EventView& event) { return encode_any(event); }

Result<Event> decode(std::string_view record) {
  return is_amqp_record(record) ? decode_amqp_text(record) : decode_as<std::string>(record);
}

Result<EventView> decode_view(std::string_view record) {
  // Its values may be of types that have no text to be viewed.
  if (is_amqp_record(record))
    return fail(Code::unsupported, "event record: what an AMQP client sent has no view");
  return decode_as<std::string_view>(record);
}

EventView view(const Event& event) {
  EventView seen{.body = event.body, .absolute_expiry = event.absolute_expiry};
  const auto copy = [](const Event::Properties& from, EventView::Properties& to) {
    to.assign(from.begin(), from.end());
  };
  copy(event.application_properties, seen.application_properties);
  copy(event.annotations, seen.annotations);
  seen.message_id = event.message_id;
  seen.correlation_id = event.correlation_id;
  seen.user_id = event.user_id;
  seen.to = event.to;
  seen.content_type = event.content_type;
  seen.content_encoding = event.content_encoding;
  seen.partition_key = event.partition_key;
  return seen;
}

}  // namespace doppel::events
