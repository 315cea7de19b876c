// What exists: resource groups, IoT hubs, provisioning services, twins instances, event namespaces,
// function apps, their keys and settings, and who may manage them. The management API (wire/) and
// the server's first start change it through the same ARM documents; services read it through the
// Catalog.
//
// The truth is in the store (documents sealed at rest); the catalog in memory follows every commit
// before the commit is acknowledged, so whoever was told "created" also finds it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "json/value.h"
#include "resources/catalog.h"
#include "resources/resource_id.h"
#include "security/jwt.h"
#include "security/sas.h"
#include "security/secrets.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::resources {

inline constexpr std::string_view kDefaultSubscription = "22222222-2222-2222-2222-222222222222";
inline constexpr std::string_view kDefaultTenant = "11111111-1111-1111-1111-111111111111";

struct ResourceDefaults {
  // Public names of this server, the first is the one that resources are called by. Never empty.
  std::vector<std::string> host_names = {"localhost"};
  std::uint16_t https_port = 443;  // shown in addresses where it is not 443
  std::uint16_t amqp_port = 5671;
  std::string subscription{kDefaultSubscription};
  std::string tenant{kDefaultTenant};
  std::string location = "eastus";
};

// What a bearer token proved.
enum class Audience : std::uint8_t { management, digital_twins, event_hubs, iot_hub, provisioning };
struct Principal {
  std::string client_id;
  std::string object_id;
  std::vector<RoleAssignment> roles;

  // Whether one of `role`'s holders covers the ARM id `scope`.
  bool has_role(std::string_view role, std::string_view scope) const;
  bool may_read(std::string_view scope) const;   // Owner, Contributor, Reader
  bool may_write(std::string_view scope) const;  // Owner, Contributor
  // Azure Digital Twins Data Owner or Reader on the instance's id; Owner of everything has both.
  bool may_read_twins(std::string_view scope) const;
  bool may_write_twins(std::string_view scope) const;
};

struct Credential {
  std::string client_id;
  std::string secret;  // shown once; stored hashed
};

// A resource that is gone, for those who keep data under its name.
enum class Kind : std::uint8_t { hub, dps, twins_instance, event_hub, function_app };
struct DeletedResource {
  Kind kind;
  std::string name;              // as created
  std::string event_space;       // of an event hub
  std::uint32_t partitions = 0;  // of an event hub, or of a hub's built-in endpoint
};
// Deletes everything kept for the resource, in commits of its own; repeated after a crash until it
// succeeds, so it is safe to repeat. The name cannot be used again before all hooks have succeeded.
using PurgeHook = std::function<Task<Status>(DeletedResource)>;

struct PutContext;  // document.h
struct PutOutcome {
  std::shared_ptr<const Document> document;
  bool created = false;
};

class Resources final : public store::Observer {
 public:
  // Reads everything and follows the store from then on. All references outlive the object; `home`
  // runs reloads.
  static Task<Result<std::unique_ptr<Resources>>> open(store::Store& store, Executor& home,
                                                       const Clock& clock, Random& random,
                                                       security::SecretBox box,
                                                       ResourceDefaults defaults);
  ~Resources() override;

  // Cheap; any thread. Never null.
  std::shared_ptr<const Catalog> catalog() const;
  const ResourceDefaults& defaults() const { return defaults_; }
  const Clock& clock() const { return clock_; }
  Random& random() { return random_; }

  // ---- ARM documents. `body` is what a client would PUT; errors are those of errors/arm.h. Any
  // thread. ---- `if_match`: empty or "*" for no condition, else the current etag, quoted or not.
  Task<Result<PutOutcome>> put(ResourceId id, json::Object body, std::string if_match = {});
  // PATCH: replaces tags (and the members of properties that may be patched).
  Task<Result<PutOutcome>> patch(ResourceId id, json::Object body);
  Result<std::shared_ptr<const Document>> get(const ResourceId& id) const;
  // Removes it with its children and, for a resource group, all that is in it. Data of services is
  // purged before this returns, or soon after if a hook failed. Missing: not_found.
  Task<Status> remove(ResourceId id, std::string if_match = {});
  // Children of one type under a prefix id (a subscription, a group, a resource), in order of ids.
  std::vector<std::shared_ptr<const Document>> list(std::string_view prefix,
                                                    std::string_view type) const;

  // The certificate kDefaultIssuer of a provisioning service, made with a key when it is not there
  // yet. Errors: not_found.
  Task<Status> ensure_issuer(std::string dps);

  // A document as clients may see it: secrets masked or left out, read-only members filled in.
  json::Object visible(const Document& document) const;

  // Ids in the default subscription, for set-up and tests.
  ResourceId group_id(std::string_view group) const;
  ResourceId hub_id(std::string_view group, std::string_view name) const;
  ResourceId dps_id(std::string_view group, std::string_view name) const;
  ResourceId twins_id(std::string_view group, std::string_view name) const;
  ResourceId twins_endpoint_id(std::string_view group, std::string_view instance,
                               std::string_view name) const;
  ResourceId event_space_id(std::string_view group, std::string_view name) const;
  ResourceId event_hub_id(std::string_view group, std::string_view event_space,
                          std::string_view name) const;
  ResourceId function_app_id(std::string_view group, std::string_view name) const;
  ResourceId app_settings_id(std::string_view group,
                             std::string_view app) const;  // {"properties": {NAME: VALUE}}

  // Connection strings as clients take them. Errors: not_found (resource or policy).
  Result<std::string> hub_connection_string(std::string_view hub,
                                            std::string_view policy = "iothubowner") const;
  Result<std::string> dps_connection_string(
      std::string_view dps, std::string_view policy = "provisioningserviceowner") const;
  // `event_hub` empty: the namespace's rule.
  Result<std::string> event_connection_string(
      std::string_view event_space, std::string_view event_hub,
      std::string_view rule = "RootManageSharedAccessKey") const;

  // ---- What other folders contribute; call before the first request. ----
  void on_deleted(PurgeHook hook);
  // Checks a route's condition (hub/ knows the language).
  void set_route_validator(
      std::function<Status(std::string_view source, std::string_view condition)> validator);
  // Finishes deletions that a crash interrupted. Call once after the hooks are set, before serving.
  Task<Status> finish_deletions();

  // ---- Credentials and tokens ----
  // A service principal that is Owner and Digital Twins Data Owner of everything. `client_id` and
  // `secret` are generated when empty. Existing client id: already_exists.
  Task<Result<Credential>> create_admin_credential(std::string client_id = {},
                                                   std::string secret = {});
  Task<Result<Credential>> create_principal(std::string display_name,
                                            std::vector<RoleAssignment> roles,
                                            std::string client_id = {}, std::string secret = {});
  Task<Status> remove_principal(std::string client_id);

  struct IssuedToken {
    std::string token;
    std::int64_t expires_in_s;
  };
  // OAuth2 client credentials. Errors: unauthenticated (unknown client, wrong secret),
  // invalid_argument (scope).
  Result<IssuedToken> issue_token(std::string_view client_id, std::string_view secret,
                                  std::string_view scope) const;
  // `header` is the value of Authorization. Errors: unauthenticated, with the reason for the log.
  // Hot: verified tokens are remembered.
  Result<Principal> authenticate_bearer(std::string_view header, Audience audience) const;

  void on_commit(const store::CommitView& commit) override;
  void on_reopened(store::CommitVersion version) override;

 private:
  Resources(store::Store& store, Executor& home, const Clock& clock, Random& random,
            security::SecretBox box, ResourceDefaults defaults);
  class State;      // what is in memory, and how it follows the store
  class Deletions;  // purges of what is gone
  enum class Change : std::uint8_t { put, patch };

  static Task<void> reload(std::shared_ptr<State> state, store::Store& store);
  Task<Status> open_tokens();
  Task<Result<std::string>> token_key(store::Transaction& tx);
  Task<Result<bool>> stage_principal(store::Transaction& tx, const ServicePrincipal& principal);
  Task<Result<PutOutcome>> put_or_patch(ResourceId id, json::Object body, std::string if_match,
                                        Change change);
  Task<Result<std::string>> check_place(store::Transaction& tx, const ResourceId& id);
  Task<Result<json::Object>> internal_members(store::Transaction& tx, const ResourceId& id);
  Task<Result<PutOutcome>> stage_put(store::Transaction& tx, const ResourceId& asked,
                                     const json::Object& body, const std::string& if_match,
                                     Change change);
  Status stage_child(store::Transaction& tx, const PutContext& parent, const ResourceId& id,
                     const json::Object& body);
  Task<Result<std::vector<DeletedResource>>> stage_remove(store::Transaction& tx,
                                                          const ResourceId& id,
                                                          const std::string& if_match);
  std::unexpected<Error> get_error(const ResourceId& id) const;

  store::Store& store_;
  Executor& home_;
  const Clock& clock_;
  Random& random_;
  ResourceDefaults defaults_;
  std::shared_ptr<State> state_;
  std::unique_ptr<Deletions> deletions_;
  std::function<Status(std::string_view, std::string_view)> validate_route_;
  std::unique_ptr<security::TokenSigner> signer_;
  std::unique_ptr<security::TokenCache> tokens_;
};

// Verifies the SAS token of a service call against shared access policies: the policy that `skn`
// names, its keys, the expiry and the right. The caller then checks what the token is for
// (security::covers). Errors: unauthenticated; forbidden when the policy is proven and lacks the
// right. The pointer lives as long as the catalog that `policies` belongs to.
template <class Right>
Result<const Policy<Right>*> verify_policy(const std::vector<Policy<Right>>& policies,
                                           const security::SasToken& token, security::KeyForm form,
                                           Right right, TimePoint now) {
  for (const Policy<Right>& policy : policies) {
    if (!equal_ignoring_case(policy.name, token.key_name)) continue;
    auto proven = security::verify_sas(token, policy.primary_key, policy.secondary_key, form, now);
    if (!proven) return fail(std::move(proven.error()));
    if (!policy.allows(right)) return fail(Code::forbidden, "the policy lacks the right");
    return &policy;
  }
  return fail(Code::unauthenticated, "no policy has the token's key name");
}

}  // namespace doppel::resources
