// What exists, as typed views for the hot paths: an immutable snapshot that is swapped as a whole
// whenever a resource changes. Hold the shared_ptr for one request or one connection event, not for
// hours.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "json/value.h"
#include "security/certificate.h"

namespace doppel::resources {

// Rights of shared access policies, as bits. What Azure implies is spelled out when the catalog is
// made: RegistryWrite holds RegistryRead, EnrollmentWrite holds EnrollmentRead,
// RegistrationStatusWrite holds RegistrationStatusRead, Manage holds Send and Listen.
enum class HubRight : std::uint8_t {
  registry_read = 1,
  registry_write = 2,
  service_connect = 4,
  device_connect = 8
};
enum class DpsRight : std::uint8_t {
  service_config = 1,
  enrollment_read = 2,
  enrollment_write = 4,
  device_connect = 8,
  registration_status_read = 16,
  registration_status_write = 32,
};
enum class EventRight : std::uint8_t { send = 1, listen = 2, manage = 4 };

template <class Right>
struct Policy {
  std::string name;         // skn of its tokens; compared without case
  std::string primary_key;  // base64 text
  std::string secondary_key;
  std::uint8_t rights = 0;

  bool allows(Right right) const { return (rights & static_cast<std::uint8_t>(right)) != 0; }
};
using HubPolicy = Policy<HubRight>;
using DpsPolicy = Policy<DpsRight>;
using EventRule = Policy<EventRight>;

// A CA certificate of an IoT hub or a provisioning service (dps.md section 7).
struct CaCertificate {
  std::string name;
  security::Certificate certificate;
  bool is_verified = false;  // somebody proved to hold its key, or vouched for that
  // Of a provisioning service's issuer (dps.md section 9): the key, PEM, secret; else empty.
  std::string private_key{};
  std::int32_t issued_days = 30;  // how long what it issues is valid
};

// The issuer that a provisioning service makes itself.
inline constexpr std::string_view kDefaultIssuer = "default";

// ---- IoT hubs ----

struct Route {
  std::string name;
  std::string source;     // "DeviceMessages", "DeviceLifecycleEvents", ... in Azure's spelling
  std::string condition;  // "true" when left out
  std::vector<std::string> endpoint_names;
  bool enabled = true;
};

struct Enrichment {
  std::string key;
  std::string value;
  std::vector<std::string> endpoint_names;
};

// An event hub of this server as a target: of a hub's routes or of a twins instance's event routes.
struct EventHubTarget {
  std::string name;         // of the endpoint
  std::string event_space;  // the event namespace's resource name
  std::string event_hub;
};

struct Hub {
  HubName name;  // as created; what every service's keys use
  std::string resource_group;
  std::string id;  // ARM id
  std::string
      host_name;  // public: what assignedHub, linkedHubs and connection strings carry; never a port
  std::vector<std::string> host_names;  // all it answers to, lower case, the public one first
  std::vector<HubPolicy> policies;
  std::vector<Route> routes;
  std::vector<Enrichment> enrichments;
  bool fallback_enabled = true;
  std::vector<std::string> fallback_endpoint_names;  // {"events"}
  std::vector<EventHubTarget> endpoints;             // custom ones

  // The built-in endpoint "events".
  std::uint32_t partitions = 4;
  Duration retention = std::chrono::hours(24);
  std::vector<std::string> consumer_groups;  // "$Default" first
  std::string event_hub_name;                // Event Hub-compatible name

  std::vector<CaCertificate> certificates;  // its own, and issuers of services it is linked to
  std::string location;
  std::uint64_t generation =
      0;  // of the resource: another number when it was deleted and made again

  const HubPolicy* find_policy(std::string_view policy) const;
};

// ---- Device Provisioning Service ----

struct LinkedHub {
  std::string host_name;  // as devices are told it: our hub's current public name, else as linked
  std::vector<std::string> host_names;  // all names of it, lower case
  std::optional<HubName> hub;           // set when it is one of ours
  std::int32_t allocation_weight = 1;   // 0: takes devices only where all others have 0, too
  bool apply_allocation_policy = true;
  // How near the hub is, for GeoLatency: our property "latencyMs" of the link.
  std::optional<std::int32_t> latency_ms;
  std::string connection_string;  // secret
  // What the connection string holds, for calls to a hub that is not ours.
  std::string authority;  // "hub.example:8443": with the port if one was given
  std::string key_name;
  std::string key;  // secret, base64
  std::string location;
};

enum class AllocationPolicy : std::uint8_t { hashed, geo_latency, static_assignment };

struct Dps {
  std::string name;
  std::string resource_group;
  std::string id;
  IdScope id_scope;
  std::string service_host_name;  // may carry a port when HTTPS was moved
  std::string device_host_name;
  std::vector<std::string> host_names;  // lower case, no port
  std::vector<DpsPolicy> policies;
  std::vector<LinkedHub> linked_hubs;
  AllocationPolicy allocation_policy = AllocationPolicy::hashed;
  std::vector<CaCertificate> certificates;
  // Whether a group's signing certificate counts only below a verified one (dps.md section 2.3).
  bool requires_verified_certificates = false;
  // Our property "limits"; 0: none.
  std::int32_t operations_per_minute = 0;
  std::int32_t registrations_per_minute = 0;
  std::uint64_t generation = 0;

  const DpsPolicy* find_policy(std::string_view policy) const;
  const LinkedHub* find_linked_hub(
      std::string_view host_name) const;  // by any name of the hub, port ignored
  const CaCertificate* find_certificate(std::string_view certificate) const;  // without case
};

// ---- Digital twins instances ----

struct TwinsInstance {
  TwinsInstanceName name;
  std::string resource_group;
  std::string id;
  std::string host_name;                // may carry a port when HTTPS was moved
  std::vector<std::string> host_names;  // lower case, no port
  std::vector<EventHubTarget> endpoints;
  std::string location;
  std::uint64_t generation = 0;

  const EventHubTarget* find_endpoint(std::string_view endpoint) const;
};

// ---- Event namespaces ----

struct EventHub {
  std::string name;
  std::uint32_t partitions = 4;
  Duration retention = std::chrono::hours(24);
  std::vector<EventRule> rules;
  std::vector<std::string> consumer_groups;  // "$Default" first
  TimePoint created{};
  std::uint64_t generation = 0;

  const EventRule* find_rule(std::string_view rule) const;
  bool has_consumer_group(std::string_view group) const;  // without case
};

struct EventSpace {
  std::string name;  // resource name
  std::string resource_group;
  std::string id;
  std::string host_name;
  std::vector<std::string> host_names;  // lower case
  std::vector<EventRule> rules;
  std::vector<EventHub> event_hubs;  // by name

  const EventHub* find_event_hub(std::string_view event_hub) const;  // without case
  const EventRule* find_rule(std::string_view rule) const;
};

// ---- Function apps ----

struct FunctionApp {
  std::string name;
  std::string resource_group;
  std::string id;
  std::string host_name;
  std::vector<std::string> host_names;
  std::string master_key;
  std::map<std::string, std::string> host_keys;  // "default", ...
  std::map<std::string, std::map<std::string, std::string>>
      function_keys;                            // by function name, lower case
  std::map<std::string, std::string> settings;  // app settings; values may be secrets

  std::optional<std::string_view> setting(
      std::string_view setting) const;  // names compare without case
};

// ---- Who may manage ----

struct RoleAssignment {
  std::string role;   // "Owner", "Contributor", "Reader", "Azure Digital Twins Data Owner", ...
  std::string scope;  // ARM id prefix; "/" for everything
};

struct ServicePrincipal {
  std::string client_id;
  std::string object_id;
  std::string display_name;
  std::string secret_hash;
  std::vector<RoleAssignment> roles;
};

// One ARM document as stored, secrets in clear: for resources/ and its wire only.
struct Document {
  std::string id;    // as clients see it
  std::string type;  // "Microsoft.Devices/IotHubs"
  json::Value body;
};

class Catalog {
 public:
  // Names compare without case; nothing when there is none. Pointers live as long as the catalog.
  const Hub* find_hub(std::string_view name) const;
  // `host` may carry a port and any case. Null when no hub, or more than one, owns the name. An
  // instance's own name is its alone, even when the server was given the same name.
  const Hub* find_hub_by_host(std::string_view host) const;
  std::vector<const Hub*> find_hubs_by_host(std::string_view host) const;
  const Dps* find_dps(std::string_view name) const;
  const Dps* find_dps_by_scope(std::string_view id_scope) const;
  const Dps* find_dps_by_host(std::string_view host) const;
  const TwinsInstance* find_twins(std::string_view name) const;
  const TwinsInstance* find_twins_by_host(std::string_view host) const;
  const EventSpace* find_event_space(std::string_view name) const;
  const EventSpace* find_event_space_by_host(std::string_view host) const;
  const EventHub* find_event_hub(std::string_view event_space, std::string_view name) const;
  const FunctionApp* find_function_app(std::string_view name) const;
  const FunctionApp* find_function_app_by_host(std::string_view host) const;
  const ServicePrincipal* find_principal(std::string_view client_id) const;

  std::vector<Hub> hubs;
  std::vector<Dps> dps;
  std::vector<TwinsInstance> twins;
  std::vector<EventSpace> event_spaces;
  std::vector<FunctionApp> function_apps;
  std::vector<ServicePrincipal> principals;

  // All documents by lower-cased id, and so each resource before its children.
  std::map<std::string, std::shared_ptr<const Document>, std::less<>> documents;

  // Builds the indexes behind the lookups; call once, when everything above is in place.
  void finish();
  Catalog() = default;
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

 private:
  template <class T>
  struct Index {
    std::map<std::string, const T*, std::less<>> by_name;               // lower case
    std::map<std::string, std::vector<const T*>, std::less<>> by_host;  // lower case, no port
  };
  Index<Hub> hub_index_;
  Index<Dps> dps_index_;
  Index<TwinsInstance> twins_index_;
  Index<EventSpace> event_index_;
  Index<FunctionApp> app_index_;
};

}  // namespace doppel::resources
