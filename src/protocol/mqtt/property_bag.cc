#include "protocol/mqtt/property_bag.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::mqtt {
namespace {

std::optional<std::string> decode(std::string_view raw) {
  if (raw.find('%') == std::string_view::npos) return std::string(raw);
  auto decoded = percent_decode(raw);
  // The C SDK does not encode unless told to, so "humidity=50%" arrives just so.
  if (!decoded) return std::string(raw);
  // What decoding makes must be text again: it goes into JSON and AMQP strings.
  if (!is_valid_utf8(*decoded)) return std::nullopt;
  return decoded;
}

}  // namespace

std::optional<PropertyBag> parse_property_bag(std::string_view text) {
  if (text.starts_with('?')) text.remove_prefix(1);
  if (text.ends_with('/')) text.remove_suffix(1);
  if (!is_valid_utf8(text)) return std::nullopt;
  PropertyBag bag;
  bag.reserve(std::min<std::size_t>(std::ranges::count(text, '&') + 1, kPropertiesMax));
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.empty()) continue;
    if (bag.size() == kPropertiesMax) return std::nullopt;
    const auto equals = part.find('=');
    auto key = decode(part.substr(0, equals));
    if (!key || key->empty()) return std::nullopt;
    Property property{.key = std::move(*key)};
    if (equals != std::string_view::npos) {
      property.value = decode(part.substr(equals + 1));
      if (!property.value) return std::nullopt;
    }
    bag.push_back(std::move(property));
  }
  return bag;
}

const std::string* find_property(const PropertyBag& bag, std::string_view key) {
  const auto found = std::ranges::find(bag, key, &Property::key);
  return found != bag.end() && found->value ? &*found->value : nullptr;
}

std::string encode_property_bag(const PropertyBag& bag) {
  std::string text;
  for (const auto& [key, value] : bag) {
    if (!text.empty()) text += '&';
    text += percent_encode(key);
    text += '=';
    if (value) text += percent_encode(*value);
  }
  return text;
}

}  // namespace doppel::mqtt
