#include "provisioning/allocation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/remote_hub.h"
#include "provisioning/twin_text.h"
#include "security/keys.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kPayloadSinceVersion = "2019-03-31";  // of the webhook's types

}  // namespace

namespace {

AllocationPolicy default_policy(const resources::Dps& dps) {
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

}  // namespace

AllocationPolicy effective_policy(const Enrollment& enrollment, const resources::Dps& dps) {
  return enrollment.allocation ? *enrollment.allocation : default_policy(dps);
}

std::vector<const resources::LinkedHub*> candidates(const Enrollment& enrollment,
                                                    const resources::Dps& dps) {
  const bool by_name = effective_policy(enrollment, dps) == AllocationPolicy::static_hub;
  std::vector<const resources::LinkedHub*> hubs;
  for (const std::string& name : enrollment.iot_hubs) {
    const resources::LinkedHub* hub = dps.find_linked_hub(name);
    if (hub == nullptr || !is_usable(*hub) || !(by_name || hub->apply_allocation_policy)) continue;
    if (std::ranges::find(hubs, hub) == hubs.end()) hubs.push_back(hub);
  }
  if (!enrollment.iot_hubs.empty()) return hubs;
  for (const resources::LinkedHub& hub : dps.linked_hubs) {
    if (is_usable(hub) && hub.apply_allocation_policy) hubs.push_back(&hub);
  }
  return hubs;
}

std::string label_of(const resources::LinkedHub& hub) {
  return hub.hub ? to_lower(hub.hub->view()) : remote_name(hub);
}

const resources::LinkedHub* choose_by_hash(const std::vector<const resources::LinkedHub*>& hubs,
                                           std::string_view registration_id) {
  const bool has_weights =
      std::ranges::any_of(hubs, [](auto* hub) { return hub->allocation_weight > 0; });
  const resources::LinkedHub* best = nullptr;
  double best_score = -1;
  for (const resources::LinkedHub* hub : hubs) {
    if (has_weights && hub->allocation_weight <= 0) continue;
    const auto text = fmt::format("{}\n{}", to_lower(registration_id), label_of(*hub));
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

Duration latency_of(const resources::LinkedHub& hub, const MeasuredLatency& measured) {
  if (hub.latency_ms) return std::chrono::milliseconds(*hub.latency_ms);
  if (hub.hub) return Duration::zero();
  const auto known = measured ? measured(hub) : std::nullopt;
  return known.value_or(Duration::max());  // a hub that was never reached is the farthest
}

Result<const resources::LinkedHub*> choose_hub(const Enrollment& enrollment,
                                               const resources::Dps& dps,
                                               std::string_view registration_id,
                                               const MeasuredLatency& measured) {
  auto hubs = candidates(enrollment, dps);
  if (hubs.empty()) {
    return fail(errors::dps::kNoHub, "no linked hub can take the device");
  }
  AllocationPolicy policy = effective_policy(enrollment, dps);
  if (policy == AllocationPolicy::custom) policy = default_policy(dps);
  if (policy == AllocationPolicy::static_hub && hubs.size() != 1) {
    return fail(errors::dps::kNoHub, "static allocation needs exactly one hub");
  }
  if (policy == AllocationPolicy::geo_latency) {
    // Of hubs with weight 0 none is used while there is another, as when hashing.
    if (std::ranges::any_of(hubs, [](auto* hub) { return hub->allocation_weight > 0; })) {
      std::erase_if(hubs, [](auto* hub) { return hub->allocation_weight <= 0; });
    }
    Duration nearest = Duration::max();
    for (const auto* hub : hubs) nearest = std::min(nearest, latency_of(*hub, measured));
    std::erase_if(hubs, [&](auto* hub) { return latency_of(*hub, measured) > nearest; });
  }
  return choose_by_hash(hubs, registration_id);
}

std::string masked_url(std::string_view url) {
  const auto query = url.find('?');
  std::string shown(url.substr(0, query));
  // User name and password, if somebody put them there.
  const auto scheme = shown.find("://");
  const auto host = scheme == shown.npos ? 0 : scheme + 3;
  const auto at = shown.substr(0, shown.find('/', host)).rfind('@');
  if (at != shown.npos && at >= host) shown.replace(host, at - host, "****");
  return query == url.npos ? shown : shown + "?****";
}

json::Object allocation_request(const Enrollment& enrollment, const RegistrationId& id,
                                const json::Object& proof, const Registration* current,
                                const std::optional<json::Value>& payload,
                                const std::vector<const resources::LinkedHub*>& hubs) {
  json::Object shown = to_json(enrollment, ShowKeys::hide);
  shown["attestation"] = json::Object{{"type", std::string(to_string(enrollment.attestation))}};
  if (enrollment.webhook) {
    // Its query holds the function's key, which the function does not need to see.
    shown["customAllocationDefinition"] =
        json::Object{{"webhookUrl", masked_url(enrollment.webhook->url)},
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
