// Service principals, their tokens, and what a token allows.
#include <algorithm>

#include "base/encoding.h"
#include "errors/arm.h"
#include "json/value.h"
#include "resources/api.h"
#include "resources/deletions.h"
#include "resources/state.h"
#include "security/keys.h"
#include "store/transaction.h"

namespace doppel::resources {
namespace {

constexpr std::int64_t kTokenLifetimeS = 3599;  // what Azure answers, too
constexpr std::size_t kTokenKeySize = 32;
constexpr std::size_t kScopeSizeMax = 512;
constexpr std::string_view kTwinsAppId = "0b07f429-9f4b-4714-9392-cc5e8e80c8b0";

bool is_within(std::string_view id, std::string_view scope) {
  while (scope.ends_with('/')) scope.remove_suffix(1);
  if (scope.empty()) return true;
  return starts_with_ignoring_case(id, scope) &&
         (id.size() == scope.size() || id[scope.size()] == '/');
}

std::string_view without_trailing_slashes(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

// Which service a token's `aud` is for. Management is everything else: its audience is whatever
// address the client was configured with (arm-* packages send "<endpoint>/.default"), which a port
// map or a proxy may have changed.
Audience audience_of(std::string_view aud) {
  aud = without_trailing_slashes(aud);
  if (equal_ignoring_case(aud, "https://digitaltwins.azure.net") ||
      equal_ignoring_case(aud, kTwinsAppId))
    return Audience::digital_twins;
  if (equal_ignoring_case(aud, "https://eventhubs.azure.net")) return Audience::event_hubs;
  if (equal_ignoring_case(aud, "https://iothubs.azure.net")) return Audience::iot_hub;
  if (equal_ignoring_case(aud, "https://azure-devices-provisioning.net"))
    return Audience::provisioning;
  return Audience::management;
}

json::Value to_json(const ServicePrincipal& principal) {
  json::Array roles;
  for (const auto& role : principal.roles)
    roles.push_back({{"role", role.role}, {"scope", role.scope}});
  return {{"clientId", principal.client_id},
          {"objectId", principal.object_id},
          {"displayName", principal.display_name},
          {"secretHash", principal.secret_hash},
          {"roles", std::move(roles)}};
}

}  // namespace

bool Principal::has_role(std::string_view role, std::string_view scope) const {
  return std::ranges::any_of(roles, [&](const RoleAssignment& assigned) {
    return equal_ignoring_case(assigned.role, role) && is_within(scope, assigned.scope);
  });
}

bool Principal::may_write(std::string_view scope) const {
  return has_role("Owner", scope) || has_role("Contributor", scope);
}
bool Principal::may_read(std::string_view scope) const {
  return may_write(scope) || has_role("Reader", scope);
}

bool Principal::may_write_twins(std::string_view scope) const {
  // Azure gives an Owner no data rights; who owns everything here could give them to himself
  // anyway.
  return has_role("Azure Digital Twins Data Owner", scope) || has_role("Owner", "/");
}
bool Principal::may_read_twins(std::string_view scope) const {
  return may_write_twins(scope) || has_role("Azure Digital Twins Data Reader", scope);
}

Task<Status> Resources::open_tokens() {
  std::function<Task<Result<std::string>>(store::Transaction&)> stage =
      [this](store::Transaction& tx) { return token_key(tx); };
  auto found = co_await store::transact<std::string>(store_, std::move(stage));
  if (!found) co_return fail(std::move(found.error()));
  std::string issuer = "https://" + defaults_.host_names.front();
  if (defaults_.https_port != 443) issuer += ":" + std::to_string(defaults_.https_port);
  issuer += "/" + defaults_.tenant + "/v2.0";
  signer_ = std::make_unique<security::TokenSigner>(std::move(*found), std::move(issuer));
  tokens_ = std::make_unique<security::TokenCache>(*signer_);
  co_return Status{};
}

// Made once; tokens outlive a restart.
Task<Result<std::string>> Resources::token_key(store::Transaction& tx) {
  const std::string name = token_key_key();
  auto stored = co_await tx.get(name);
  if (!stored) co_return fail(std::move(stored.error()));
  if (*stored) co_return state_->box.open(**stored, name);
  std::string key = random_.bytes(kTokenKeySize);
  tx.put(name, state_->box.seal(key, name));
  co_return key;
}

Task<Result<Credential>> Resources::create_admin_credential(std::string client_id,
                                                            std::string secret) {
  std::vector<RoleAssignment> roles = {{.role = "Owner", .scope = "/"},
                                       {.role = "Azure Digital Twins Data Owner", .scope = "/"}};
  return create_principal("administrator", std::move(roles), std::move(client_id),
                          std::move(secret));
}

Task<Result<Credential>> Resources::create_principal(std::string display_name,
                                                     std::vector<RoleAssignment> roles,
                                                     std::string client_id, std::string secret) {
  if (client_id.empty()) client_id = random_.uuid();
  if (secret.empty()) secret = security::random_key(random_);
  const ServicePrincipal principal{.client_id = client_id,
                                   .object_id = random_.uuid(),
                                   .display_name = std::move(display_name),
                                   .secret_hash = security::hash_secret(random_, secret),
                                   .roles = std::move(roles)};
  std::function<Task<Result<bool>>(store::Transaction&)> stage = [&](store::Transaction& tx) {
    return stage_principal(tx, principal);
  };
  auto staged = co_await store::transact<bool>(store_, std::move(stage));
  if (!staged) co_return fail(std::move(staged.error()));
  co_return Credential{.client_id = std::move(client_id), .secret = std::move(secret)};
}

Task<Result<bool>> Resources::stage_principal(store::Transaction& tx,
                                              const ServicePrincipal& principal) {
  const std::string key = principal_key(principal.client_id);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (*stored)
    co_return fail(Code::already_exists, "there is a service principal of this client id");
  tx.put(key, state_->seal(to_json(principal), key));
  co_return true;
}

Task<Status> Resources::remove_principal(std::string client_id) {
  if (catalog()->find_principal(client_id) == nullptr)
    co_return fail(Code::not_found, "there is no service principal of this client id");
  store::WriteSet changes;
  changes.erases.push_back(principal_key(client_id));
  auto committed = co_await store_.commit(std::move(changes));
  if (!committed) co_return fail(std::move(committed.error()));
  co_return Status{};
}

Result<Resources::IssuedToken> Resources::issue_token(std::string_view client_id,
                                                      std::string_view secret,
                                                      std::string_view scope) const {
  // "<resource>/.default"; a resource that itself ends in "/" gives two slashes (az, Event Hubs).
  constexpr std::string_view kDefault = "/.default";
  if (scope.ends_with(kDefault)) scope.remove_suffix(kDefault.size());
  const auto audience = without_trailing_slashes(scope);
  if (audience.empty() || audience.size() > kScopeSizeMax || audience.find(' ') != audience.npos)
    return fail(Code::invalid_argument, "the scope must be <resource>/.default");

  const auto now = catalog();
  const ServicePrincipal* principal = now->find_principal(client_id);
  // An unknown client costs the same time as a wrong secret.
  static const std::string kNobody = [] {
    SystemRandom random;
    return security::hash_secret(random, random.bytes(16));
  }();
  const bool is_right =
      security::verify_secret(principal == nullptr ? kNobody : principal->secret_hash, secret);
  if (principal == nullptr) return fail(Code::unauthenticated, "unknown client");
  if (!is_right) return fail(Code::unauthenticated, "wrong client secret");

  security::Claims claims{.issuer = {},
                          .audience = std::string(audience),
                          .tenant = defaults_.tenant,
                          .object_id = principal->object_id,
                          .client_id = principal->client_id,
                          .roles = {},
                          .not_before = clock_.now(),
                          .expires = clock_.now() + std::chrono::seconds(kTokenLifetimeS)};
  for (const auto& role : principal->roles) claims.roles.push_back(role.role);
  return IssuedToken{.token = signer_->issue(std::move(claims)), .expires_in_s = kTokenLifetimeS};
}

Result<Principal> Resources::authenticate_bearer(std::string_view header, Audience audience) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (!starts_with_ignoring_case(header, kScheme))
    return fail(Code::unauthenticated, "no bearer token");
  auto claims = tokens_->verify(header.substr(kScheme.size()), clock_.now());
  if (!claims) return fail(std::move(claims.error()));
  if (audience_of((*claims)->audience) != audience)
    return fail(Code::unauthenticated, "the token is for another service: " + (*claims)->audience);
  // The roles of now, not those of when the token was made: a principal that is gone, or lost a
  // role, loses it at once. The object id tells a principal from an earlier one of the same client
  // id.
  const auto now = catalog();
  const ServicePrincipal* principal = now->find_principal((*claims)->client_id);
  if (principal == nullptr || principal->object_id != (*claims)->object_id)
    return fail(Code::unauthenticated, "the service principal is gone");
  return Principal{.client_id = principal->client_id,
                   .object_id = principal->object_id,
                   .roles = principal->roles};
}

}  // namespace doppel::resources
