#include <fmt/format.h>

#include "base/encoding.h"
#include "provisioning/wire/mqtt_device.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kRegisterTopic = "$dps/registrations/PUT/iotdps-register/?";
constexpr std::string_view kPollTopic = "$dps/registrations/GET/iotdps-get-operationstatus/?";

// Calls `take(key, value)` for each pair of "a=b&c=d"; false when a pair has no '='.
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

}  // namespace

std::optional<MqttUserName> parse_user_name(std::string_view text) {
  MqttUserName name;
  const auto scope_end = text.find('/');
  if (scope_end == text.npos || scope_end == 0) return std::nullopt;
  name.id_scope = text.substr(0, scope_end);
  text.remove_prefix(scope_end + 1);
  constexpr std::string_view kRegistrations = "registrations/";
  if (!starts_with_ignoring_case(text, kRegistrations)) return std::nullopt;
  text.remove_prefix(kRegistrations.size());
  const auto id_end = text.find('/');
  if (id_end == text.npos || id_end == 0) return std::nullopt;
  name.registration_id = text.substr(0, id_end);
  text.remove_prefix(id_end + 1);
  if (text.starts_with('?')) text.remove_prefix(1);
  bool is_decoded = true;
  const bool is_query = for_each_pair(text, [&](std::string_view key, std::string_view value) {
    auto decoded = percent_decode(value);
    if (!decoded) {
      is_decoded = false;
    } else if (equal_ignoring_case(key, "api-version")) {
      name.api_version = *std::move(decoded);
    }
  });
  if (!is_query || !is_decoded || !is_api_version(name.api_version)) return std::nullopt;
  return name;
}

std::optional<MqttRequest> parse_request_topic(std::string_view topic) {
  MqttRequest request;
  if (topic.starts_with(kRegisterTopic)) {
    topic.remove_prefix(kRegisterTopic.size());
  } else if (topic.starts_with(kPollTopic)) {
    topic.remove_prefix(kPollTopic.size());
    request.kind = MqttRequest::Kind::poll;
  } else {
    return std::nullopt;
  }
  const bool is_query = for_each_pair(topic, [&](std::string_view key, std::string_view value) {
    if (key == "$rid") request.rid = value;
    if (equal_ignoring_case(key, "operationId")) {
      request.operation_id = percent_decode(value).value_or(std::string(value));
    }
  });
  if (!is_query || request.rid.empty() || request.rid.size() > kRequestIdSizeMax) {
    return std::nullopt;
  }
  if (request.kind == MqttRequest::Kind::poll && request.operation_id.empty()) return std::nullopt;
  return request;
}

std::string response_topic(int status, std::string_view rid, int retry_after_s) {
  auto topic = fmt::format("$dps/registrations/res/{}/?$rid={}", status, rid);
  if (retry_after_s > 0) topic += fmt::format("&retry-after={}", retry_after_s);
  return topic;
}

}  // namespace doppel::provisioning
