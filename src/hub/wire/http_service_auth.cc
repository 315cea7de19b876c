#include "hub/wire/http_service_auth.h"

#include <fmt/core.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "security/sas.h"

namespace doppel::hub {
namespace {

using resources::Catalog;
using resources::Hub;

std::unexpected<Error> refuse(std::string why) {
  return fail(errors::hub::kIotHubUnauthorizedAccess, std::move(why));
}

// The segments of a raw path, decoded.
std::vector<std::string> decoded_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto raw = path.substr(0, slash);
    if (!raw.empty()) segments.push_back(percent_decode(raw).value_or(std::string(raw)));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return segments;
}

bool covers_request(const security::SasResource& granted, const http::Request& request) {
  const auto segments = decoded_segments(request.path);
  return security::covers(granted, {segments.begin(), segments.end()});
}

// Whether `hub` has the policy the token names, with its signature and the right.
Status verify_policy(const Hub& hub, const security::SasToken& token, resources::HubRight right,
                     TimePoint now) {
  const auto* policy = hub.find_policy(token.key_name);
  if (policy == nullptr)
    return refuse(fmt::format("hub '{}' has no policy '{}'", hub.name.view(), token.key_name));
  auto ok = security::verify_sas(token, policy->primary_key, policy->secondary_key,
                                 security::KeyForm::base64, now);
  if (!ok) return refuse(std::move(ok.error().message));
  if (!policy->allows(right)) {
    return refuse(fmt::format("Authorization rule '{}' does not allow access for '{}'",
                              policy->name, token.resource));
  }
  return {};
}

bool has_name(const Hub& hub, std::string_view host) {
  for (const auto& name : hub.host_names)
    if (equal_ignoring_case(name, host)) return true;
  return false;
}

std::vector<const Hub*> candidates(const Catalog& catalog, const http::Request& request,
                                   std::string_view token_host) {
  auto found = catalog.find_hubs_by_host(request.host());
  if (found.empty() && !token_host.empty()) found = catalog.find_hubs_by_host(token_host);
  return found;
}

Result<const Hub*> authorize_sas(const Catalog& catalog, const http::Request& request,
                                 std::string_view header, RequiredRight right, TimePoint now) {
  const auto token = security::parse_sas(header);
  if (!token) return refuse(token.error().message);
  if (token->key_name.empty()) return refuse("a service token needs the name of a policy (skn)");
  const auto granted = security::sas_resource(token->resource);
  if (!covers_request(granted, request))
    return refuse(fmt::format("the token's sr '{}' does not cover the request", token->resource));
  const auto hubs = candidates(catalog, request, granted.host);
  if (hubs.empty()) return refuse(fmt::format("there is no hub of the name '{}'", request.host()));
  std::string why = fmt::format("the token is for host '{}'", granted.host);
  for (const auto* hub : hubs) {
    if (!has_name(*hub, granted.host)) continue;
    auto ok = verify_policy(*hub, *token, right.sas, now);
    if (ok) return hub;
    why = std::move(ok.error().message);
  }
  return refuse(std::move(why));
}

Result<const Hub*> authorize_bearer(const Catalog& catalog, const http::Request& request,
                                    std::string_view header, RequiredRight right,
                                    const BearerCheck& bearer) {
  if (!bearer) return refuse("bearer tokens are not accepted");
  const auto principal = bearer(header);
  if (!principal) return refuse(principal.error().message);
  for (const auto* hub : candidates(catalog, request, {})) {
    if (right.writes ? principal->may_write(hub->id) : principal->may_read(hub->id)) return hub;
  }
  return refuse(fmt::format("Principal {} is not authorized for {} on {}", principal->client_id,
                            request.method, request.path));
}

}  // namespace

Result<const resources::Hub*> authorize_service_call(const resources::Catalog& catalog,
                                                     const http::Request& request,
                                                     RequiredRight right, const BearerCheck& bearer,
                                                     TimePoint now) {
  const auto header = request.headers.get_or("Authorization", {});
  if (header.empty()) return refuse("Authorization header missing");
  if (starts_with_ignoring_case(header, "Bearer "))
    return authorize_bearer(catalog, request, header, right, bearer);
  return authorize_sas(catalog, request, header, right, now);
}

}  // namespace doppel::hub
