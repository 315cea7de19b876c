#include "resources/catalog.h"

#include "base/encoding.h"
#include "resources/connection_string.h"

namespace doppel::resources {
namespace {

template <class T>
const T* named(const std::vector<T>& all, std::string_view name) {
  for (const T& one : all) {
    if (equal_ignoring_case(one.name, name)) return &one;
  }
  return nullptr;
}

std::string_view text_of(const std::string& name) { return name; }
template <class Tag>
std::string_view text_of(const StrongId<Tag>& name) {
  return name.view();
}

// How good a claim `one` has on a host name it answers to: its public name, one called after itself
// (hub2.localhost), or one it has as the first of its kind, like any name of the server.
template <class T>
int claim(const T& one, std::string_view host) {
  if (!one.host_names.empty() && one.host_names.front() == host) return 2;
  const std::string own = to_lower(text_of(one.name));
  return host == own || host.starts_with(own + ".") ? 1 : 0;
}

template <class T, class IndexOf>
void build(const std::vector<T>& all, IndexOf& index) {
  index = {};
  for (const T& one : all) {
    index.by_name.emplace(to_lower(text_of(one.name)), &one);
    for (const auto& host : one.host_names) {
      auto& owners = index.by_host[host];
      // A server may be given a name that is also that of an instance: the instance wins.
      if (!owners.empty() && claim(*owners.front(), host) > claim(one, host)) continue;
      if (!owners.empty() && claim(*owners.front(), host) < claim(one, host)) owners.clear();
      owners.push_back(&one);
    }
  }
}

template <class IndexOf>
auto by_name(const IndexOf& index, std::string_view name)
    -> decltype(index.by_name.begin()->second) {
  const auto found = index.by_name.find(to_lower(name));
  return found == index.by_name.end() ? nullptr : found->second;
}

template <class IndexOf>
auto by_host(const IndexOf& index, std::string_view host)
    -> decltype(index.by_name.begin()->second) {
  const auto found = index.by_host.find(host_without_port(host));
  if (found == index.by_host.end() || found->second.size() != 1) return nullptr;
  return found->second.front();
}

}  // namespace

const HubPolicy* Hub::find_policy(std::string_view policy) const { return named(policies, policy); }
const DpsPolicy* Dps::find_policy(std::string_view policy) const { return named(policies, policy); }

const LinkedHub* Dps::find_linked_hub(std::string_view host_name) const {
  const std::string wanted = host_without_port(host_name);
  for (const LinkedHub& linked : linked_hubs) {
    for (const auto& one : linked.host_names) {
      if (one == wanted) return &linked;
    }
  }
  return nullptr;
}

const CaCertificate* Dps::find_certificate(std::string_view certificate) const {
  return named(certificates, certificate);
}

const EventHubTarget* TwinsInstance::find_endpoint(std::string_view endpoint) const {
  return named(endpoints, endpoint);
}

const EventRule* EventHub::find_rule(std::string_view rule) const { return named(rules, rule); }

bool EventHub::has_consumer_group(std::string_view group) const {
  for (const auto& one : consumer_groups) {
    if (equal_ignoring_case(one, group)) return true;
  }
  return false;
}

const EventHub* EventSpace::find_event_hub(std::string_view event_hub) const {
  return named(event_hubs, event_hub);
}
const EventRule* EventSpace::find_rule(std::string_view rule) const { return named(rules, rule); }

std::optional<std::string_view> FunctionApp::setting(std::string_view setting) const {
  for (const auto& [key, value] : settings) {
    if (equal_ignoring_case(key, setting)) return value;
  }
  return std::nullopt;
}

void Catalog::finish() {
  build(hubs, hub_index_);
  build(dps, dps_index_);
  build(twins, twins_index_);
  build(event_spaces, event_index_);
  build(function_apps, app_index_);
}

const Hub* Catalog::find_hub(std::string_view name) const { return by_name(hub_index_, name); }
const Hub* Catalog::find_hub_by_host(std::string_view host) const {
  return by_host(hub_index_, host);
}

std::vector<const Hub*> Catalog::find_hubs_by_host(std::string_view host) const {
  const auto found = hub_index_.by_host.find(host_without_port(host));
  return found == hub_index_.by_host.end() ? std::vector<const Hub*>{} : found->second;
}

const Dps* Catalog::find_dps(std::string_view name) const { return by_name(dps_index_, name); }
const Dps* Catalog::find_dps_by_host(std::string_view host) const {
  return by_host(dps_index_, host);
}

const Dps* Catalog::find_dps_by_scope(std::string_view id_scope) const {
  for (const Dps& one : dps) {
    if (equal_ignoring_case(one.id_scope.view(), id_scope)) return &one;
  }
  return nullptr;
}

const TwinsInstance* Catalog::find_twins(std::string_view name) const {
  return by_name(twins_index_, name);
}
const TwinsInstance* Catalog::find_twins_by_host(std::string_view host) const {
  return by_host(twins_index_, host);
}

const EventSpace* Catalog::find_event_space(std::string_view name) const {
  return by_name(event_index_, name);
}
const EventSpace* Catalog::find_event_space_by_host(std::string_view host) const {
  return by_host(event_index_, host);
}

const EventHub* Catalog::find_event_hub(std::string_view event_space, std::string_view name) const {
  const EventSpace* space = find_event_space(event_space);
  return space == nullptr ? nullptr : space->find_event_hub(name);
}

const FunctionApp* Catalog::find_function_app(std::string_view name) const {
  return by_name(app_index_, name);
}
const FunctionApp* Catalog::find_function_app_by_host(std::string_view host) const {
  return by_host(app_index_, host);
}

const ServicePrincipal* Catalog::find_principal(std::string_view client_id) const {
  for (const ServicePrincipal& one : principals) {
    if (equal_ignoring_case(one.client_id, client_id)) return &one;
  }
  return nullptr;
}

}  // namespace doppel::resources
