// Microsoft.Devices/provisioningServices (reference: dps.md sections 6 and 7).
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "resources/connection_string.h"
#include "resources/document.h"
#include "resources/types.h"
#include "security/keys.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kLinkedHubsMax = 50;
constexpr std::int64_t kWeightMax = 1000;
constexpr std::int64_t kLatencyMsMax = 60'000;
constexpr std::int64_t kRateMax = 10'000'000;  // per minute
constexpr std::string_view kAllocationPolicies[] = {"Hashed", "GeoLatency", "Static"};

constexpr DefaultPolicy kPolicies[] = {
    // All six rights: az looks for a policy that holds ServiceConfig and EnrollmentWrite.
    {"provisioningserviceowner",
     "ServiceConfig, DeviceConnect, EnrollmentWrite, EnrollmentRead, RegistrationStatusRead, "
     "RegistrationStatusWrite"},
};

// The stored link to a host, for a body whose connection string is masked or left out.
const json::Value* stored_link(const PutContext& context, std::string_view host) {
  const auto* hubs = property(context.existing, "iotHubs");
  if (hubs == nullptr || !hubs->is_array()) return nullptr;
  for (const auto& hub : hubs->get_array()) {
    const auto parsed = parse_connection_string(json::get_string_or(hub, "connectionString", ""));
    if (parsed && host_without_port(parsed->host) == host_without_port(host)) return &hub;
  }
  return nullptr;
}

// When the hub is ours the key must be right, or no device could ever be assigned.
Status check_own_hub(const Catalog& catalog, const ConnectionString& connection) {
  const Hub* hub = catalog.find_hub_by_host(connection.host);
  if (hub == nullptr) return {};
  const HubPolicy* policy = hub->find_policy(connection.key_name);
  if (policy == nullptr ||
      (!security::constant_time_equal(policy->primary_key, connection.key) &&
       !security::constant_time_equal(policy->secondary_key, connection.key))) {
    return bad_parameter("The key in the connection string for '" + connection.host +
                         "' is not one of the hub's keys.");
  }
  if (!policy->allows(HubRight::registry_write)) {
    return bad_parameter("The policy '" + policy->name + "' in the connection string for '" +
                         connection.host + "' must hold RegistryWrite; use iothubowner.");
  }
  return {};
}

Result<json::Value> complete_link(const PutContext& context, const json::Value& link) {
  std::string connection = json::get_string_or(link, "connectionString", "");
  auto parsed = parse_connection_string(connection);
  if (!parsed)
    return bad_parameter(
        "A linked hub's connection string is not valid: " + parsed.error().message + ".");
  const json::Value* stored = stored_link(context, parsed->host);
  if (parsed->is_masked()) {
    if (stored == nullptr) {
      return bad_parameter("The connection string for '" + parsed->host +
                           "' is masked; give it with its key.");
    }
    connection = json::get_string_or(*stored, "connectionString", "");
  } else if (auto good = check_own_hub(context.catalog, *parsed); !good) {
    return fail(std::move(good.error()));
  }
  auto weight = integer_member(link, "allocationWeight", 0, kWeightMax, 1);
  if (!weight) return fail(std::move(weight.error()));
  const auto* apply = json::find(link, "applyAllocationPolicy");
  const bool is_applied = apply == nullptr || !apply->is_bool() || apply->get_bool();
  const std::string location = json::get_string_or(link, "location", context.defaults.location);
  json::Object complete{{"connectionString", connection},
                        {"location", location},
                        {"applyAllocationPolicy", is_applied},
                        {"allocationWeight", *weight}};
  // Ours: how near the hub is, for the policy GeoLatency (docs/concepts/provisioning.md).
  if (const auto* latency = json::find(link, "latencyMs");
      latency != nullptr && !latency->is_null()) {
    auto read = integer_member(link, "latencyMs", 0, kLatencyMsMax, 0);
    if (!read) return fail(std::move(read.error()));
    complete["latencyMs"] = *read;
  }
  return json::Value(std::move(complete));
}

Result<json::Array> complete_links(const PutContext& context) {
  const auto* given = property(context.body, "iotHubs");
  if (given == nullptr || given->is_null()) {
    const auto* stored = property(context.existing, "iotHubs");
    return stored != nullptr && stored->is_array() ? stored->get_array() : json::Array{};
  }
  if (!given->is_array() || given->get_array().size() > kLinkedHubsMax)
    return bad_parameter("'iotHubs' must be an array of at most 50.");
  json::Array links;
  std::vector<std::string> hosts;
  for (const auto& link : given->get_array()) {
    auto complete = complete_link(context, link);
    if (!complete) return fail(std::move(complete.error()));
    const auto parsed =
        parse_connection_string(json::get_string_or(*complete, "connectionString", ""));
    std::string host = parsed ? host_without_port(parsed->host) : std::string{};
    if (std::ranges::find(hosts, host) != hosts.end())
      return bad_parameter("The hub '" + host + "' is linked twice.");
    hosts.push_back(std::move(host));
    links.push_back(std::move(*complete));
  }
  return links;
}

Result<std::string> allocation_policy(const PutContext& context) {
  const auto* given = property(context.body, "allocationPolicy");
  if (given == nullptr || given->is_null())
    return text_property(context.existing, "allocationPolicy", "Hashed");
  for (const auto policy : kAllocationPolicies) {
    if (json::is_string(*given) && equal_ignoring_case(json::view(given->get_string()), policy))
      return std::string(policy);
  }
  return bad_parameter("'allocationPolicy' must be Hashed, GeoLatency or Static.");
}

// Ours: {"operationsPerMinute": N, "registrationsPerMinute": N}, each left out for no limit. A body
// without "limits" keeps what is stored: az and the SDKs do not know it.
Result<json::Value> limits(const PutContext& context) {
  const auto* given = property(context.body, "limits");
  if (given == nullptr) given = property(context.existing, "limits");
  if (given == nullptr || given->is_null()) return json::Value();
  if (!given->is_object()) return bad_parameter("'limits' must be an object.");
  json::Object complete;
  for (const char* name : {"operationsPerMinute", "registrationsPerMinute"}) {
    const auto* limit = json::find(*given, name);
    if (limit == nullptr || limit->is_null()) continue;
    auto read = integer_member(*given, name, 1, kRateMax, 0);
    if (!read) return fail(std::move(read.error()));
    complete[name] = *read;
  }
  return json::Value(std::move(complete));
}

}  // namespace

Result<PutPlan> plan_dps(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  if (!document->contains("sku"))
    (*document)["sku"] = json::Object{{"name", "S1"}, {"capacity", 1}};
  if (!(*document)["sku"].is_object()) return bad_parameter("'sku' must be an object.");
  (*document)["sku"].get_object()["tier"] = "Standard";

  // Ours (dps.md section 2.3, rule 3). What a client that does not know it leaves out stays.
  const auto* verified = property(context.body, "requireVerifiedCertificates");
  if (verified == nullptr || verified->is_null())
    verified = property(context.existing, "requireVerifiedCertificates");
  if (verified != nullptr && !verified->is_bool())
    return bad_parameter("'requireVerifiedCertificates' must be true or false.");
  const bool requires_verified = verified != nullptr && verified->get_bool();

  auto policies = complete_policies(context, kPolicies, kDpsRights);
  if (!policies) return fail(std::move(policies.error()));
  auto links = complete_links(context);
  if (!links) return fail(std::move(links.error()));
  auto allocation = allocation_policy(context);
  if (!allocation) return fail(std::move(allocation.error()));

  auto rates = limits(context);
  if (!rates) return fail(std::move(rates.error()));

  json::Object* properties = properties_of(*document);
  for (const char* read_only : {"state", "provisioningState", "serviceOperationsHostName",
                                "deviceProvisioningHostName", "portalOperationsHostName"})
    properties->stable_erase(read_only);
  (*properties)["authorizationPolicies"] = std::move(*policies);
  (*properties)["iotHubs"] = std::move(*links);
  (*properties)["allocationPolicy"] = *allocation;
  properties->stable_erase("requireVerifiedCertificates");
  if (requires_verified) (*properties)["requireVerifiedCertificates"] = true;
  properties->stable_erase("limits");
  if (!rates->is_null()) (*properties)["limits"] = std::move(*rates);
  (*properties)["idScope"] = text_property(context.existing, "idScope", context.new_id_scope);
  return PutPlan{.body = std::move(*document), .children = {}};
}

}  // namespace doppel::resources
