#include "protocol/amqp/message.h"

namespace doppel::amqp {
namespace {

constexpr std::uint64_t number(SectionCode code) { return static_cast<std::uint64_t>(code); }

// What the value of a section is, and which body it is a part of.
struct Kind {
  Type type = Type::null;
  BodyKind body = BodyKind::none;
  bool may_repeat = false;
};

std::optional<Kind> kind_of(std::uint64_t code) {
  switch (static_cast<SectionCode>(code)) {
    case SectionCode::header:
    case SectionCode::properties:
      return Kind{.type = Type::list};
    case SectionCode::delivery_annotations:
    case SectionCode::message_annotations:
    case SectionCode::application_properties:
    case SectionCode::footer:
      return Kind{.type = Type::map};
    case SectionCode::data:
      return Kind{.type = Type::binary, .body = BodyKind::data, .may_repeat = true};
    case SectionCode::amqp_sequence:
      return Kind{.type = Type::list, .body = BodyKind::amqp_sequence, .may_repeat = true};
    case SectionCode::amqp_value:
      return Kind{.body = BodyKind::amqp_value};
  }
  return std::nullopt;
}

std::uint64_t code_of(std::string_view symbol) {
  static constexpr std::pair<std::string_view, SectionCode> kNames[] = {
      {"amqp:header:list", SectionCode::header},
      {"amqp:delivery-annotations:map", SectionCode::delivery_annotations},
      {"amqp:message-annotations:map", SectionCode::message_annotations},
      {"amqp:properties:list", SectionCode::properties},
      {"amqp:application-properties:map", SectionCode::application_properties},
      {"amqp:data:binary", SectionCode::data},
      {"amqp:amqp-sequence:list", SectionCode::amqp_sequence},
      {"amqp:amqp-value:*", SectionCode::amqp_value},
      {"amqp:footer:map", SectionCode::footer},
  };
  for (const auto& [name, code] : kNames)
    if (name == symbol) return static_cast<std::uint64_t>(code);
  return 0;
}

std::uint64_t section_code(Decoder& in) {
  const auto descriptor = in.descriptor();
  return descriptor.symbol.empty() ? descriptor.code : code_of(descriptor.symbol);
}

Section* named_section(MessageView& message, SectionCode code) {
  switch (code) {
    case SectionCode::header:
      return &message.header;
    case SectionCode::delivery_annotations:
      return &message.delivery_annotations;
    case SectionCode::message_annotations:
      return &message.message_annotations;
    case SectionCode::properties:
      return &message.properties;
    case SectionCode::application_properties:
      return &message.application_properties;
    case SectionCode::footer:
      return &message.footer;
    case SectionCode::data:
    case SectionCode::amqp_sequence:
    case SectionCode::amqp_value:
      return nullptr;
  }
  return nullptr;
}

// From the first byte of `from` to the last of `to`, which lie in the same buffer.
std::string_view join(std::string_view from, std::string_view to) {
  if (from.empty()) return to;
  return {from.data(), static_cast<std::size_t>(to.data() + to.size() - from.data())};
}

bool is_of_bare_message(std::uint64_t code) {
  return code >= number(SectionCode::properties) && code <= number(SectionCode::amqp_value);
}

constexpr std::uint64_t kNothingMayFollow = 0xFF;

// Sections that stand elsewhere than in the specification, and after which others may come:
// - Python's azure-eventhub (_pyamqp/_encode.py) writes delivery annotations after everything else,
//   because the real service reads them only there;
// - rhea (lib/message.js), under the Node SDKs, writes the footer before the body.
// The code of the section to go on from; nothing when the place is not one of these.
std::optional<std::uint64_t> known_misplaced(std::uint64_t last, std::uint64_t code,
                                             const MessageView& message) {
  if (code == number(SectionCode::delivery_annotations) && last > code &&
      last != kNothingMayFollow && !message.delivery_annotations.is_present())
    return kNothingMayFollow;
  if (code == number(SectionCode::footer) && message.body_kind == BodyKind::none &&
      last < number(SectionCode::data) && !message.footer.is_present())
    return number(SectionCode::application_properties);
  return std::nullopt;
}

// Codes rise from section to section, and there is one kind of body.
std::string_view wrong_place(std::uint64_t last, std::uint64_t code, const Kind& kind,
                             const MessageView& message) {
  const bool is_second_footer = code == number(SectionCode::footer) && message.footer.is_present();
  if ((code == last && !kind.may_repeat) || is_second_footer)
    return "a message has a section twice";
  if (code < last) return "the sections of a message are out of order";
  if (kind.body != BodyKind::none && message.body_kind != BodyKind::none &&
      message.body_kind != kind.body)
    return "a message has two kinds of body";
  return {};
}

void read_section(Decoder& in, std::string_view encoded, std::uint64_t& last,
                  MessageView& message) {
  const auto start = in.position();
  const auto code = section_code(in);
  const auto kind = kind_of(code);
  if (!in.ok()) return;
  if (!kind) return in.fail("unknown message section");
  if (const auto go_on = known_misplaced(last, code, message))
    last = *go_on;
  else if (const auto wrong = wrong_place(last, code, *kind, message); !wrong.empty())
    return in.fail(wrong);
  else
    last = code;
  const auto value = in.position();
  if (kind->body != BodyKind::amqp_value && in.peek() != kind->type)
    return in.fail("a message section is of another type");
  in.skip();
  if (!in.ok()) return;

  const Section section{.bytes = encoded.substr(start, in.position() - start),
                        .value = encoded.substr(value, in.position() - value)};
  if (auto* named = named_section(message, static_cast<SectionCode>(code))) {
    *named = section;
  } else {
    message.body_kind = kind->body;
    message.body = join(message.body, section.bytes);
  }
  if (is_of_bare_message(code)) message.bare = join(message.bare, section.bytes);
}

template <class Composite>
Decoded<Composite> decode_composite(const Section& section) {
  Composite composite;
  if (!section.is_present()) return composite;
  Decoder in(section.value, Input::whole);
  read_fields(in, composite);
  return in.outcome(std::move(composite));
}

// Whether the next value is a string or a symbol with this text. Moves past it either way.
bool take_key(Decoder& in, std::string_view key) {
  switch (in.peek().value_or(Type::null)) {
    case Type::symbol:
      return in.symbol() == key;
    case Type::string:
      return in.string() == key;
    default:
      in.skip();
      return false;
  }
}

}  // namespace

Decoded<MessageView> split_message(std::string_view encoded) {
  MessageView message;
  if (encoded.empty()) return Malformed{"a message is empty"};
  Decoder in(encoded, Input::whole);
  std::uint64_t last = 0;
  while (in.ok() && !in.is_at_end()) read_section(in, encoded, last, message);
  return in.outcome(message);
}

Decoded<MessageHeader> decode_header(const MessageView& message) {
  return decode_composite<MessageHeader>(message.header);
}

Decoded<MessageProperties> decode_properties(const MessageView& message) {
  return decode_composite<MessageProperties>(message.properties);
}

Decoded<Map> decode_map(const Section& section) {
  if (!section.is_present()) return Map{};
  Decoder in(section.value, Input::whole);
  auto map = in.map();
  return in.outcome(std::move(map));
}

Decoded<Value> decode_body_value(const MessageView& message) {
  if (message.body_kind != BodyKind::amqp_value) return Value();
  Decoder in(message.body, Input::whole);
  in.descriptor();
  auto value = in.value();
  return in.outcome(std::move(value));
}

std::optional<Value> find_in(const Section& section, std::string_view key) {
  if (!section.is_present()) return std::nullopt;
  Decoder in(section.value, Input::whole);
  const auto map = in.open_map();
  for (std::uint32_t i = 0; i < map.count && in.ok(); i += 2) {
    if (take_key(in, key)) {
      auto value = in.value();
      if (in.ok()) return value;
    }
    in.skip();
  }
  return std::nullopt;
}

DataSections::DataSections(const MessageView& message)
    : in_(message.body_kind == BodyKind::data ? message.body : std::string_view(), Input::whole) {}

std::optional<std::string_view> DataSections::next() {
  if (in_.is_at_end()) return std::nullopt;
  in_.descriptor();
  const auto bytes = in_.binary();
  if (!in_.ok()) return std::nullopt;
  return bytes;
}

std::string_view joined_data(const MessageView& message, std::string& room) {
  DataSections sections(message);
  const auto first = sections.next();
  auto more = sections.next();
  if (!more) return first.value_or(std::string_view());
  room = *first;
  for (; more; more = sections.next()) room += *more;
  return room;
}

BatchReader::BatchReader(const MessageView& envelope, std::size_t events_max)
    : data_(envelope), left_(events_max) {
  if (envelope.body_kind != BodyKind::data) error_ = "the body of a batch is not data";
}

std::optional<BatchReader::Event> BatchReader::next() {
  if (!error_.empty()) return std::nullopt;
  const auto encoded = data_.next();
  if (!encoded) {
    if (!has_any_) error_ = "a batch is empty";
    return std::nullopt;
  }
  if (left_ == 0) {
    error_ = "a batch has too many events";
    return std::nullopt;
  }
  --left_;
  const auto view = split_message(*encoded);
  if (!view.has_value()) {
    error_ = view.reason();
    return std::nullopt;
  }
  has_any_ = true;
  return Event{.encoded = *encoded, .view = *view};
}

void append_map_section(std::string& out, SectionCode code, const Map& map) {
  append_section(out, code);
  append(out, map);
}

void append_data_section(std::string& out, std::string_view bytes) {
  append_section(out, SectionCode::data);
  append_binary(out, bytes);
}

void append_value_section(std::string& out, const Value& value) {
  append_section(out, SectionCode::amqp_value);
  append(out, value);
}

}  // namespace doppel::amqp
