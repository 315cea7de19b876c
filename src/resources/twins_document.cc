// Microsoft.DigitalTwins/digitalTwinsInstances and their endpoints (reference: digital-twins.md
// section 9.4).
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "resources/connection_string.h"
#include "resources/document.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

// A stored connection string stands in for a masked or missing one.
std::string connection_of(const PutContext& context, std::string_view name) {
  std::string given = text_property(&context.body, name, "");
  const auto parsed = parse_connection_string(given);
  const bool is_masked = given == kMaskedKey || (parsed && parsed->is_masked());
  return is_masked || given.empty() ? text_property(context.existing, name, is_masked ? given : "")
                                    : given;
}

}  // namespace

Result<PutPlan> plan_twins(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  json::Object* properties = properties_of(*document);
  for (const char* read_only : {"provisioningState", "hostName"})
    properties->stable_erase(read_only);
  (*properties)["createdTime"] =
      text_property(context.existing, "createdTime", to_iso8601(context.now));
  (*properties)["lastUpdatedTime"] = to_iso8601(context.now);
  if (!properties->contains("publicNetworkAccess"))
    (*properties)["publicNetworkAccess"] = "Enabled";

  if (auto* identity = document->if_contains("identity"); identity != nullptr) {
    if (!identity->is_object()) return bad_parameter("'identity' must be an object.");
    json::Object& members = identity->get_object();
    const std::string type = json::get_string_or(*identity, "type", "None");
    if (type.find("SystemAssigned") != type.npos) {
      const auto* stored =
          context.existing == nullptr ? nullptr : context.existing->if_contains("identity");
      std::string principal =
          stored == nullptr ? "" : json::get_string_or(*stored, "principalId", "");
      members["principalId"] = principal.empty() ? context.random.uuid() : principal;
      members["tenantId"] = context.defaults.tenant;
    }
  }
  return PutPlan{.body = std::move(*document), .children = {}};
}

Result<PutPlan> plan_twins_endpoint(const PutContext& context) {
  json::Object document = child_document(context);
  json::Object* properties = properties_of(document);
  const std::string type = text_property(&document, "endpointType", "");
  if (!equal_ignoring_case(type, "EventHub")) {
    return bad_parameter("An endpoint of type '" + type.substr(0, 64) +
                         "' is not possible here; 'endpointType' must be EventHub.");
  }
  const std::string primary = connection_of(context, "connectionStringPrimaryKey");
  const std::string secondary = connection_of(context, "connectionStringSecondaryKey");
  const bool is_key_based = !equal_ignoring_case(
      text_property(&document, "authenticationType", "KeyBased"), "IdentityBased");
  (*properties)["endpointType"] = "EventHub";
  (*properties)["authenticationType"] = is_key_based ? "KeyBased" : "IdentityBased";
  if (is_key_based) {
    if (primary.empty())
      return bad_parameter("A KeyBased endpoint needs 'connectionStringPrimaryKey'.");
    for (const auto& connection : {primary, secondary}) {
      if (connection.empty()) continue;
      auto target = find_event_hub_of(context.catalog, connection, EventRight::send);
      if (!target) return fail(std::move(target.error()));
    }
    (*properties)["connectionStringPrimaryKey"] = primary;
    if (secondary.empty()) {
      properties->stable_erase("connectionStringSecondaryKey");
    } else {
      (*properties)["connectionStringSecondaryKey"] = secondary;
    }
  } else {
    auto target = find_event_hub_of(context.catalog, text_property(&document, "endpointUri", ""),
                                    text_property(&document, "entityPath", ""));
    if (!target) return fail(std::move(target.error()));
  }
  (*properties)["createdTime"] =
      text_property(context.existing, "createdTime", to_iso8601(context.now));
  return PutPlan{.body = std::move(document), .children = {}};
}

}  // namespace doppel::resources
