#include "resources/catalog_builder.h"

#include "base/encoding.h"
#include "base/time_text.h"
#include "resources/ca_certificate.h"
#include "resources/connection_string.h"
#include "resources/document.h"
#include "resources/hosting.h"
#include "resources/resource_id.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

const json::Value* internal(const json::Value& body, std::string_view name) {
  const auto* ours = json::find(body, kInternal);
  return ours == nullptr ? nullptr : json::find(*ours, name);
}

const json::Object& object_of(const Document& document) { return document.body.get_object(); }

std::string name_of(const Document& document) {
  return json::get_string_or(document.body, "name", "");
}

std::string group_of(const Document& document) {
  const auto id = ResourceId::parse(document.id);
  return id ? id->group_name() : std::string{};
}

template <class Right>
std::vector<Policy<Right>> policies_of(const Document& document, std::span<const RightName> names) {
  std::vector<Policy<Right>> policies;
  const auto* list = property(object_of(document), "authorizationPolicies");
  if (list == nullptr || !list->is_array()) return policies;
  for (const auto& one : list->get_array()) {
    policies.push_back(
        {.name = json::get_string_or(one, "keyName", ""),
         .primary_key = json::get_string_or(one, "primaryKey", ""),
         .secondary_key = json::get_string_or(one, "secondaryKey", ""),
         .rights = parse_rights(json::get_string_or(one, "rights", ""), names).value_or(0)});
  }
  return policies;
}

std::vector<std::string> texts_of(const json::Value* array) {
  std::vector<std::string> texts;
  if (array == nullptr || !array->is_array()) return texts;
  for (const auto& one : array->get_array()) {
    if (json::is_string(one)) texts.emplace_back(json::view(one.get_string()));
  }
  return texts;
}

bool flag_of(const json::Value& object, std::string_view name, bool fallback) {
  const auto* value = json::find(object, name);
  return value == nullptr || !value->is_bool() ? fallback : value->get_bool();
}

std::int64_t number_of(const json::Value* value, std::int64_t fallback) {
  if (value == nullptr || !json::is_number(*value)) return fallback;
  return json::to_int64(*value).value_or(fallback);
}

// "$Default" first, the others by name.
void add_group(std::vector<std::string>& groups, std::string name) {
  const bool is_default = equal_ignoring_case(name, kDefaultConsumerGroup);
  groups.insert(is_default ? groups.begin() : groups.end(), std::move(name));
}

class Builder {
 public:
  Builder(Catalog& catalog, const ResourceDefaults& defaults)
      : catalog_(catalog), defaults_(defaults) {}

  void build() {
    // Event namespaces first, since endpoints point to them, then hubs, since provisioning services
    // link them. Children sort after their parents (ids are prefixes), so each finds its parent
    // made.
    for_each(kEventSpaceType, [this](const Document& one) { add_event_space(one); });
    for_each(kEventSpaceRuleType, [this](const Document& one) { add_space_rule(one); });
    for_each(kEventHubType, [this](const Document& one) { add_event_hub(one); });
    for_each(kEventHubRuleType, [this](const Document& one) { add_event_hub_rule(one); });
    for_each(kConsumerGroupType, [this](const Document& one) { add_consumer_group(one); });
    catalog_.finish();
    for_each(kHubType, [this](const Document& one) { add_hub(one); });
    for_each(kHubConsumerGroupType, [this](const Document& one) { add_hub_group(one); });
    for_each(kHubCertificateType,
             [this](const Document& one) { add_certificate(catalog_.hubs, one); });
    catalog_.finish();
    for_each(kDpsType, [this](const Document& one) { add_dps(one); });
    for_each(kDpsCertificateType,
             [this](const Document& one) { add_certificate(catalog_.dps, one); });
    for (const Dps& dps : catalog_.dps) trust_issuers(dps);
    for_each(kTwinsType, [this](const Document& one) { add_twins(one); });
    for_each(kTwinsEndpointType, [this](const Document& one) { add_twins_endpoint(one); });
    for_each(kSiteType, [this](const Document& one) { add_site(one); });
    for_each(kSiteConfigType, [this](const Document& one) { add_settings(one); });
    for_each(kFunctionKeyType, [this](const Document& one) { add_function_key(one); });
    catalog_.finish();
  }

 private:
  template <class Visit>
  void for_each(std::string_view type, Visit visit) {
    for (const auto& [id, document] : catalog_.documents) {
      if (document->type == type) visit(*document);
    }
  }

  // The element of `all` that `document` is a child of. Few resources, rare rebuilds: a scan is
  // enough.
  template <class T>
  static T* parent_of(std::vector<T>& all, const Document& document) {
    const std::string id = to_lower(document.id);
    for (T& one : all) {
      if (id.starts_with(to_lower(one.id) + "/")) return &one;
    }
    return nullptr;
  }
  EventHub* event_hub_of(const Document& document) {
    EventSpace* space = parent_of(catalog_.event_spaces, document);
    const auto id = ResourceId::parse(document.id);
    if (space == nullptr || !id) return nullptr;
    const std::string name = id->parent().name();
    for (EventHub& one : space->event_hubs) {
      if (equal_ignoring_case(one.name, name)) return &one;
    }
    return nullptr;
  }

  EventRule rule_of(const Document& document) {
    std::uint8_t rights = 0;
    for (const auto& right : texts_of(property(object_of(document), "rights")))
      rights |= parse_rights(right, kEventRights).value_or(0);
    return {.name = name_of(document),
            .primary_key = text_property(&object_of(document), "primaryKey", ""),
            .secondary_key = text_property(&object_of(document), "secondaryKey", ""),
            .rights = rights};
  }

  void add_event_space(const Document& document) {
    auto names = host_names_of(defaults_, name_of(document), has_server_name(document.body),
                               "servicebus.windows.net");
    EventSpace space;
    space.name = name_of(document);
    space.resource_group = group_of(document);
    space.id = document.id;
    space.host_name = std::move(names.primary);
    space.host_names = std::move(names.all);
    catalog_.event_spaces.push_back(std::move(space));
  }
  void add_space_rule(const Document& document) {
    if (EventSpace* space = parent_of(catalog_.event_spaces, document))
      space->rules.push_back(rule_of(document));
  }
  void add_event_hub(const Document& document) {
    EventSpace* space = parent_of(catalog_.event_spaces, document);
    if (space == nullptr) return;
    EventHub hub;
    hub.name = name_of(document);
    hub.partitions =
        static_cast<std::uint32_t>(number_of(property(object_of(document), "partitionCount"), 4));
    hub.retention =
        std::chrono::hours(number_of(property(object_of(document), "retentionTimeInHours"), 24));
    hub.created =
        parse_iso8601(text_property(&object_of(document), "createdAt", "")).value_or(TimePoint{});
    hub.generation = generation_of(document.body);
    space->event_hubs.push_back(std::move(hub));
  }
  void add_event_hub_rule(const Document& document) {
    if (EventHub* hub = event_hub_of(document)) hub->rules.push_back(rule_of(document));
  }
  void add_consumer_group(const Document& document) {
    if (EventHub* hub = event_hub_of(document)) add_group(hub->consumer_groups, name_of(document));
  }

  // Nothing when the event hub is gone: routes to it then have no target, which hub/ counts.
  std::optional<EventHubTarget> target_of(const json::Value& endpoint, std::string_view name,
                                          std::string_view connection_member) {
    EventHubTarget target{.name = std::string(name), .event_space = {}, .event_hub = {}};
    std::string host = json::get_string_or(endpoint, "endpointUri", "");
    target.event_hub = json::get_string_or(endpoint, "entityPath", "");
    if (auto parsed =
            parse_connection_string(json::get_string_or(endpoint, connection_member, ""))) {
      host = parsed->host;
      target.event_hub = parsed->entity;
    }
    const EventSpace* space = catalog_.find_event_space_by_host(host);
    const EventHub* hub = space == nullptr ? nullptr : space->find_event_hub(target.event_hub);
    if (hub == nullptr) return std::nullopt;
    target.event_space = space->name;
    target.event_hub = hub->name;
    return target;
  }

  void add_routing(Hub& hub, const json::Value& routing) {
    if (const auto* endpoints = json::find(routing, "endpoints")) {
      if (const auto* list = json::find(*endpoints, "eventHubs");
          list != nullptr && list->is_array()) {
        for (const auto& one : list->get_array()) {
          auto target = target_of(one, json::get_string_or(one, "name", ""), "connectionString");
          if (target) hub.endpoints.push_back(std::move(*target));
        }
      }
    }
    if (const auto* routes = json::find(routing, "routes");
        routes != nullptr && routes->is_array()) {
      for (const auto& one : routes->get_array()) {
        hub.routes.push_back({.name = json::get_string_or(one, "name", ""),
                              .source = json::get_string_or(one, "source", ""),
                              .condition = json::get_string_or(one, "condition", "true"),
                              .endpoint_names = texts_of(json::find(one, "endpointNames")),
                              .enabled = flag_of(one, "isEnabled", true)});
      }
    }
    if (const auto* list = json::find(routing, "enrichments");
        list != nullptr && list->is_array()) {
      for (const auto& one : list->get_array()) {
        hub.enrichments.push_back({.key = json::get_string_or(one, "key", ""),
                                   .value = json::get_string_or(one, "value", ""),
                                   .endpoint_names = texts_of(json::find(one, "endpointNames"))});
      }
    }
    if (const auto* fallback = json::find(routing, "fallbackRoute")) {
      hub.fallback_enabled = flag_of(*fallback, "isEnabled", true);
      hub.fallback_endpoint_names = texts_of(json::find(*fallback, "endpointNames"));
    }
  }

  void add_hub(const Document& document) {
    auto names = host_names_of(defaults_, name_of(document), has_server_name(document.body),
                               "azure-devices.net");
    Hub hub;
    hub.name = HubName(name_of(document));
    hub.resource_group = group_of(document);
    hub.id = document.id;
    hub.host_name = std::move(names.primary);
    hub.host_names = std::move(names.all);
    hub.policies = policies_of<HubRight>(document, kHubRights);
    hub.fallback_endpoint_names = {"events"};
    if (const auto* routing = property(object_of(document), "routing")) add_routing(hub, *routing);
    if (const auto* endpoints = property(object_of(document), "eventHubEndpoints")) {
      if (const auto* events = json::find(*endpoints, "events")) {
        hub.partitions =
            static_cast<std::uint32_t>(number_of(json::find(*events, "partitionCount"), 4));
        hub.retention =
            std::chrono::hours(24 * number_of(json::find(*events, "retentionTimeInDays"), 1));
      }
    }
    hub.event_hub_name = to_lower(hub.name.view());
    hub.location = json::get_string_or(document.body, "location", "");
    hub.generation = generation_of(document.body);
    catalog_.hubs.push_back(std::move(hub));
  }
  void add_hub_group(const Document& document) {
    if (Hub* hub = parent_of(catalog_.hubs, document))
      add_group(hub->consumer_groups, name_of(document));
  }

  template <class T>
  void add_certificate(std::vector<T>& owners, const Document& document) {
    T* owner = parent_of(owners, document);
    auto certificate = certificate_of(document.body);
    if (owner != nullptr && certificate) owner->certificates.push_back(*std::move(certificate));
  }

  // A hub believes the certificates that a service it is linked to has issued.
  void trust_issuers(const Dps& dps) {
    for (const CaCertificate& issuer : dps.certificates) {
      if (issuer.private_key.empty()) continue;
      for (const LinkedHub& link : dps.linked_hubs) {
        for (Hub& hub : catalog_.hubs) {
          if (link.hub != hub.name) continue;
          hub.certificates.push_back({.name = dps.name + "/" + issuer.name,
                                      .certificate = issuer.certificate,
                                      .is_verified = true});
        }
      }
    }
  }

  LinkedHub link_of(const json::Value& link) {
    LinkedHub linked;
    linked.connection_string = json::get_string_or(link, "connectionString", "");
    linked.location = json::get_string_or(link, "location", "");
    linked.apply_allocation_policy = flag_of(link, "applyAllocationPolicy", true);
    linked.allocation_weight =
        static_cast<std::int32_t>(number_of(json::find(link, "allocationWeight"), 1));
    if (const auto* latency = json::find(link, "latencyMs"))
      linked.latency_ms = static_cast<std::int32_t>(number_of(latency, 0));
    if (auto parsed = parse_connection_string(linked.connection_string)) {
      linked.authority = std::move(parsed->host);
      linked.key_name = std::move(parsed->key_name);
      linked.key = std::move(parsed->key);
    }
    if (const Hub* hub = catalog_.find_hub_by_host(linked.authority)) {
      linked.hub = hub->name;
      linked.host_name = hub->host_name;
      linked.host_names = hub->host_names;
    } else {
      linked.host_name = host_without_port(linked.authority);  // devices bring their own ports
      linked.host_names = {linked.host_name};
    }
    return linked;
  }

  void add_dps(const Document& document) {
    auto names = host_names_of(defaults_, name_of(document), has_server_name(document.body),
                               "azure-devices-provisioning.net");
    Dps dps;
    dps.name = name_of(document);
    dps.resource_group = group_of(document);
    dps.id = document.id;
    dps.id_scope = IdScope(text_property(&object_of(document), "idScope", ""));
    dps.service_host_name = with_port(names.primary, defaults_.https_port, 443);
    dps.device_host_name = defaults_.host_names.front();
    dps.host_names = std::move(names.all);
    dps.policies = policies_of<DpsRight>(document, kDpsRights);
    if (const auto* links = property(object_of(document), "iotHubs");
        links != nullptr && links->is_array()) {
      for (const auto& link : links->get_array()) dps.linked_hubs.push_back(link_of(link));
    }
    const std::string policy = text_property(&object_of(document), "allocationPolicy", "Hashed");
    dps.allocation_policy = policy == "Static"       ? AllocationPolicy::static_assignment
                            : policy == "GeoLatency" ? AllocationPolicy::geo_latency
                                                     : AllocationPolicy::hashed;
    const auto* verified = property(object_of(document), "requireVerifiedCertificates");
    dps.requires_verified_certificates =
        verified != nullptr && verified->is_bool() && verified->get_bool();
    if (const auto* limits = property(object_of(document), "limits")) {
      const auto limit = [limits](std::string_view name) {
        return static_cast<std::int32_t>(number_of(json::find(*limits, name), 0));
      };
      dps.operations_per_minute = limit("operationsPerMinute");
      dps.registrations_per_minute = limit("registrationsPerMinute");
    }
    dps.generation = generation_of(document.body);
    catalog_.dps.push_back(std::move(dps));
  }

  void add_twins(const Document& document) {
    auto names = host_names_of(defaults_, name_of(document), has_server_name(document.body),
                               "api.digitaltwins.azure.net");
    TwinsInstance instance;
    instance.name = TwinsInstanceName(name_of(document));
    instance.resource_group = group_of(document);
    instance.id = document.id;
    instance.host_name = with_port(names.primary, defaults_.https_port, 443);
    instance.host_names = std::move(names.all);
    instance.location = json::get_string_or(document.body, "location", "");
    instance.generation = generation_of(document.body);
    catalog_.twins.push_back(std::move(instance));
  }
  void add_twins_endpoint(const Document& document) {
    TwinsInstance* instance = parent_of(catalog_.twins, document);
    const auto* properties = json::find(document.body, "properties");
    if (instance == nullptr || properties == nullptr) return;
    auto target = target_of(*properties, name_of(document), "connectionStringPrimaryKey");
    if (target) instance->endpoints.push_back(std::move(*target));
  }

  void add_site(const Document& document) {
    auto names = host_names_of(defaults_, name_of(document), has_server_name(document.body),
                               "azurewebsites.net");
    FunctionApp app;
    app.name = name_of(document);
    app.resource_group = group_of(document);
    app.id = document.id;
    app.host_name = with_port(names.primary, defaults_.https_port, 443);
    app.host_names = std::move(names.all);
    app.master_key = text_property(&object_of(document), "masterKey", "");
    if (const auto* keys = property(object_of(document), "hostKeys");
        keys != nullptr && keys->is_object()) {
      for (const auto& key : keys->get_object())
        app.host_keys[key.key()] = json::get_string_or(*keys, key.key(), "");
    }
    catalog_.function_apps.push_back(std::move(app));
  }
  void add_settings(const Document& document) {
    FunctionApp* app = parent_of(catalog_.function_apps, document);
    const auto* settings = json::find(document.body, "properties");
    if (app == nullptr || settings == nullptr || !settings->is_object()) return;
    for (const auto& one : settings->get_object())
      app->settings[one.key()] = json::get_string_or(*settings, one.key(), "");
  }
  void add_function_key(const Document& document) {
    FunctionApp* app = parent_of(catalog_.function_apps, document);
    const auto id = ResourceId::parse(document.id);
    if (app == nullptr || !id) return;
    app->function_keys[to_lower(id->parent().name())][name_of(document)] =
        text_property(&object_of(document), "value", "");
  }

  Catalog& catalog_;
  const ResourceDefaults& defaults_;
};

}  // namespace

bool has_server_name(const json::Value& body) {
  const auto* value = internal(body, "hasServerName");
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::uint64_t generation_of(const json::Value& body) {
  return static_cast<std::uint64_t>(number_of(internal(body, "generation"), 0));
}

void build_views(Catalog& catalog, const ResourceDefaults& defaults) {
  Builder(catalog, defaults).build();
}

}  // namespace doppel::resources
