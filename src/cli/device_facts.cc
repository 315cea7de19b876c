#include "cli/device_facts.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::cli {

Result<DeviceFacts> read_device_facts(Session& session) {
  const auto& profile = session.profile();
  const Arguments none;
  auto dps = session.send_json(
      {.path = session.resource_path(none, "Microsoft.Devices/provisioningServices", profile.dps)});
  if (!dps) return fail(std::move(dps.error()));
  const auto* properties = json::find(*dps, "properties");
  DeviceFacts facts;
  facts.id_scope = properties != nullptr ? json::get_string_or(*properties, "idScope", "") : "";
  auto host = session.dps_host(none);
  if (!host) return fail(std::move(host.error()));
  auto attestation =
      session.send_json({.method = "POST",
                         .path = fmt::format("/enrollmentGroups/{}/attestationmechanism",
                                             percent_encode(profile.enrollment_group)),
                         .api_version = kDpsVersion,
                         .host = *host});
  if (!attestation) return fail(std::move(attestation.error()));
  const auto* keys = json::find(*attestation, "symmetricKey");
  facts.group_key = keys != nullptr ? json::get_string_or(*keys, "primaryKey", "") : "";
  if (facts.id_scope.empty() || facts.group_key.empty())
    return fail(Code::not_found,
                "the DPS has no ID scope, or its enrollment group no symmetric key");
  return facts;
}

}  // namespace doppel::cli
