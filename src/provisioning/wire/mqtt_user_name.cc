#include "base/encoding.h"
#include "protocol/mqtt/property_bag.h"
#include "provisioning/wire/mqtt_device.h"

namespace doppel::provisioning {

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
  const bool is_query =
      mqtt::for_each_pair(text, [&](std::string_view key, std::string_view value) {
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

}  // namespace doppel::provisioning
