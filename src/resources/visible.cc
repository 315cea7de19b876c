// What clients see of a stored document: without secrets, with what the server itself knows (host
// names, states).
#include <cstdint>
#include <string>

#include "base/encoding.h"
#include "resources/ca_certificate.h"
#include "resources/catalog_builder.h"
#include "resources/connection_string.h"
#include "resources/document.h"
#include "resources/hosting.h"
#include "resources/resource_id.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

void mask_member(json::Value& object, std::string_view name) {
  if (!object.is_object()) return;
  auto* value = object.get_object().if_contains(name);
  if (value == nullptr || !json::is_string(*value)) return;
  *value = mask_connection_string(json::view(value->get_string()));
}

json::Array partition_ids(std::int64_t count) {
  json::Array ids;
  for (std::int64_t i = 0; i < count; ++i) ids.emplace_back(std::to_string(i));
  return ids;
}

std::int64_t number_in(const json::Object& object, std::string_view name, std::int64_t fallback) {
  const auto* value = object.if_contains(name);
  return value == nullptr || !json::is_number(*value) ? fallback
                                                      : json::to_int64(*value).value_or(fallback);
}

class View {
 public:
  View(const Document& document, const Catalog& catalog, const ResourceDefaults& defaults)
      : catalog_(catalog),
        defaults_(defaults),
        document_(document),
        shown_(document.body.get_object()),
        name_(json::get_string_or(document.body, "name", "")) {}

  json::Object make() {
    shown_.stable_erase(kInternal);
    if (!shown_.contains("properties")) shown_["properties"] = json::Object{};
    const std::string_view type = document_.type;
    const bool is_iot = type == kHubType || type == kDpsType;
    if (is_iot) add_lower_case_members();
    const bool is_certificate = type == kHubCertificateType || type == kDpsCertificateType;
    if (!is_iot && !is_certificate) shown_.stable_erase("etag");
    json::Object& properties = shown_["properties"].get_object();  // after the last insertion
    if (type == kGroupType) properties["provisioningState"] = "Succeeded";
    if (type == kHubType) show_hub(properties);
    if (type == kHubConsumerGroupType) properties["name"] = name_;
    if (type == kDpsType) show_dps(properties);
    if (is_certificate) show_certificate(properties);
    if (type == kTwinsType) show_twins(properties);
    if (type == kTwinsEndpointType) show_twins_endpoint(properties);
    if (type == kEventSpaceType) show_event_space(properties);
    if (type == kEventHubType) show_event_hub(properties);
    if (type == kEventSpaceRuleType || type == kEventHubRuleType) {
      properties.stable_erase("primaryKey");
      properties.stable_erase("secondaryKey");
    }
    if (type == kSiteType) show_site(properties);
    // Settings and keys are secrets: they are shown only by the calls that ask for them.
    if (type == kSiteConfigType || type == kFunctionKeyType) properties.clear();
    return std::move(shown_);
  }

 private:
  // az iot hub and az iot dps fail with KeyError 'resourcegroup' without these two, in lower case.
  // (azure-cli 2.45: azure/cli/command_modules/iot)
  void add_lower_case_members() {
    const auto id = ResourceId::parse(document_.id);
    shown_["resourcegroup"] = id ? id->group_name() : "";
    shown_["subscriptionid"] = id ? id->subscription() : "";
  }

  void show_hub(json::Object& properties) {
    const Hub* hub = catalog_.find_hub(name_);
    const std::string host = hub == nullptr ? "" : hub->host_name;
    properties.stable_erase("authorizationPolicies");
    properties["state"] = "Active";
    properties["provisioningState"] = "Succeeded";
    properties["hostName"] = host;
    json::Object& events = properties["eventHubEndpoints"].get_object()["events"].get_object();
    events["partitionIds"] = partition_ids(number_in(events, "partitionCount", 0));
    events["path"] = hub == nullptr ? "" : hub->event_hub_name;
    events["endpoint"] = "sb://" + with_port(host, defaults_.amqp_port, 5671) + "/";
    if (auto* list = properties["routing"].at("endpoints").as_object().if_contains("eventHubs")) {
      for (auto& endpoint : list->as_array()) mask_member(endpoint, "connectionString");
    }
    if (auto* storage = properties.if_contains("storageEndpoints");
        storage != nullptr && storage->is_object()) {
      for (auto& endpoint : storage->get_object())
        mask_member(endpoint.value(), "connectionString");
    }
    properties["locations"] = json::Array{{{"location", shown_["location"]}, {"role", "primary"}}};
  }

  void show_dps(json::Object& properties) {
    const Dps* dps = catalog_.find_dps(name_);
    properties.stable_erase("authorizationPolicies");
    properties["state"] = "Active";
    properties["provisioningState"] = "Succeeded";
    properties["serviceOperationsHostName"] = dps == nullptr ? "" : dps->service_host_name;
    properties["deviceProvisioningHostName"] = defaults_.host_names.front();
    for (auto& link : properties["iotHubs"].as_array()) {
      const auto parsed =
          parse_connection_string(json::get_string_or(link, "connectionString", ""));
      const std::string host = parsed ? parsed->host : "";
      const LinkedHub* linked = dps == nullptr ? nullptr : dps->find_linked_hub(host);
      link.as_object()["name"] = linked == nullptr ? host : linked->host_name;
      mask_member(link, "connectionString");
    }
  }

  void show_twins(json::Object& properties) {
    const TwinsInstance* instance = catalog_.find_twins(name_);
    properties["provisioningState"] = "Succeeded";
    properties["hostName"] = instance == nullptr ? "" : instance->host_name;
    if (!properties.contains("privateEndpointConnections"))
      properties["privateEndpointConnections"] = json::Array{};
  }

  void show_twins_endpoint(json::Object& properties) {
    properties["provisioningState"] = "Succeeded";
    for (const char* name : {"connectionStringPrimaryKey", "connectionStringSecondaryKey"}) {
      if (auto* value = properties.if_contains(name); value != nullptr && json::is_string(*value))
        *value = mask_connection_string(json::view(value->get_string()));
    }
  }

  void show_event_space(json::Object& properties) {
    const EventSpace* space = catalog_.find_event_space(name_);
    // Namespaces alone are shown with a capital letter; their children are not.
    shown_["type"] = "Microsoft.EventHub/Namespaces";
    properties["provisioningState"] = "Succeeded";
    properties["status"] = "Active";
    // What this server does not have, in the words that clients look for.
    properties["kafkaEnabled"] = false;
    properties["zoneRedundant"] = false;
    properties["disableLocalAuth"] = false;
    properties["publicNetworkAccess"] = "Enabled";
    properties["serviceBusEndpoint"] = "https://" + (space == nullptr ? "" : space->host_name) +
                                       ":" + std::to_string(defaults_.https_port) + "/";
    properties["metricId"] = defaults_.subscription + ":" + to_lower(name_);
  }

  void show_event_hub(json::Object& properties) {
    const std::int64_t hours = number_in(properties, "retentionTimeInHours", 24);
    properties.stable_erase("retentionTimeInHours");
    properties["partitionIds"] = partition_ids(number_in(properties, "partitionCount", 0));
    properties["messageRetentionInDays"] = (hours + 23) / 24;
    json::Object retention{{"cleanupPolicy", "Delete"}, {"retentionTimeInHours", hours}};
    // Ours: only shown where it was given.
    if (const auto bytes = number_in(properties, "retentionSizeInBytes", 0); bytes > 0)
      retention["retentionSizeInBytes"] = bytes;
    properties.stable_erase("retentionSizeInBytes");
    properties["retentionDescription"] = std::move(retention);
    properties["status"] = "Active";
  }

  void show_site(json::Object& properties) {
    const FunctionApp* app = catalog_.find_function_app(name_);
    const std::string host = app == nullptr ? "" : app->host_name;
    properties.stable_erase("masterKey");
    properties.stable_erase("hostKeys");
    properties["state"] = "Running";
    properties["enabled"] = true;
    properties["defaultHostName"] = host;
    // One element each; a braced list would copy instead of nesting.
    json::Array hosts;
    hosts.emplace_back(host);
    properties["enabledHostNames"] = hosts;
    properties["hostNames"] = std::move(hosts);
  }

  const Catalog& catalog_;
  const ResourceDefaults& defaults_;
  const Document& document_;
  json::Object shown_;
  std::string name_;
};

}  // namespace

json::Object Resources::visible(const Document& document) const {
  return View(document, *catalog(), defaults_).make();
}

}  // namespace doppel::resources
