#include "protocol/mqtt/cursor.h"

namespace doppel::mqtt {
namespace {

PacketProperty read_one(Cursor& in, const PropertyRule& rule, bool is_kept) {
  PacketProperty property{.id = rule.id};
  const auto keep = [is_kept](std::string& to, std::string_view from) {
    if (is_kept) to = from;
  };
  switch (rule.kind) {
    case PropertyKind::byte:
      property.number = in.u8();
      break;
    case PropertyKind::two_bytes:
      property.number = in.u16();
      break;
    case PropertyKind::four_bytes:
      property.number = in.u32();
      break;
    case PropertyKind::variable:
      property.number = in.variable();
      break;
    case PropertyKind::text:
      keep(property.text, in.text());
      return property;
    case PropertyKind::binary:
      keep(property.text, in.binary());
      return property;
    case PropertyKind::pair:
      keep(property.text, in.text());
      keep(property.value, in.text());
      return property;
  }
  if (!in.failed() && (property.number < rule.number_min || property.number > rule.number_max))
    in.refuse("the value of a property is outside its bounds [MQTT5-2.2.2.2]");
  return property;
}

void read_content(Cursor& in, Carrier carrier, Properties* out) {
  std::uint64_t seen = 0;
  while (!in.at_end()) {
    const auto* rule = find_rule(in.variable());
    if (rule == nullptr || (rule->carriers & static_cast<std::uint16_t>(carrier)) == 0)
      return in.refuse("a property that this packet cannot have [MQTT5-2.2.2.2]");
    const auto bit = std::uint64_t{1} << static_cast<unsigned>(rule->id);
    if (!rule->is_repeatable && (seen & bit) != 0)
      return in.refuse("a property stands twice [MQTT5-2.2.2.2]");
    seen |= bit;
    auto property = read_one(in, *rule, out != nullptr);
    if (out != nullptr && !in.failed()) out->add(std::move(property));
  }
}

}  // namespace

std::string_view read_properties(Cursor& body, Carrier carrier, Properties* out) {
  const auto raw = body.take(body.variable());
  Cursor in(raw);
  read_content(in, carrier, out);
  if (in.failed()) body.refuse(in.error());
  return raw;
}

Properties take_apart(std::string_view raw, Carrier carrier) {
  Properties properties;
  Cursor in(raw);
  read_content(in, carrier, &properties);
  return properties;
}

std::optional<std::uint32_t> find_number(std::string_view raw, PropertyId id) {
  Cursor in(raw);
  while (!in.at_end()) {
    const auto* rule = find_rule(in.variable());
    if (rule == nullptr) return std::nullopt;
    const auto property = read_one(in, *rule, false);
    if (rule->id == id && !in.failed()) return property.number;
  }
  return std::nullopt;
}

}  // namespace doppel::mqtt
