// Encoded messages (OASIS AMQP 1.0 part 3, section 3.2) without copying: a message is split into
// the byte ranges of its sections, and only what is asked for is decoded. An event log keeps the
// bytes of a producer and sends them to consumers with annotations of its own in front.
//
// A message that does not decode is the fault of who sent it and ends nothing but its delivery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/sections.h"
#include "base/decoded.h"
#include "protocol/amqp/decoder.h"
#include "protocol/amqp/encoder.h"
#include "protocol/amqp/value.h"

namespace doppel::amqp {

// Descriptors of the sections, in the order in which they stand.
enum class SectionCode : std::uint8_t {
  header = 0x70,
  delivery_annotations = 0x71,
  message_annotations = 0x72,
  properties = 0x73,
  application_properties = 0x74,
  data = 0x75,
  amqp_sequence = 0x76,
  amqp_value = 0x77,
  footer = 0x78,
};

// One section: all its bytes, and of these its value (what follows the descriptor).
struct Section {
  std::string_view bytes{};
  std::string_view value{};

  bool is_present() const { return !bytes.empty(); }
};

enum class BodyKind : std::uint8_t { none, data, amqp_sequence, amqp_value };

// Views into the encoded message: valid as long as its bytes.
struct MessageView {
  Section header{};
  Section delivery_annotations{};
  Section message_annotations{};
  Section properties{};
  Section application_properties{};
  BodyKind body_kind = BodyKind::none;
  std::string_view body{};  // all data sections, all sequences, or the one value
  Section footer{};
  // Properties, application properties and body: what nobody on the way may change. They lie
  // together, so these bytes are a message too (with a footer that stands before the body).
  std::string_view bare{};
};

// Splits a message, which is whole; never "need more". Every section is passed through once, so
// what is accepted is well formed throughout and can be handed to consumers. Checked are the order
// of the sections (delivery annotations may also be the last one, as Python's client writes
// them, and the footer may precede the body, as Node's does), that none but data and sequences is
// repeated, that there is at most one kind of body, and the type of each. A body may be missing:
// some clients send and accept that.
//
// Cost: one pass over annotations and properties, nothing for the bytes of data; no allocation.
Decoded<MessageView> split_message(std::string_view encoded);

// Sections decoded. An absent one gives the defaults, or an empty map.
Decoded<MessageHeader> decode_header(const MessageView& message);
Decoded<MessageProperties> decode_properties(const MessageView& message);
// Annotations (keys are symbols, but clients differ), application properties, footer. Values may be
// of any type: Python's azure-eventhub 5.11 puts a described one into application properties.
Decoded<Map> decode_map(const Section& section);
// The value of an amqp-value body; null without one.
Decoded<Value> decode_body_value(const MessageView& message);

// One entry of a map section, by the text of its key, without decoding the others. Nothing when it
// is not there. The section comes from split_message, so it is well formed.
std::optional<Value> find_in(const Section& section, std::string_view key);

// The binary of each data section of a body, in order.
class DataSections {
 public:
  // Empty for another kind of body.
  explicit DataSections(const MessageView& message);

  std::optional<std::string_view> next();

 private:
  Decoder in_;
};
// The bytes of a body of data: a view when it is one section, as nearly always; joined into `room`
// when it is several.
std::string_view joined_data(const MessageView& message, std::string& room);

// `message-format` of a transfer whose message is a batch: each data section of its body holds one
// whole encoded message. Azure's SDKs set it for all batches, Node's even for a batch of one.
inline constexpr std::uint32_t kBatchMessageFormat = 0x80013700;
// A data section with an empty binary takes 5 bytes, so a message of 1 MiB could hold 200,000
// "events". Node's createBatch needs about 60 bytes for each event; this many fit no allowed
// message.
inline constexpr std::size_t kBatchEventsMax = 65'536;

// The events of a batch, one after the other:
//
//   BatchReader batch(envelope);
//   while (auto event = batch.next()) { ... event->view ... }
//   if (!batch.error().empty()) ...refuse the whole batch
class BatchReader {
 public:
  struct Event {
    std::string_view encoded;
    MessageView view;
  };

  // A batch without any event, or whose body is not data, is an error.
  explicit BatchReader(const MessageView& envelope, std::size_t events_max = kBatchEventsMax);

  // Nothing at the end and after an error: an event that is no message.
  std::optional<Event> next();
  // Empty while all is well; points to static storage.
  std::string_view error() const { return error_; }

 private:
  DataSections data_;
  std::size_t left_;
  bool has_any_ = false;
  std::string_view error_{};
};

// --- Writing. Sections are appended in their order; see SectionCode.

inline void append_section(std::string& out, SectionCode code) {
  append_descriptor(out, static_cast<std::uint64_t>(code));
}
// Header and properties: append(out, MessageHeader{...}), append(out, MessageProperties{...}).

void append_map_section(std::string& out, SectionCode code, const Map& map);
void append_data_section(std::string& out, std::string_view bytes);
void append_value_section(std::string& out, const Value& value);

// Annotations or application properties written entry by entry:
//
//   MapSectionWriter annotations(out, SectionCode::message_annotations);
//   annotations.symbol_key("x-opt-sequence-number");
//   append_long(out, number);
//   annotations.finish();
class MapSectionWriter {
 public:
  MapSectionWriter(std::string& out, SectionCode code) : map_(begin(out, code)) {}

  void symbol_key(std::string_view key) { map_.symbol_key(key); }
  void string_key(std::string_view key) { map_.string_key(key); }
  void finish() { map_.finish(); }

 private:
  static std::string& begin(std::string& out, SectionCode code) {
    append_section(out, code);
    return out;
  }

  MapWriter map_;
};

}  // namespace doppel::amqp
