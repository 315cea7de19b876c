// The `key=value&key=value` texts at the end of MQTT topics: property bags of telemetry and C2D
// messages (IoT Hub), and the `?$rid=...` parts of requests (IoT Hub and DPS).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::mqtt {

// One property. A part without '=' has no value (C2D: null), "key=" an empty one.
struct Property {
  std::string key;
  std::optional<std::string> value{};

  bool operator==(const Property&) const = default;
};

// Order kept; names may repeat, because only the service knows what a repetition means.
using PropertyBag = std::vector<Property>;

// A message of 256 KiB cannot hold more than the topic's 64 KiB of them; this bounds the work.
inline constexpr std::size_t kPropertiesMax = 1024;

// Parses and percent-decodes both sides of each property. A leading '?' and a trailing '/' are
// dropped: edgeHub takes bags with either. '+' stays '+': the SDKs write "%20". A text with a
// broken escape stays as it is. nullopt for an empty key, text that is not UTF-8 after decoding, or
// too many properties.
std::optional<PropertyBag> parse_property_bag(std::string_view text);

// The value of the first property of that exact key; nullptr without one or without a value.
const std::string* find_property(const PropertyBag& bag, std::string_view key);

// Calls `take(key, value)` for each pair of "a=b&c=d", in order and as they stand: nothing is
// decoded or left out. False at the first part without '='; those before it have been taken.
template <class Take>
bool for_each_pair(std::string_view text, Take take) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    const auto equals = pair.find('=');
    if (equals == pair.npos) return false;
    take(pair.substr(0, equals), pair.substr(equals + 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

// Encodes for sending to devices. Everything but letters, digits and "-._~" is escaped, so:
//  - system keys go out as "%24.mid", which the C SDK compares literally (the others decode first);
//  - no '/' is left, because Node and Python take one topic level only;
//  - a property without value is sent as "key=": a part without '=' crashes Node's parser.
std::string encode_property_bag(const PropertyBag& bag);

}  // namespace doppel::mqtt
