#include "resources/state.h"

#include "base/check.h"
#include "base/encoding.h"
#include "resources/catalog_builder.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kScanPage = 1000;  // entries

// "/subscriptions/s/resourcegroups/g..." of a key that ResourceId::store_key() made.
std::optional<std::string> id_of(std::string_view key) {
  const auto parts = store::split_key(key);
  if (!parts || parts->size() < 2) return std::nullopt;
  std::string id;
  for (std::size_t i = 1; i < parts->size(); ++i) id.append("/").append((*parts)[i]);
  return id;
}

ServicePrincipal principal_of(const json::Value& body) {
  ServicePrincipal principal{.client_id = json::get_string_or(body, "clientId", ""),
                             .object_id = json::get_string_or(body, "objectId", ""),
                             .display_name = json::get_string_or(body, "displayName", ""),
                             .secret_hash = json::get_string_or(body, "secretHash", ""),
                             .roles = {}};
  if (const auto* roles = json::find(body, "roles"); roles != nullptr && roles->is_array()) {
    for (const auto& role : roles->get_array())
      principal.roles.push_back({.role = json::get_string_or(role, "role", ""),
                                 .scope = json::get_string_or(role, "scope", "")});
  }
  return principal;
}

}  // namespace

std::string arm_prefix() { return store::key({"arm"}); }
std::string principal_prefix() { return store::key({"principal"}); }
std::string principal_key(std::string_view client_id) {
  return store::key({"principal", to_lower(client_id)});
}
std::string guard_key() { return store::key({"arm-guard"}); }
std::string token_key_key() { return store::key({"arm-token-key"}); }
std::string id_scope_counter_key() { return store::key({"arm-id-scopes"}); }
std::string name_key(std::string_view type, std::string_view name) {
  return store::key({"arm-name", to_lower(type), to_lower(name)});
}
std::string server_name_key(std::string_view type) {
  return store::key({"arm-server-name", to_lower(type)});
}
std::string deletion_prefix() { return store::key({"arm-deleted"}); }
std::string deletion_key(const DeletedResource& gone) {
  return store::key({"arm-deleted", std::to_string(static_cast<int>(gone.kind)),
                     to_lower(gone.event_space), to_lower(gone.name)});
}

std::string Resources::State::seal(const json::Value& value, std::string_view key) const {
  return box.seal(json::write(value), key);
}

Result<json::Value> Resources::State::unseal(std::string_view sealed, std::string_view key) const {
  auto plain = box.open(sealed, key);
  if (!plain) return fail(std::move(plain.error()));
  return json::parse(*plain);
}

Status Resources::State::apply(const Change& change) {
  if (change.key.starts_with(principal_prefix())) {
    if (!change.value) {
      principals_.erase(change.key);
      return {};
    }
    auto body = unseal(*change.value, change.key);
    if (!body) return fail(std::move(body.error()));
    principals_[change.key] = principal_of(*body);
    return {};
  }
  const auto id = id_of(change.key);
  if (!id) return fail(Code::internal, "a resource's key is not one");
  if (!change.value) {
    documents_.erase(*id);
    return {};
  }
  auto body = unseal(*change.value, change.key);
  if (!body) return fail(std::move(body.error()));
  Document document{.id = json::get_string_or(*body, "id", ""),
                    .type = json::get_string_or(*body, "type", ""),
                    .body = std::move(*body)};
  documents_[*id] = std::make_shared<const Document>(std::move(document));
  return {};
}

void Resources::State::publish() {
  auto made = std::make_shared<Catalog>();
  made->documents = documents_;
  for (const auto& [key, principal] : principals_) made->principals.push_back(principal);
  build_views(*made, defaults);
  catalog_.store(std::move(made), std::memory_order_release);
}

void Resources::State::on_commit(const store::CommitView& commit) {
  static const std::string arm = arm_prefix();
  static const std::string principals = principal_prefix();
  const auto is_ours = [](std::string_view key) {
    return key.starts_with(arm) || key.starts_with(principals);
  };

  std::vector<Change> changes;
  for (const auto& put : commit.puts) {
    if (is_ours(put.key)) changes.push_back({.key = put.key, .value = put.value});
  }
  for (const auto& erased : commit.erases) {
    if (is_ours(erased)) changes.push_back({.key = erased, .value = std::nullopt});
  }
  if (changes.empty()) return;

  const std::lock_guard lock(mutex_);
  if (is_loading_) {
    observed_.push_back({.version = commit.version, .changes = std::move(changes)});
    return;
  }
  // We sealed and wrote these ourselves, in this process.
  for (const auto& change : changes)
    check(apply(change).has_value(), "a record that was just sealed opens");
  publish();
}

void Resources::State::start_loading() {
  const std::lock_guard lock(mutex_);
  is_loading_ = true;
  observed_.clear();
}

Task<Status> Resources::State::load(std::shared_ptr<State> self, store::Store& store) {
  const auto snapshot = store.snapshot();
  std::vector<Change> found;
  for (const auto& prefix : {arm_prefix(), principal_prefix()}) {
    std::string first = prefix;
    for (;;) {
      auto page = co_await snapshot->scan(first, store::after_prefix(prefix), kScanPage);
      if (!page) co_return fail(std::move(page.error()));
      for (auto& entry : *page)
        found.push_back({.key = entry.key, .value = std::move(entry.value)});
      if (page->size() < kScanPage) break;
      first = page->back().key + '\0';
    }
  }

  const std::lock_guard lock(self->mutex_);
  self->documents_.clear();
  self->principals_.clear();
  for (const auto& change : found) {
    if (auto applied = self->apply(change); !applied) co_return applied;
  }
  for (const auto& commit : self->observed_) {
    if (commit.version <= snapshot->version()) continue;
    for (const auto& change : commit.changes) {
      if (auto applied = self->apply(change); !applied) co_return applied;
    }
  }
  self->observed_.clear();
  self->is_loading_ = false;
  self->publish();
  co_return Status{};
}

}  // namespace doppel::resources
