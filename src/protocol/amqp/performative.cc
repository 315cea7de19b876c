#include "protocol/amqp/performative.h"

#include "protocol/amqp/variants.h"

namespace doppel::amqp {

void append(std::string& out, const DeliveryState& state) { append_alternative(out, state); }
void append(std::string& out, const AnySource& source) { append_alternative(out, source); }
void append(std::string& out, const AnyTarget& target) { append_alternative(out, target); }
void read(Decoder& in, DeliveryState& out) { read_alternative_or_value(in, out); }
void read(Decoder& in, AnySource& out) { read_alternative_or_value(in, out); }
void read(Decoder& in, AnyTarget& out) { read_alternative_or_value(in, out); }

Decoded<DecodedPerformative> decode_performative(std::string_view frame_body) {
  Decoder in(frame_body, Input::whole);
  const auto descriptor = in.descriptor();
  // Built in place and moved once: this runs for every frame.
  DecodedPerformative decoded;
  if (in.ok() && !read_alternative(in, descriptor, decoded.performative))
    in.fail("unknown performative");
  decoded.consumed = in.position();
  return in.outcome(std::move(decoded));
}

void append(std::string& out, const Performative& performative) {
  append_alternative(out, performative);
}

std::string_view name_of(const Performative& performative) {
  return std::visit(
      [](const auto& p) {
        auto name = p.kSymbol;  // amqp:open:list
        name.remove_prefix(name.find(':') + 1);
        return name.substr(0, name.find(':'));
      },
      performative);
}

}  // namespace doppel::amqp
