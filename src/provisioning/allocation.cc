#include "provisioning/allocation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/twin_text.h"
#include "security/keys.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kPayloadSinceVersion = "2019-03-31";  // of the webhook's types

}  // namespace

AllocationPolicy effective_policy(const Enrollment& enrollment, const resources::Dps& dps) {
  if (enrollment.allocation) return *enrollment.allocation;
  switch (dps.allocation_policy) {
    case resources::AllocationPolicy::hashed:
      return AllocationPolicy::hashed;
    case resources::AllocationPolicy::geo_latency:
      return AllocationPolicy::geo_latency;
    case resources::AllocationPolicy::static_assignment:
      return AllocationPolicy::static_hub;
  }
  return AllocationPolicy::hashed;
}

std::vector<const resources::LinkedHub*> candidates(const Enrollment& enrollment,
                                                    const resources::Dps& dps) {
  const bool by_name = enrollment.allocation == AllocationPolicy::static_hub;
  std::vector<const resources::LinkedHub*> hubs;
  for (const std::string& name : enrollment.iot_hubs) {
    const resources::LinkedHub* hub = dps.find_linked_hub(name);
    if (hub != nullptr && hub->hub && (by_name || hub->apply_allocation_policy)) {
      hubs.push_back(hub);
    }
  }
  if (!enrollment.iot_hubs.empty()) return hubs;
  for (const resources::LinkedHub& hub : dps.linked_hubs) {
    if (hub.hub && hub.apply_allocation_policy) hubs.push_back(&hub);
  }
  return hubs;
}

const resources::LinkedHub* choose_by_hash(const std::vector<const resources::LinkedHub*>& hubs,
                                           std::string_view registration_id) {
  const resources::LinkedHub* best = nullptr;
  double best_score = -1;
  for (const resources::LinkedHub* hub : hubs) {
    // The resource's name, not the host name: public names may change, the assignment should not.
    const auto text = fmt::format("{}\n{}", to_lower(registration_id), to_lower(hub->hub->view()));
    const auto hash = load_be<std::uint64_t>(security::sha256(text).data());
    // 53 bits make a double strictly between 0 and 1.
    const double uniform = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
    const double score = std::max(hub->allocation_weight, 1) / -std::log(uniform);
    if (score > best_score) {
      best = hub;
      best_score = score;
    }
  }
  return best;
}

Result<const resources::LinkedHub*> choose_hub(const Enrollment& enrollment,
                                               const resources::Dps& dps,
                                               std::string_view registration_id) {
  const auto hubs = candidates(enrollment, dps);
  if (hubs.empty()) {
    return fail(errors::dps::kNoHub, "no linked hub of this server can take the device");
  }
  if (effective_policy(enrollment, dps) == AllocationPolicy::static_hub && hubs.size() != 1) {
    return fail(errors::dps::kNoHub, "static allocation needs exactly one hub");
  }
  return choose_by_hash(hubs, registration_id);
}

json::Object allocation_request(const Enrollment& enrollment, const RegistrationId& id,
                                const json::Object& proof, const Registration* current,
                                const std::optional<json::Value>& payload,
                                const std::vector<const resources::LinkedHub*>& hubs) {
  json::Object shown = to_json(enrollment, ShowKeys::hide);
  shown["attestation"] = json::Object{{"type", std::string(to_string(enrollment.attestation))}};
  if (enrollment.webhook) {
    // Its query holds the function's key, which the function does not need to see.
    const std::string& url = enrollment.webhook->url;
    const auto query = url.find('?');
    shown["customAllocationDefinition"] =
        json::Object{{"webhookUrl", query == url.npos ? url : url.substr(0, query) + "?****"},
                     {"apiVersion", enrollment.webhook->api_version}};
  }
  json::Object context;
  context["registrationId"] = id.str();
  if (current != nullptr) {
    context["currentIotHubHostName"] = current->assigned_hub;
    context["currentDeviceId"] = current->device_id.str();
  }
  for (const auto& member : proof) context[member.key()] = member.value();
  if (payload && !payload->is_null() &&
      (!enrollment.webhook || enrollment.webhook->api_version >= kPayloadSinceVersion)) {
    context["payload"] = *payload;
  }
  json::Array linked;
  for (const resources::LinkedHub* hub : hubs) linked.emplace_back(hub->host_name);

  json::Object request;
  request[enrollment.kind == EnrollmentKind::individual ? "individualEnrollment"
                                                        : "enrollmentGroup"] = std::move(shown);
  request["deviceRuntimeContext"] = std::move(context);
  request["linkedHubs"] = std::move(linked);
  return request;
}

}  // namespace doppel::provisioning
