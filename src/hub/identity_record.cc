#include "hub/identity_record.h"

#include "hub/record_reader.h"

namespace doppel::hub {
namespace {

constexpr std::uint8_t kFormatVersion = 1;

bool has_keys(const Authentication& authentication) {
  return !authentication.primary_key.empty() || !authentication.secondary_key.empty();
}

}  // namespace

std::string encode_identity(const Identity& identity, std::string_view key,
                            const security::SecretBox& box) {
  const auto& authentication = identity.authentication;
  std::string keys;
  if (has_keys(authentication)) {
    // Base64 has no line feed.
    keys = box.seal(authentication.primary_key + '\n' + authentication.secondary_key, key);
  }
  std::string out;
  out.push_back(static_cast<char>(kFormatVersion));
  out.push_back(static_cast<char>(identity.status));
  append_record_text(out, identity.generation.view());
  out.push_back(static_cast<char>(authentication.type));
  out.push_back(static_cast<char>(identity.iot_edge));
  append_be(out, static_cast<std::uint64_t>(identity.status_updated.time_since_epoch().count()));
  append_record_text(out, identity.etag.view());
  append_record_text(out, identity.status_reason);
  append_record_text(out, identity.device_scope);
  append_record_text(out, authentication.primary_thumbprint);
  append_record_text(out, authentication.secondary_thumbprint);
  append_record_text(out, keys);
  return out;
}

Result<Identity> decode_identity(std::string_view record, std::string_view key, DeviceId device,
                                 ModuleId module, const security::SecretBox& box) {
  RecordReader in(record);
  if (in.byte() != kFormatVersion) return fail(Code::internal, "identity record: unknown format");
  Identity identity{.device_id = std::move(device), .module_id = std::move(module)};
  auto& authentication = identity.authentication;
  const auto status = in.byte();
  identity.generation = GenerationId(in.text());
  const auto type = in.byte();
  identity.iot_edge = in.byte() != 0;
  identity.status_updated = TimePoint(Duration(in.number<std::int64_t>()));
  identity.etag = Etag(in.text());
  identity.status_reason = in.text();
  identity.device_scope = in.text();
  authentication.primary_thumbprint = in.text();
  authentication.secondary_thumbprint = in.text();
  const auto keys = in.text();
  if (in.failed() || !in.at_end() || status > static_cast<int>(DeviceStatus::disabled) ||
      type > static_cast<int>(AuthenticationType::none)) {
    return fail(Code::internal, "identity record: damaged");
  }
  identity.status = static_cast<DeviceStatus>(status);
  authentication.type = static_cast<AuthenticationType>(type);
  if (!keys.empty()) {
    auto opened = box.open(keys, key);
    if (!opened) return fail(Code::internal, "identity record: " + opened.error().message);
    const auto middle = opened->find('\n');
    if (middle == std::string::npos) return fail(Code::internal, "identity record: damaged keys");
    authentication.primary_key = opened->substr(0, middle);
    authentication.secondary_key = opened->substr(middle + 1);
  }
  return identity;
}

IdentityHead peek_identity(std::string_view record) {
  RecordReader in(record);
  const auto version = in.byte();
  const auto status = in.byte();
  const auto generation = in.text();
  if (in.failed() || version != kFormatVersion || status != 0)
    return {.status = DeviceStatus::disabled, .generation = generation};
  return {.status = DeviceStatus::enabled, .generation = generation};
}

}  // namespace doppel::hub
