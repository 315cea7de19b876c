// Any bytes as a message: sections lie within it and decode as often as they are asked for, and its
// bare message with annotations of ours in front is a message again.
#include "base/check.h"
#include "protocol/amqp/message.h"

namespace doppel::amqp {
namespace {

bool is_within(std::string_view inner, std::string_view outer) {
  if (inner.empty()) return true;
  return inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size();
}

void check_map(const Section& section) {
  const auto map = decode_map(section);
  if (!map.has_value()) return;
  std::string out;
  append(out, *map);
  Decoder in(out, Input::whole);
  check(in.map() == *map && in.ok(), "a map is read again as it was");
  if (map->is_empty()) return;
  const auto* key = map->entries.front().key.text_if();
  if (key != nullptr) check(find_in(section, *key) == *map->find(*key), "found as it is decoded");
}

template <class Composite>
void check_composite(const Decoded<Composite>& decoded) {
  if (!decoded.has_value()) return;
  std::string out;
  append(out, *decoded);
  Decoder in(out, Input::whole);
  Composite again;
  read(in, again);
  check(in.ok() && again == *decoded, "a section is read again as it was");
}

void check_body(const MessageView& message, std::string_view input) {
  check(decode_body_value(message).has_value(), "what was passed over decodes");
  std::size_t size = 0;
  for (DataSections sections(message); const auto data = sections.next();) {
    check(is_within(*data, input), "data lies in the message");
    size += data->size();
  }
  std::string room;
  check(joined_data(message, room).size() == size, "joined without loss");
  BatchReader batch(message, 100);
  std::size_t events = 0;
  while (const auto event = batch.next()) {
    ++events;
    check(is_within(event->encoded, input) && is_within(event->view.bare, event->encoded),
          "inside");
  }
  check(events > 0 || !batch.error().empty(), "a batch has events or is refused");
}

void run(std::string_view input) {
  const auto message = split_message(input);
  check(!message.needs_more(), "a message is whole");
  if (!message.has_value()) return check(!message.reason().empty(), "a refusal has its reason");
  for (const auto* section : {&message->delivery_annotations, &message->message_annotations,
                              &message->application_properties, &message->footer}) {
    check(is_within(section->bytes, input), "sections lie in the message");
    check(decode_map(*section).has_value(), "what was passed over decodes");
    check_map(*section);
  }
  check_composite(decode_header(*message));
  check_composite(decode_properties(*message));
  check_body(*message, input);

  std::string out;
  append_map_section(out, SectionCode::message_annotations, Map{}.add_symbol("x", Value(true)));
  out += message->bare;
  const auto sent = split_message(out);
  check(sent.has_value() && sent->bare == message->bare, "a stored message can be delivered");
}

}  // namespace
}  // namespace doppel::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  doppel::amqp::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
