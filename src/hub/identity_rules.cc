#include "hub/identity_rules.h"

#include <fmt/core.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "security/keys.h"

namespace doppel::hub {
namespace {

constexpr std::size_t kKeySizeMin = 16;  // bytes, decoded
constexpr std::size_t kKeySizeMax = 64;
constexpr std::size_t kSha1HexSize = 40;
constexpr std::size_t kSha256HexSize = 64;

Status check_key(std::string_view key, std::string_view which) {
  if (key.empty()) return {};
  const auto bytes = base64_decode(key);
  if (bytes && bytes->size() >= kKeySizeMin && bytes->size() <= kKeySizeMax) return {};
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("The {} key must be base64 of 16 to 64 bytes.", which));
}

Status check_thumbprint(std::string_view thumbprint, std::string_view which) {
  if (thumbprint.empty()) return {};
  const bool has_size = thumbprint.size() == kSha1HexSize || thumbprint.size() == kSha256HexSize;
  if (has_size && hex_decode(thumbprint)) return {};
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("The {} thumbprint must be 40 or 64 hex digits.", which));
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    return text.substr(1, text.size() - 2);
  return text;
}

}  // namespace

bool is_valid_device_id(std::string_view id) {
  if (id.empty() || id.size() > kDeviceIdSizeMax) return false;
  for (const char c : id) {
    const bool is_alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!is_alphanumeric &&
        std::string_view("-:.+%_#*?!(),=@;$'").find(c) == std::string_view::npos)
      return false;
  }
  return true;
}

Status check_identity(const Identity& identity) {
  if (!is_valid_device_id(identity.device_id.view()))
    return fail(errors::hub::kArgumentInvalid, "The device ID is not valid.");
  if (!identity.module_id.empty() && !is_valid_device_id(identity.module_id.view()))
    return fail(errors::hub::kArgumentInvalid, "The module ID is not valid.");
  if (identity.status_reason.size() > kStatusReasonSizeMax)
    return fail(errors::hub::kArgumentInvalid, "statusReason is longer than 128 characters.");
  const auto& authentication = identity.authentication;
  if (auto ok = check_key(authentication.primary_key, "primary"); !ok) return ok;
  if (auto ok = check_key(authentication.secondary_key, "secondary"); !ok) return ok;
  if (auto ok = check_thumbprint(authentication.primary_thumbprint, "primary"); !ok) return ok;
  if (auto ok = check_thumbprint(authentication.secondary_thumbprint, "secondary"); !ok) return ok;
  if (authentication.type == AuthenticationType::self_signed &&
      authentication.primary_thumbprint.empty() && authentication.secondary_thumbprint.empty()) {
    return fail(errors::hub::kArgumentInvalid, "selfSigned needs a thumbprint.");
  }
  return {};
}

void complete_keys(Authentication& authentication, Random& random) {
  if (authentication.type != AuthenticationType::sas) return;
  if (authentication.primary_key.empty()) authentication.primary_key = security::random_key(random);
  if (authentication.secondary_key.empty())
    authentication.secondary_key = security::random_key(random);
}

Authentication merged_authentication(const Authentication& current, Authentication wanted) {
  if (wanted.type == AuthenticationType::sas) {
    if (wanted.primary_key.empty()) wanted.primary_key = current.primary_key;
    if (wanted.secondary_key.empty()) wanted.secondary_key = current.secondary_key;
    wanted.primary_thumbprint.clear();
    wanted.secondary_thumbprint.clear();
  } else {
    wanted.primary_key.clear();
    wanted.secondary_key.clear();
  }
  return wanted;
}

bool same_authentication(const Authentication& a, const Authentication& b) {
  return a.type == b.type && security::constant_time_equal(a.primary_key, b.primary_key) &&
         security::constant_time_equal(a.secondary_key, b.secondary_key) &&
         equal_ignoring_case(a.primary_thumbprint, b.primary_thumbprint) &&
         equal_ignoring_case(a.secondary_thumbprint, b.secondary_thumbprint);
}

Etag random_etag(Random& random) {
  return Etag(base64_encode(fmt::format("{}", 100'000'000 + random.next() % 900'000'000)));
}

GenerationId make_generation(TimePoint now, std::uint64_t commits, const DeviceId& device) {
  constexpr std::uint64_t kTicksPerSecond = 10'000'000;
  constexpr std::uint64_t kSecondsBefore1970 = 62'135'596'800;  // since 0001-01-01
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto since_1 = kSecondsBefore1970 + static_cast<std::uint64_t>(seconds);
  // FNV-1a: the same on every machine and in every run, unlike std::hash.
  std::uint64_t hash = 14'695'981'039'346'656'037ULL;
  for (const char c : device.view())
    hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211ULL;
  return GenerationId(
      fmt::format("{}", since_1 * kTicksPerSecond + (commits + hash) % kTicksPerSecond));
}

bool is_unconditional(std::string_view if_match) {
  return if_match.empty() || unquoted(if_match) == "*";
}

bool etag_matches(std::string_view if_match, std::string_view etag) {
  return is_unconditional(if_match) || unquoted(if_match) == etag;
}

std::string_view to_string(DeviceStatus status) {
  switch (status) {
    case DeviceStatus::enabled:
      return "enabled";
    case DeviceStatus::disabled:
      return "disabled";
  }
  return "";
}

std::string_view to_string(AuthenticationType type) {
  switch (type) {
    case AuthenticationType::sas:
      return "sas";
    case AuthenticationType::self_signed:
      return "selfSigned";
    case AuthenticationType::certificate_authority:
      return "certificateAuthority";
    case AuthenticationType::none:
      return "none";
  }
  return "";
}

}  // namespace doppel::hub
