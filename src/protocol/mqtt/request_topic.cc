#include "protocol/mqtt/request_topic.h"

#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "base/encoding.h"

namespace doppel::mqtt {
namespace {

constexpr std::string_view kDpsPrefix = "$dps/registrations/";
constexpr std::string_view kHubPrefix = "$iothub/";
constexpr std::string_view kRegister = "PUT/iotdps-register/";
constexpr std::string_view kPoll = "GET/iotdps-get-operationstatus/";
constexpr std::string_view kTwinGet = "twin/GET/";
constexpr std::string_view kTwinPatch = "twin/PATCH/properties/reported/";
constexpr std::string_view kMethodReply = "methods/res/";
constexpr std::string_view kRid = "$rid";

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "?$rid=..." as a bag that has a `$rid`. All SDKs write the '?'.
std::optional<PropertyBag> parse_query(std::string_view text) {
  if (!text.starts_with('?')) return std::nullopt;
  auto bag = parse_property_bag(text);
  if (!bag) return std::nullopt;
  const auto* rid = find_property(*bag, kRid);
  if (rid == nullptr || rid->empty()) return std::nullopt;
  return bag;
}

// Request ids of IoT Hub go back as they came: the SDKs use uuids and numbers, which encoding does
// not change.
std::string encode_rid(std::string_view rid) { return percent_encode(rid); }

std::optional<RequestTopic> parse_dps(std::string_view rest) {
  const bool is_register = take_prefix(rest, kRegister);
  if (!is_register && !take_prefix(rest, kPoll)) return std::nullopt;
  if (!take_prefix(rest, "?") || !is_valid_utf8(rest)) return std::nullopt;
  std::string rid;
  std::string operation;
  const bool is_query = for_each_pair(rest, [&](std::string_view key, std::string_view value) {
    if (key == kRid) rid = value;
    if (equal_ignoring_case(key, "operationId"))
      operation = percent_decode(value).value_or(std::string(value));
  });
  if (!is_query || rid.empty() || rid.size() > kDpsRidBytesMax) return std::nullopt;
  if (is_register) return DpsRegister{std::move(rid)};
  if (operation.empty()) return std::nullopt;
  return DpsPoll{std::move(rid), std::move(operation)};
}

std::optional<RequestTopic> parse_twin_patch(std::string_view rest) {
  const auto query = parse_query(rest);
  if (!query) return std::nullopt;
  TwinPatchReported patch{.rid = *find_property(*query, kRid), .base_version = std::nullopt};
  if (const auto* version = find_property(*query, "$version"); version != nullptr) {
    patch.base_version = parse_number<std::int64_t>(*version);
    if (!patch.base_version) return std::nullopt;
  }
  return patch;
}

std::optional<RequestTopic> parse_method_reply(std::string_view rest) {
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto status = parse_number<std::int32_t>(rest.substr(0, slash));
  const auto query = parse_query(rest.substr(slash + 1));
  if (!status || !query) return std::nullopt;
  return MethodReply{*status, *find_property(*query, kRid)};
}

}  // namespace

std::optional<RequestTopic> parse_request_topic(std::string_view topic) {
  if (take_prefix(topic, kDpsPrefix)) return parse_dps(topic);
  if (!take_prefix(topic, kHubPrefix)) return std::nullopt;
  if (take_prefix(topic, kTwinPatch)) return parse_twin_patch(topic);
  if (take_prefix(topic, kMethodReply)) return parse_method_reply(topic);
  if (!take_prefix(topic, kTwinGet)) return std::nullopt;
  const auto query = parse_query(topic);
  if (!query) return std::nullopt;
  return TwinGet{*find_property(*query, kRid)};
}

std::string dps_response_topic(int status, std::string_view rid, int retry_after_s) {
  auto topic = fmt::format("$dps/registrations/res/{}/?$rid={}", status, rid);
  if (retry_after_s > 0) topic += fmt::format("&retry-after={}", retry_after_s);
  return topic;
}

std::string twin_response_topic(int status, std::string_view rid,
                                std::optional<std::int64_t> version) {
  auto topic = fmt::format("$iothub/twin/res/{}/?$rid={}", status, encode_rid(rid));
  if (version) topic += fmt::format("&$version={}", *version);
  return topic;
}

std::string twin_desired_topic(std::int64_t version) {
  return fmt::format("$iothub/twin/PATCH/properties/desired/?$version={}", version);
}

std::string method_request_topic(std::string_view name, std::string_view rid) {
  std::string level;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/' || byte < 0x20 || byte == 0x7F) return {};
    if (c == '%' || c == '#' || c == '+')
      level += fmt::format("%{:02X}", byte);
    else
      level += c;
  }
  if (level.empty()) return {};
  return fmt::format("$iothub/methods/POST/{}/?$rid={}", level, encode_rid(rid));
}

}  // namespace doppel::mqtt
