#include "events/wire/access.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/value.h"
#include "protocol/amqp/address.h"
#include "security/keys.h"
#include "security/sas.h"

namespace doppel::events {
namespace {

using amqp::ClaimRights;
using resources::EventRight;

constexpr std::uint32_t kAllRights =
    ClaimRights::kListen | ClaimRights::kSend | ClaimRights::kManage;
constexpr std::string_view kBearer = "Bearer ";

std::string_view path_of(std::string_view resource) {
  const auto slash = resource.find('/');
  return slash == resource.npos ? std::string_view{} : resource.substr(slash + 1);
}
std::string_view first_segment(std::string_view path) { return path.substr(0, path.find('/')); }

std::uint32_t rights_of(const resources::EventRule& rule) {
  std::uint32_t rights = 0;
  if (rule.allows(EventRight::listen)) rights |= ClaimRights::kListen;
  if (rule.allows(EventRight::send)) rights |= ClaimRights::kSend;
  if (rule.allows(EventRight::manage)) rights |= kAllRights;
  return rights;
}
// A policy that may be used as an IoT hub's service may read its built-in endpoint.
std::uint32_t rights_of(const resources::HubPolicy& policy) {
  return policy.allows(resources::HubRight::service_connect) ? ClaimRights::kListen : 0;
}

template <class Policy>
amqp::Claim make_claim(const Policy& policy, std::string space, std::string event_hub) {
  auto details = std::make_shared<EventClaim>();
  details->space = std::move(space);
  details->event_hub = std::move(event_hub);
  return {.resource = {},
          .principal = policy.name,
          .rights = rights_of(policy),
          .details = std::move(details)};
}

// Every rule that could have made a token for `event_hub` (which may be missing) on a host: calls
// `take(claim, policy)` until it says true.
template <class Take>
bool each_rule(const resources::Catalog& catalog, std::string_view host, std::string_view event_hub,
               Take take) {
  for (const auto& hub : find_hubs(catalog, host, event_hub)) {
    const auto log = hub.log();
    if (hub.iot_hub() != nullptr) {
      for (const auto& policy : hub.iot_hub()->policies)
        if (take(policy, log.space, std::string{})) return true;
      continue;
    }
    for (const auto& rule : hub.event_hub()->rules)
      if (take(rule, log.space, log.name)) return true;
  }
  for (const auto* space : find_spaces(catalog, host))
    for (const auto& rule : space->rules)
      if (take(rule, space->name, std::string{})) return true;
  return false;
}

// Clients of an IoT hub, on their way to its built-in endpoint: they sign with the decoded key, for
// the host or its "messages/events".
std::optional<amqp::Claim> claim_of_hub(const resources::Hub& hub, const security::SasToken& token,
                                        TimePoint now) {
  const auto* policy = hub.find_policy(token.key_name);
  if (policy == nullptr || rights_of(*policy) == 0) return std::nullopt;
  if (!security::verify_sas(token, policy->primary_key, policy->secondary_key,
                            security::KeyForm::base64, now))
    return std::nullopt;
  auto claim = make_claim(*policy, HubView(hub).log().space, {});
  claim.expires_at = token.expires() + security::kSasSkew;
  return claim;
}

// Whether clients call it so in a user name: by its name, or by the first label of the host name in
// their connection string, which is all they know.
bool is_called(const resources::Hub& hub, std::string_view name) {
  return equal_ignoring_case(hub.name.view(), name) ||
         std::ranges::any_of(hub.host_names, [&](std::string_view host) {
           return equal_ignoring_case(host.substr(0, host.find('.')), name);
         });
}

std::optional<amqp::Claim> find_hub_claim(const resources::Catalog& catalog,
                                          std::string_view resource,
                                          const security::SasToken& token, TimePoint now) {
  const auto first = first_segment(path_of(resource));
  if (!first.empty() && !equal_ignoring_case(first, "messages")) return std::nullopt;
  for (const auto* hub : catalog.find_hubs_by_host(resource.substr(0, resource.find('/'))))
    if (auto claim = claim_of_hub(*hub, token, now)) return claim;
  return std::nullopt;
}

Result<amqp::Claim> verify_signature(const resources::Catalog& catalog, const std::string& resource,
                                     std::string_view text, TimePoint now) {
  const auto token = security::parse_sas(text);
  if (!token) return fail(token.error());
  if (!amqp::covers(amqp::resource_of(token->resource), resource))
    return fail(Code::unauthenticated, "the token is for another resource");
  std::optional<amqp::Claim> claim;
  const auto host = resource.substr(0, resource.find('/'));
  const auto name = first_segment(path_of(resource));
  each_rule(catalog, host, name, [&](const auto& rule, std::string space, std::string event_hub) {
    if (!equal_ignoring_case(rule.name, token->key_name)) return false;
    if (!security::verify_sas(*token, rule.primary_key, rule.secondary_key, security::KeyForm::text,
                              now))
      return false;
    claim = make_claim(rule, std::move(space), std::move(event_hub));
    return true;
  });
  if (!claim) claim = find_hub_claim(catalog, resource, *token, now);
  if (!claim) return fail(Code::unauthenticated, "no rule made this token, or it is expired");
  claim->expires_at = token->expires() + security::kSasSkew;
  claim->resource = resource;
  return *std::move(claim);
}

// `exp` of a JWT that was verified before. One without it ends with the connection.
TimePoint expiry_of(std::string_view token) {
  const auto first = token.find('.');
  const auto second = token.find('.', first + 1);
  if (second == token.npos) return TimePoint::max();
  const auto payload = base64url_decode(token.substr(first + 1, second - first - 1));
  const auto claims = json::parse(payload.value_or(""));
  const auto* exp = claims ? json::find(*claims, "exp") : nullptr;
  if (exp == nullptr || !json::is_number(*exp)) return TimePoint::max();
  constexpr std::int64_t kMax = 9'000'000'000;  // what a TimePoint can hold
  return from_unix_seconds(std::min(json::to_int64(*exp).value_or(kMax), kMax));
}

Result<amqp::Claim> verify_bearer(const BearerCheck& bearer, const std::string& resource,
                                  std::string_view token) {
  std::string header(kBearer);
  header += token;
  auto principal = bearer(header);
  if (!principal) return fail(std::move(principal.error()));
  auto details = std::make_shared<EventClaim>();
  amqp::Claim claim{.resource = resource, .principal = principal->object_id, .rights = kAllRights};
  claim.expires_at = expiry_of(token);
  details->principal = std::move(*principal);
  claim.details = std::move(details);
  return claim;
}

bool is_key(std::string_view key, std::string_view given) {
  return !key.empty() && security::constant_time_equal(key, given);
}

bool is_of(const EventClaim& claim, const HubView& hub) {
  const auto log = hub.log();
  return claim.space == log.space && (claim.event_hub.empty() || claim.event_hub == log.name);
}

// What roles allow. Azure gives an Owner no data rights; who owns everything here could give them
// to himself anyway.
std::uint32_t rights_of(const resources::Principal& principal, const std::string& scope) {
  if (principal.has_role("Azure Event Hubs Data Owner", scope) || principal.has_role("Owner", "/"))
    return kAllRights;
  std::uint32_t rights = 0;
  if (principal.has_role("Azure Event Hubs Data Receiver", scope)) rights |= ClaimRights::kListen;
  if (principal.has_role("Azure Event Hubs Data Sender", scope)) rights |= ClaimRights::kSend;
  return rights;
}

std::uint32_t rights_on(const amqp::Claim& claim, const HubView& hub) {
  const auto* details = dynamic_cast<const EventClaim*>(claim.details.get());
  if (details == nullptr) return 0;
  if (details->principal) return rights_of(*details->principal, hub.scope());
  return is_of(*details, hub) ? claim.rights : 0;
}

// The host of an audience proves nothing and is not compared: the key decided on the namespace.
bool is_for(const amqp::Claim& claim, std::string_view path) {
  const auto scope = path_of(claim.resource);
  return scope.empty() || amqp::covers(scope, path);
}

}  // namespace

Result<amqp::Claim> verify_token(const resources::Catalog& catalog, const BearerCheck& bearer,
                                 std::string_view audience, std::string_view token, TimePoint now) {
  const auto resource = amqp::resource_of(audience);
  auto claim = starts_with_ignoring_case(token, security::kSasScheme)
                   ? verify_signature(catalog, resource, token, now)
                   : verify_bearer(bearer, resource, token);
  if (!claim) return claim;
  const auto host = std::string_view(resource).substr(0, resource.find('/'));
  const auto name = first_segment(path_of(resource));
  const bool is_event_hub =
      !name.empty() && !name.starts_with('$') && !equal_ignoring_case(name, "messages");
  if (is_event_hub && find_hubs(catalog, host, name).empty())
    return fail(Code::not_found, not_found_text(host, name));
  return claim;
}

std::vector<amqp::Claim> verify_plain(const resources::Catalog& catalog, std::string_view user,
                                      std::string_view password, TimePoint now) {
  std::vector<amqp::Claim> claims;
  // az and the C SDK: "{policy}@sas.root.{hub}", and a token for a password.
  constexpr std::string_view kOfHub = "@sas.root.";
  if (const auto at = user.find(kOfHub); at != user.npos) {
    const auto token = security::parse_sas(password);
    if (!token || !equal_ignoring_case(token->key_name, user.substr(0, at))) return claims;
    for (const auto& hub : catalog.hubs) {
      if (!is_called(hub, user.substr(at + kOfHub.size()))) continue;
      if (auto claim = claim_of_hub(hub, *token, now)) claims.push_back(*std::move(claim));
    }
    return claims;
  }
  const auto take = [&](const resources::EventRule& rule, const std::string& space,
                        const std::string& event_hub) {
    const bool is_known =
        is_key(rule.primary_key, password) || is_key(rule.secondary_key, password);
    if (!is_known || !equal_ignoring_case(rule.name, user)) return;
    claims.push_back(make_claim(rule, space, event_hub));
    // One claim for each resource: of two namespaces with one key each keeps its own.
    claims.back().resource = space + (event_hub.empty() ? "" : "/" + event_hub);
  };
  for (const auto& space : catalog.event_spaces) {
    for (const auto& rule : space.rules) take(rule, space.name, {});
    for (const auto& event_hub : space.event_hubs)
      for (const auto& rule : event_hub.rules) take(rule, space.name, event_hub.name);
  }
  return claims;
}

const amqp::Claim* find_claim(const amqp::Claims& claims, const HubView& hub, std::string_view path,
                              std::uint32_t rights, TimePoint now) {
  const amqp::Claim* best = nullptr;
  for (const auto& claim : claims) {
    if (claim.expires_at <= now || !is_for(claim, path)) continue;
    if ((rights_on(claim, hub) & rights) == 0) continue;
    if (best == nullptr || claim.expires_at > best->expires_at) best = &claim;
  }
  return best;
}

const resources::Hub* find_redirected(const amqp::Claims& claims, const resources::Catalog& catalog,
                                      std::string_view path, TimePoint now) {
  for (const auto& claim : claims) {
    const auto* details = dynamic_cast<const EventClaim*>(claim.details.get());
    if (details == nullptr || claim.expires_at <= now || !is_for(claim, path)) continue;
    if ((claim.rights & ClaimRights::kListen) == 0) continue;
    for (const auto& hub : catalog.hubs)
      if (HubView(hub).log().space == details->space) return &hub;
  }
  return nullptr;
}

bool may_know_names(const amqp::Claims& claims, TimePoint now) {
  return std::any_of(claims.begin(), claims.end(), [&](const amqp::Claim& claim) {
    const auto* details = dynamic_cast<const EventClaim*>(claim.details.get());
    return details != nullptr && claim.expires_at > now && details->event_hub.empty();
  });
}

std::string not_found_text(std::string_view host, std::string_view name) {
  std::string text = "The messaging entity 'sb://";
  text.append(host).append("/").append(name);
  return text + "' could not be found. status-code: 404";
}

Status authorize_header(const HubView& hub, const BearerCheck& bearer, std::string_view header,
                        std::string_view path, std::uint32_t right, TimePoint now) {
  const auto forbidden = [] { return fail(Code::forbidden, "the right to do this is missing"); };
  if (starts_with_ignoring_case(header, kBearer)) {
    const auto principal = bearer(header);
    if (!principal) return fail(principal.error());
    if ((rights_of(*principal, hub.scope()) & right) == 0) return forbidden();
    return {};
  }
  const auto token = security::parse_sas(header);
  if (!token) return fail(token.error());
  const auto granted = amqp::resource_of(token->resource);
  if (const auto scope = path_of(granted); !scope.empty() && !amqp::covers(scope, path))
    return fail(Code::unauthenticated, "the token is for another resource");
  const auto check = [&](const auto& rules) -> std::optional<std::uint32_t> {
    for (const auto& rule : rules)
      if (equal_ignoring_case(rule.name, token->key_name) &&
          security::verify_sas(*token, rule.primary_key, rule.secondary_key,
                               security::KeyForm::text, now))
        return rights_of(rule);
    return std::nullopt;
  };
  std::optional<std::uint32_t> rights;
  if (hub.iot_hub() != nullptr) {
    rights = check(hub.iot_hub()->policies);
  } else {
    rights = check(hub.event_hub()->rules);
    if (!rights) rights = check(hub.space()->rules);
  }
  if (!rights) return fail(Code::unauthenticated, "no rule made this token, or it is expired");
  if ((*rights & right) == 0) return forbidden();
  return {};
}

}  // namespace doppel::events
