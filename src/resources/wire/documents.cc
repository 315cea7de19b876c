// Documents and lists of documents: GET, PUT, PATCH, DELETE, HEAD.
#include <charconv>
#include <limits>
#include <tuple>

#include "base/encoding.h"
#include "errors/arm.h"
#include "resources/names.h"
#include "resources/types.h"
#include "resources/wire/arm.h"

namespace doppel::resources::wire {
namespace {

constexpr json::ParseLimits kBodyLimits{.depth_max = 24, .size_max = 1024 * 1024};

std::unexpected<Error> not_allowed(const ArmCall& call) {
  return fail(errors::arm::kMethodNotAllowed,
              "The method '" + call.method().substr(0, 16) + "' is not possible at this address.");
}

Result<json::Object> body_of(const http::Request& request) {
  auto parsed = json::parse(request.body, kBodyLimits);
  if (!parsed) {
    return fail(
        errors::arm::kInvalidRequestContent,
        "The request content was invalid and could not be deserialized: " + parsed.error().message);
  }
  if (!parsed->is_object())
    return fail(errors::arm::kInvalidRequestContent, "The request content must be a JSON object.");
  return std::move(parsed->get_object());
}

// "resourceGroup eq 'G' and resourceType eq 'T'": the two that az and the portal send.
struct Filter {
  std::string group;
  std::string type;
};
std::string quoted_after(std::string_view text, std::string_view name) {
  const std::string lower = to_lower(text);
  const auto at = lower.find(to_lower(name) + " eq '");
  if (at == lower.npos) return {};
  const auto first = at + name.size() + 5;
  return std::string(text.substr(first, text.find('\'', first) - first));
}
Filter filter_of(const http::Request& request) {
  const auto text = request.query_value("$filter").value_or("");
  return {.group = quoted_after(text, "resourceGroup"), .type = quoted_after(text, "resourceType")};
}

json::Object subscription_body(const ResourceDefaults& defaults) {
  return {{"id", "/subscriptions/" + defaults.subscription},
          {"subscriptionId", defaults.subscription},
          {"tenantId", defaults.tenant},
          {"displayName", "Doppel"},
          {"state", "Enabled"},
          {"subscriptionPolicies",
           {{"locationPlacementId", "Public_2014-09-01"},
            {"quotaId", "PayAsYouGo_2014-09-01"},
            {"spendingLimit", "Off"}}},
          {"authorizationSource", "RoleBased"},
          {"managedByTenants", json::Array{}}};
}

json::Array location_list(const ResourceDefaults& defaults) {
  json::Array list;
  for (const auto& [name, shown] : {std::pair<std::string, std::string>{"eastus", "East US"},
                                    {"westus2", "West US 2"},
                                    {"westeurope", "West Europe"},
                                    {"northeurope", "North Europe"}}) {
    list.push_back({{"id", "/subscriptions/" + defaults.subscription + "/locations/" + name},
                    {"name", name},
                    {"displayName", shown},
                    {"regionalDisplayName", shown},
                    {"metadata", {{"regionType", "Physical"}, {"regionCategory", "Recommended"}}}});
  }
  return list;
}

// $skip and $top, which Event Hubs' lists know (az eventhubs eventhub list --skip --top). Errors:
// InvalidParameter.
struct Window {
  std::size_t skip = 0;
  std::size_t top = std::numeric_limits<std::size_t>::max();
};
Result<Window> window_of(const http::Request& request) {
  constexpr std::size_t kMost = 1000;  // (azure-mgmt-eventhub: both are validated to 1000)
  Window window;
  for (const auto& [name, member, least] :
       {std::tuple{"$skip", &window.skip, std::size_t{0}}, {"$top", &window.top, std::size_t{1}}}) {
    const auto text = request.query_value(name);
    if (!text) continue;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *member);
    if (error != std::errc{} || end != text->data() + text->size() || *member < least ||
        *member > kMost) {
      return fail(errors::arm::kInvalidParameter, "'" + std::string(name) + "' must be from " +
                                                      std::to_string(least) + " to " +
                                                      std::to_string(kMost) + ".");
    }
  }
  return window;
}

json::Value value_of(json::Array list) { return json::Object{{"value", std::move(list)}}; }

}  // namespace

Task<Result<http::Response>> Arm::dispatch(ArmCall call) {
  const auto& defaults = resources_.defaults();
  if (call.is(0, "tenants")) {
    json::Array tenants;
    tenants.push_back({{"id", "/tenants/" + defaults.tenant},
                       {"tenantId", defaults.tenant},
                       {"displayName", "Doppel"},
                       {"tenantCategory", "Home"}});
    co_return json_response(200, value_of(std::move(tenants)));
  }
  if (call.size() > 1 && !equal_ignoring_case(call.segments[1], defaults.subscription)) {
    co_return fail(errors::arm::kSubscriptionNotFound,
                   "The subscription '" + call.segments[1].substr(0, 64) + "' could not be found.");
  }
  // The spelling of the settings, so that ids compare and show alike.
  if (call.size() > 1) {
    call.path.replace(call.path.find(call.segments[1]), call.segments[1].size(),
                      defaults.subscription);
    call.segments[1] = defaults.subscription;
  }
  if (auto constant = constant_answer(call)) co_return std::move(*constant);
  if (call.method() == "POST") co_return co_await action(std::move(call));
  const bool is_in_group = call.size() >= 4 && call.is(2, "resourcegroups");
  if (is_in_group && call.size() % 2 == 0) {
    co_return co_await document(std::move(call));
  }
  if (call.method() == "GET" && call.is(call.size() - 1, "IotHubStats"))
    co_return co_await hub_stats(std::move(call));
  if (call.method() != "GET") co_return not_allowed(call);
  if (is_in_group && call.is(4, "providers")) co_return collection(call);
  co_return subscription(call);
}

// GETs that are about the subscription as a whole.
Result<http::Response> Arm::subscription(const ArmCall& call) const {
  const auto& defaults = resources_.defaults();
  const std::string id = "/subscriptions/" + defaults.subscription;
  if (call.size() == 1) {
    json::Array list;
    list.push_back(subscription_body(defaults));
    json::Object body{{"value", std::move(list)}, {"count", {{"type", "Total"}, {"value", 1}}}};
    return json_response(200, body);
  }
  if (call.size() == 2) return json_response(200, subscription_body(defaults));
  if (call.is(2, "locations") && call.size() == 3)
    return json_response(200, value_of(location_list(defaults)));
  if (call.is(2, "resourcegroups") && call.size() == 3) return list_documents(call, id, kGroupType);
  if (call.is(2, "resources") && call.size() == 3) return list_resources(call);
  if (call.is(2, "resourcegroups") && call.is(4, "resources") && call.size() == 5)
    return list_resources(call);
  if (call.is(2, "providers")) return provider(call);
  return fail(errors::arm::kNotFound);
}

Result<http::Response> Arm::provider(const ArmCall& call) const {
  static constexpr std::string_view kProviders[] = {"Microsoft.Devices", "Microsoft.DigitalTwins",
                                                    "Microsoft.EventHub", "Microsoft.Web",
                                                    "Microsoft.Resources"};
  const std::string prefix = "/subscriptions/" + resources_.defaults().subscription;
  const auto describe = [&](std::string_view name) {
    return json::Object{{"id", prefix + "/providers/" + std::string(name)},
                        {"namespace", name},
                        {"registrationState", "Registered"},
                        {"registrationPolicy", "RegistrationRequired"},
                        {"resourceTypes", json::Array{}}};
  };
  if (call.size() == 3) {
    json::Array list;
    for (const auto name : kProviders) list.push_back(describe(name));
    return json_response(200, value_of(std::move(list)));
  }
  if (call.size() == 4) return json_response(200, describe(call.segments[3].substr(0, 128)));
  if (call.size() == 5) {
    const auto type = known_type(call.segments[3] + "/" + call.segments[4]);
    if (!type.empty()) return list_documents(call, prefix, type);
  }
  return fail(errors::arm::kInvalidResourceType);
}

Result<http::Response> Arm::list_documents(const ArmCall& call, std::string_view prefix,
                                           std::string_view type) const {
  auto window = type.starts_with("Microsoft.EventHub/") ? window_of(call.request) : Window{};
  if (!window) return fail(std::move(window.error()));
  json::Array list;
  for (const auto& one : resources_.list(prefix, type)) {
    if (list.size() == window->top) break;
    if (!call.principal.may_read(one->id)) continue;
    if (window->skip > 0) {
      --window->skip;
      continue;
    }
    list.push_back(resources_.visible(*one));
  }
  return json_response(200, value_of(std::move(list)));
}

// What az resource list shows: top-level resources, without their properties.
Result<http::Response> Arm::list_resources(const ArmCall& call) const {
  Filter filter = filter_of(call.request);
  if (call.size() == 5) filter.group = call.segments[3];
  const std::string subscription_id = "/subscriptions/" + resources_.defaults().subscription;
  if (!filter.group.empty()) {
    auto group = resources_.get(resources_.group_id(filter.group));
    if (!group) return fail(std::move(group.error()));
  }
  const std::string prefix =
      filter.group.empty() ? subscription_id : resources_.group_id(filter.group).text();
  json::Array list;
  for (const auto& one : resources_.list(prefix, filter.type)) {
    const auto id = ResourceId::parse(one->id);
    if (!id || id->is_group() || id->is_child() || !call.principal.may_read(one->id)) continue;
    json::Object shown = resources_.visible(*one);
    json::Object brief;
    for (const char* name : {"id", "name", "type", "location", "tags", "sku", "kind", "identity"}) {
      if (const auto* member = shown.if_contains(name)) brief[name] = *member;
    }
    brief["provisioningState"] = "Succeeded";
    list.push_back(std::move(brief));
  }
  return json_response(200, value_of(std::move(list)));
}

// GET of a type without a name: .../providers/NS/type, or a child type below a resource.
Result<http::Response> Arm::collection(const ArmCall& call) const {
  std::string type = call.size() > 5 ? call.segments[5] : "";
  std::string prefix = "/subscriptions/" + call.segments[1] + "/resourceGroups/" + call.segments[3];
  for (std::size_t i = 6; i < call.size(); i += 2) type.append("/").append(call.segments[i]);
  const auto known = known_type(type);
  if (known.empty()) {
    return fail(errors::arm::kInvalidResourceType,
                "The resource type '" + type.substr(0, 128) + "' is not known here.");
  }
  auto group = resources_.get(resources_.group_id(call.segments[3]));
  if (!group) return fail(std::move(group.error()));
  if (call.size() > 7) {
    // Of a child type: the resource that has the children exists.
    std::string top;
    for (std::size_t i = 0; i < 8; ++i) top.append("/").append(call.segments[i]);
    auto id = ResourceId::parse(top);
    if (!id) return fail(std::move(id.error()));
    auto parent = resources_.get(*id);
    if (!parent) return fail(std::move(parent.error()));
    prefix.clear();
    for (std::size_t i = 0; i + 1 < call.size(); ++i) prefix.append("/").append(call.segments[i]);
    // Event hubs are parents, too.
    if (auto direct = ResourceId::parse(prefix)) {
      if (auto found = resources_.get(*direct); !found) return fail(std::move(found.error()));
    }
  }
  return list_documents(call, prefix, known);
}

Task<Result<http::Response>> Arm::document(ArmCall call) {
  auto id = ResourceId::parse(call.path);
  if (!id) co_return fail(std::move(id.error()));
  const std::string& method = call.method();
  if (method == "PUT" || method == "PATCH")
    co_return co_await put_document(std::move(call), std::move(*id));
  if (method == "DELETE") co_return co_await delete_document(std::move(call), std::move(*id));
  if (method != "GET" && method != "HEAD") co_return not_allowed(call);
  auto found = resources_.get(*id);
  // az group exists looks at the status alone.
  if (method == "HEAD") co_return http::Response::empty(found ? 204 : 404);
  if (!found) co_return fail(std::move(found.error()));
  co_return json_response(200, resources_.visible(**found));
}

Task<Result<http::Response>> Arm::put_document(ArmCall call, ResourceId id) {
  auto body = body_of(call.request);
  if (!body) co_return fail(std::move(body.error()));
  const bool is_settings = id.type() == kSiteConfigType;
  const bool is_child = id.is_child();
  const bool is_patch = call.method() == "PATCH";
  std::string if_match(call.request.headers.get_or("if-match", ""));
  auto task = is_patch ? resources_.patch(id, std::move(*body))
                       : resources_.put(id, std::move(*body), std::move(if_match));
  auto outcome = co_await std::move(task);
  if (!outcome) co_return fail(std::move(outcome.error()));
  // Whoever sets app settings is shown them: az prints them after the change.
  if (is_settings) co_return settings(id);
  // Children have no long-running operation, so az takes 201 for a failure:
  // "invalid status 'Created'" (azure-mgmt: event hubs, consumer groups, rules).
  const int status = outcome->created && !is_child ? 201 : 200;
  http::Response response = json_response(status, resources_.visible(*outcome->document));
  const std::string etag = json::get_string_or(outcome->document->body, "etag", "");
  response.headers.set("ETag", "\"" + etag + "\"");
  co_return response;
}

Task<Result<http::Response>> Arm::delete_document(ArmCall call, ResourceId id) {
  std::string if_match(call.request.headers.get_or("if-match", ""));
  const std::string type = id.type();
  if (if_match.empty() && (type == kHubCertificateType || type == kDpsCertificateType)) {
    co_return fail(errors::arm::kPreconditionFailed,
                   "Deleting a certificate needs its current etag in an If-Match header.");
  }
  auto removed = co_await resources_.remove(id, std::move(if_match));
  if (removed) co_return http::Response::empty(id.is_group() ? 200 : 204);
  // Deleting what is not there has the wished-for result; only a group's absence is an error.
  if (removed.error().service == &errors::arm::kResourceNotFound)
    co_return http::Response::empty(204);
  co_return fail(std::move(removed.error()));
}

}  // namespace doppel::resources::wire
