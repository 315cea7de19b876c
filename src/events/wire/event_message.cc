#include "events/wire/event_message.h"

#include <algorithm>
#include <optional>

#include "base/time_text.h"
#include "events/amqp_event.h"
#include "events/wire/link_address.h"
#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

using amqp::SectionCode;

constexpr std::string_view kEnqueuedTimeOfHub = "iothub-enqueuedtime";

// Set by the service, or kept beside the annotations: never taken over from a sender.
bool is_own_annotation(std::string_view name) {
  constexpr std::string_view kOwn[] = {kPartitionKey,  kPublisherName,   kSequenceNumber,
                                       kOffset,        kEnqueuedTime,    kProducerId,
                                       kProducerEpoch, kProducerSequence};
  return std::ranges::find(kOwn, name) != std::end(kOwn);
}

std::optional<std::string_view> take_text(amqp::Decoder& in) {
  switch (in.peek().value_or(amqp::Type::null)) {
    case amqp::Type::symbol:
      return in.symbol();
    case amqp::Type::string:
      return in.string();
    default:
      in.skip();
      return std::nullopt;
  }
}

std::optional<std::int64_t> take_integer(amqp::Decoder& in) {
  const auto value = in.value();
  return std::visit(
      [](const auto& alternative) -> std::optional<std::int64_t> {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_same_v<T, std::uint64_t>) {
          if (alternative > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
          return static_cast<std::int64_t>(alternative);
        } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          return alternative;
        } else {
          return std::nullopt;
        }
      },
      value.variant());
}

// A sender's annotations taken apart.
struct Annotations {
  std::string partition_key;
  std::string kept;  // encoded pairs that are not the service's
  std::uint32_t kept_count = 0;
  std::optional<std::int64_t> producer_id, producer_epoch, producer_sequence;
};

Result<Annotations> read_annotations(const amqp::MessageView& message) {
  Annotations found;
  if (!message.message_annotations.is_present()) return found;
  amqp::Decoder in(message.message_annotations.value, amqp::Input::whole);
  const auto whole = message.message_annotations.value;
  const auto map = in.open_map();
  for (std::uint32_t i = 0; i < map.count && in.ok(); i += 2) {
    const auto start = in.position();
    const auto name = take_text(in).value_or("");
    if (name == kPartitionKey) {
      const auto key = take_text(in);
      if (!key) return fail(Code::invalid_argument, "The partition key is no text.");
      found.partition_key = *key;
    } else if (name == kProducerId) {
      found.producer_id = take_integer(in);
    } else if (name == kProducerEpoch) {
      found.producer_epoch = take_integer(in);
    } else if (name == kProducerSequence) {
      found.producer_sequence = take_integer(in);
    } else {
      in.skip();
      if (is_own_annotation(name)) continue;
      found.kept.append(whole.substr(start, in.position() - start));
      ++found.kept_count;
    }
  }
  if (!in.ok()) return fail(Code::invalid_argument, "The message annotations do not decode.");
  return found;
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

Status check_key(std::string_view key) {
  if (characters(key) <= kPartitionKeyCharsMax) return {};
  return fail(Code::invalid_argument, "The partition key has more than 128 characters.");
}

// The publisher's name goes among the annotations that consumers see.
void add_publisher(Annotations& annotations, std::string_view publisher) {
  if (publisher.empty()) return;
  amqp::append_symbol(annotations.kept, kPublisherName);
  amqp::append_string(annotations.kept, publisher);
  ++annotations.kept_count;
}

// Bare message and footer, which lie together: the footer behind the body or, as rhea writes it
// (lib/message.js), in front of it, and so within the bare message or before it.
std::string_view bare_and_footer(const amqp::MessageView& message) {
  if (!message.footer.is_present()) return message.bare;
  if (message.bare.empty()) return message.footer.bytes;
  const auto footer = message.footer.bytes;
  const auto* first = std::min(message.bare.data(), footer.data());
  const auto* last =
      std::max(message.bare.data() + message.bare.size(), footer.data() + footer.size());
  return {first, static_cast<std::size_t>(last - first)};
}

std::string to_record(const amqp::MessageView& message, const Annotations& annotations,
                      std::string_view partition_key) {
  return encode(AmqpEvent{.partition_key = partition_key,
                          .annotation_count = annotations.kept_count,
                          .annotations = annotations.kept,
                          .message = bare_and_footer(message)});
}

std::optional<ProducerMark> mark_of(const Annotations& annotations) {
  if (!annotations.producer_id || !annotations.producer_sequence) return std::nullopt;
  return ProducerMark{.id = *annotations.producer_id,
                      .epoch = static_cast<std::int32_t>(annotations.producer_epoch.value_or(0)),
                      .sequence = static_cast<std::int32_t>(*annotations.producer_sequence)};
}

Status read_batch(const amqp::MessageView& envelope, std::string_view publisher,
                  IncomingEvents& events) {
  amqp::BatchReader batch(envelope);
  while (const auto event = batch.next()) {
    auto annotations = read_annotations(event->view);
    if (!annotations) return fail(std::move(annotations.error()));
    add_publisher(*annotations, publisher);
    if (events.records.empty()) {
      // .NET and Java repeat the key in the events; the envelope's counts.
      if (events.partition_key.empty()) events.partition_key = annotations->partition_key;
      events.producer = mark_of(*annotations);
    }
    events.records.push_back(to_record(event->view, *annotations, events.partition_key));
  }
  if (!batch.error().empty()) return fail(Code::invalid_argument, std::string(batch.error()));
  return {};
}

// --- For consumers.

// What the service says of an event: pairs of a map, and how many.
std::uint32_t append_own_annotations(std::string& out, SequenceNumber sequence, TimePoint enqueued,
                                     std::string_view partition_key) {
  const auto number = static_cast<std::int64_t>(sequence.value);
  amqp::append_symbol(out, kSequenceNumber);
  amqp::append_long(out, number);
  amqp::append_symbol(out, kOffset);
  amqp::append_string(out, offset_text(number));
  amqp::append_symbol(out, kEnqueuedTime);
  amqp::append_timestamp(out, {to_unix_millis(enqueued)});
  if (partition_key.empty()) return 3;
  amqp::append_symbol(out, kPartitionKey);
  amqp::append_string(out, partition_key);
  return 4;
}

void append_annotation_value(std::string& out, std::string_view name, std::string_view value) {
  const auto time = name == kEnqueuedTimeOfHub ? parse_iso8601(value) : std::nullopt;
  if (time)
    amqp::append_timestamp(out, {to_unix_millis(*time)});
  else
    amqp::append_string(out, value);
}

amqp::MessageProperties properties_of(const EventView& event) {
  amqp::MessageProperties properties;
  if (!event.message_id.empty()) properties.message_id = amqp::Value(event.message_id);
  if (!event.user_id.empty()) properties.user_id = amqp::Binary(event.user_id);
  if (!event.to.empty()) properties.to = std::string(event.to);
  if (!event.correlation_id.empty()) properties.correlation_id = amqp::Value(event.correlation_id);
  if (!event.content_type.empty()) properties.content_type = amqp::Symbol(event.content_type);
  if (!event.content_encoding.empty())
    properties.content_encoding = amqp::Symbol(event.content_encoding);
  if (event.absolute_expiry)
    properties.absolute_expiry_time = amqp::Timestamp{to_unix_millis(*event.absolute_expiry)};
  return properties;
}

bool has_properties(const EventView& event) {
  return !event.message_id.empty() || !event.user_id.empty() || !event.to.empty() ||
         !event.correlation_id.empty() || !event.content_type.empty() ||
         !event.content_encoding.empty() || event.absolute_expiry.has_value();
}

void append_event(std::string& out, const EventView& event, SequenceNumber sequence,
                  TimePoint enqueued) {
  amqp::append_section(out, SectionCode::message_annotations);
  amqp::CompoundWriter annotations(out, amqp::kMap8Code);
  const std::size_t own = append_own_annotations(out, sequence, enqueued, event.partition_key);
  for (const auto& [name, value] : event.annotations) {
    amqp::append_symbol(out, name);
    append_annotation_value(out, name, value);
  }
  annotations.finish(2 * (own + event.annotations.size()));
  if (has_properties(event)) amqp::append(out, properties_of(event));
  if (!event.application_properties.empty()) {
    amqp::MapSectionWriter properties(out, SectionCode::application_properties);
    for (const auto& [name, value] : event.application_properties) {
      properties.string_key(name);
      amqp::append_string(out, value);
    }
    properties.finish();
  }
  amqp::append_data_section(out, event.body);
}

void append_kept(std::string& out, const AmqpEvent& event, SequenceNumber sequence,
                 TimePoint enqueued) {
  amqp::append_section(out, SectionCode::message_annotations);
  amqp::CompoundWriter annotations(out, amqp::kMap8Code);
  const std::size_t own = append_own_annotations(out, sequence, enqueued, event.partition_key);
  out.append(event.annotations);
  annotations.finish(2 * (own + event.annotation_count));
  out.append(event.message);
}

}  // namespace

Result<IncomingEvents> read_events(const amqp::Delivery& delivery, std::string_view publisher) {
  const auto message = amqp::split_message(delivery.payload);
  if (!message.has_value())
    return fail(Code::invalid_argument,
                "The message does not decode: " + std::string(message.reason()));
  auto annotations = read_annotations(*message);
  if (!annotations) return fail(std::move(annotations.error()));
  IncomingEvents events;
  events.partition_key = publisher.empty() ? annotations->partition_key : std::string(publisher);
  if (delivery.message_format == amqp::kBatchMessageFormat) {
    if (auto read = read_batch(*message, publisher, events); !read)
      return fail(std::move(read.error()));
  } else {
    add_publisher(*annotations, publisher);
    events.producer = mark_of(*annotations);
    events.records.push_back(to_record(*message, *annotations, events.partition_key));
  }
  if (auto checked = check_key(events.partition_key); !checked)
    return fail(std::move(checked.error()));
  return events;
}

std::string make_record(std::string_view partition_key, std::string_view message) {
  return encode(AmqpEvent{.partition_key = partition_key, .message = message});
}

bool append_message(std::string& out, std::string_view record, SequenceNumber sequence,
                    TimePoint enqueued) {
  if (is_amqp_record(record)) {
    if (const auto kept = decode_amqp(record)) {
      append_kept(out, *kept, sequence, enqueued);
      return true;
    }
  } else if (const auto event = decode_view(record)) {
    append_event(out, *event, sequence, enqueued);
    return true;
  }
  append_event(out, EventView{.body = record}, sequence, enqueued);
  return false;
}

}  // namespace doppel::events
