#include "base/log.h"
#include "errors/arm.h"
#include "resources/api.h"
#include "resources/deletions.h"
#include "resources/hosting.h"
#include "resources/state.h"
#include "resources/types.h"

namespace doppel::resources {

Resources::Resources(store::Store& store, Executor& home, const Clock& clock, Random& random,
                     security::SecretBox box, ResourceDefaults defaults)
    : store_(store),
      home_(home),
      clock_(clock),
      random_(random),
      defaults_(std::move(defaults)),
      state_(std::make_shared<State>(std::move(box), defaults_)),
      deletions_(std::make_unique<Deletions>(store)) {}

Resources::~Resources() { store_.remove_observer(*this); }

Task<Result<std::unique_ptr<Resources>>> Resources::open(store::Store& store, Executor& home,
                                                         const Clock& clock, Random& random,
                                                         security::SecretBox box,
                                                         ResourceDefaults defaults) {
  if (defaults.host_names.empty())
    co_return fail(Code::invalid_argument, "the server has no host name");
  std::unique_ptr<Resources> made(
      new Resources(store, home, clock, random, std::move(box), std::move(defaults)));
  store.add_observer(*made);
  auto loaded = co_await State::load(made->state_, store);
  if (!loaded) co_return fail(std::move(loaded.error()));
  auto opened = co_await made->open_tokens();
  if (!opened) co_return fail(std::move(opened.error()));
  co_return made;
}

std::shared_ptr<const Catalog> Resources::catalog() const { return state_->catalog(); }

void Resources::on_commit(const store::CommitView& commit) { state_->on_commit(commit); }

namespace {

// A store that reopened will be readable soon; there is nobody to tell but the log.
constexpr Duration kReloadPause = std::chrono::milliseconds(200);

}  // namespace

Task<void> Resources::reload(std::shared_ptr<State> state, store::Store& store) {
  for (;;) {
    auto loaded = co_await State::load(state, store);
    if (loaded) co_return;
    log::error("resources.reload_failed", {{"reason", loaded.error().message}});
    if (!co_await sleep_for(kReloadPause)) co_return;
  }
}

void Resources::on_reopened(store::CommitVersion) {
  state_->start_loading();
  home_.post([state = state_, &store = store_] { spawn(reload(state, store), [] {}); });
}

void Resources::on_deleted(PurgeHook hook) { deletions_->add_hook(std::move(hook)); }

void Resources::set_route_validator(
    std::function<Status(std::string_view source, std::string_view condition)> validator) {
  validate_route_ = std::move(validator);
}

Task<Status> Resources::finish_deletions() { return deletions_->purge_all(); }

Result<std::shared_ptr<const Document>> Resources::get(const ResourceId& id) const {
  const auto now = catalog();
  const auto found = now->documents.find(id.lower());
  if (found != now->documents.end()) return found->second;
  if (id.subscription() != defaults_.subscription) {
    return fail(errors::arm::kSubscriptionNotFound,
                "The subscription '" + id.subscription() + "' could not be found.");
  }
  if (!now->documents.contains(id.group_id().lower())) {
    return fail(errors::arm::kResourceGroupNotFound,
                "Resource group '" + id.group_name() + "' could not be found.");
  }
  return fail(errors::arm::kResourceNotFound, "The Resource '" + id.type() + "/" + id.name() +
                                                  "' under resource group '" + id.group_name() +
                                                  "' was not found.");
}

std::vector<std::shared_ptr<const Document>> Resources::list(std::string_view prefix,
                                                             std::string_view type) const {
  std::vector<std::shared_ptr<const Document>> found;
  const auto now = catalog();
  const std::string first = to_lower(prefix) + "/";
  for (auto at = now->documents.lower_bound(first); at != now->documents.end(); ++at) {
    if (!at->first.starts_with(first)) break;
    if (type.empty() || equal_ignoring_case(at->second->type, type)) found.push_back(at->second);
  }
  return found;
}

ResourceId Resources::group_id(std::string_view group) const {
  return ResourceId::group(defaults_.subscription, group);
}
ResourceId Resources::hub_id(std::string_view group, std::string_view name) const {
  return ResourceId::resource(defaults_.subscription, group, kHubType, name);
}
ResourceId Resources::dps_id(std::string_view group, std::string_view name) const {
  return ResourceId::resource(defaults_.subscription, group, kDpsType, name);
}
Task<Status> Resources::ensure_issuer(std::string dps) {
  const auto now = catalog();
  const Dps* found = now->find_dps(dps);
  if (found == nullptr) co_return fail(Code::not_found, "there is no provisioning service " + dps);
  auto top = ResourceId::parse(found->id);
  if (!top) co_return fail(std::move(top.error()));
  json::Object body{{"properties", json::Object{{"generate", true}}}};
  auto put_one = co_await put(top->child("certificates", kDefaultIssuer), std::move(body));
  if (!put_one) co_return fail(std::move(put_one.error()));
  co_return Status{};
}

ResourceId Resources::twins_id(std::string_view group, std::string_view name) const {
  return ResourceId::resource(defaults_.subscription, group, kTwinsType, name);
}
ResourceId Resources::twins_endpoint_id(std::string_view group, std::string_view instance,
                                        std::string_view name) const {
  return twins_id(group, instance).child("endpoints", name);
}
ResourceId Resources::event_space_id(std::string_view group, std::string_view name) const {
  return ResourceId::resource(defaults_.subscription, group, kEventSpaceType, name);
}
ResourceId Resources::event_hub_id(std::string_view group, std::string_view event_space,
                                   std::string_view name) const {
  return event_space_id(group, event_space).child("eventhubs", name);
}
ResourceId Resources::function_app_id(std::string_view group, std::string_view name) const {
  return ResourceId::resource(defaults_.subscription, group, kSiteType, name);
}
ResourceId Resources::app_settings_id(std::string_view group, std::string_view app) const {
  return function_app_id(group, app).child("config", kAppSettings);
}

namespace {

template <class PolicyType>
Result<std::string> service_connection_string(const std::string& host, const PolicyType* policy) {
  if (policy == nullptr) return fail(errors::arm::kResourceNotFound, "There is no such policy.");
  return "HostName=" + host + ";SharedAccessKeyName=" + policy->name +
         ";SharedAccessKey=" + policy->primary_key;
}

}  // namespace

Result<std::string> Resources::hub_connection_string(std::string_view hub,
                                                     std::string_view policy) const {
  const auto now = catalog();
  const Hub* found = now->find_hub(hub);
  if (found == nullptr) return fail(errors::arm::kResourceNotFound, "There is no such hub.");
  return service_connection_string(found->host_name, found->find_policy(policy));
}

Result<std::string> Resources::dps_connection_string(std::string_view dps,
                                                     std::string_view policy) const {
  const auto now = catalog();
  const Dps* found = now->find_dps(dps);
  if (found == nullptr)
    return fail(errors::arm::kResourceNotFound, "There is no such provisioning service.");
  return service_connection_string(found->service_host_name, found->find_policy(policy));
}

Result<std::string> Resources::event_connection_string(std::string_view event_space,
                                                       std::string_view event_hub,
                                                       std::string_view rule) const {
  const auto now = catalog();
  const EventSpace* space = now->find_event_space(event_space);
  if (space == nullptr)
    return fail(errors::arm::kResourceNotFound, "There is no such event namespace.");
  const EventHub* hub = event_hub.empty() ? nullptr : space->find_event_hub(event_hub);
  if (!event_hub.empty() && hub == nullptr)
    return fail(errors::arm::kResourceNotFound, "There is no such event hub.");
  const EventRule* found = hub != nullptr ? hub->find_rule(rule) : space->find_rule(rule);
  // A namespace's rule opens its event hubs too.
  if (found == nullptr) found = space->find_rule(rule);
  if (found == nullptr) return fail(errors::arm::kResourceNotFound, "There is no such rule.");
  std::string text = "Endpoint=sb://" + with_port(space->host_name, defaults_.amqp_port, 5671) +
                     "/;SharedAccessKeyName=" + found->name +
                     ";SharedAccessKey=" + found->primary_key;
  if (hub != nullptr) text += ";EntityPath=" + hub->name;
  return text;
}

}  // namespace doppel::resources
