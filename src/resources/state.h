// What resources/ holds in memory: the documents, opened, and the catalog made of them. Follows
// every commit on the store's committer thread, so the catalog is never behind an acknowledgement.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "resources/api.h"
#include "resources/catalog.h"
#include "security/secrets.h"
#include "store/store.h"

namespace doppel::resources {

// Store keys of this folder. All values but guards are sealed.
std::string arm_prefix();
std::string principal_prefix();
std::string principal_key(std::string_view client_id);
std::string guard_key();  // read and written by every change, so that changes are serial
std::string token_key_key();
std::string id_scope_counter_key();
std::string name_key(std::string_view type,
                     std::string_view name);         // who has the name: an id in lower case
std::string server_name_key(std::string_view type);  // who is called like the server
std::string deletion_prefix();
std::string deletion_key(const DeletedResource& gone);

class Resources::State {
 public:
  State(security::SecretBox sealing, ResourceDefaults resource_defaults)
      : box(std::move(sealing)), defaults(std::move(resource_defaults)) {}

  // Reads everything into a fresh catalog. Commits observed meanwhile are applied on top. Errors:
  // those of the store; invalid_argument when a record does not open.
  static Task<Status> load(std::shared_ptr<State> self, store::Store& store);

  void on_commit(const store::CommitView& commit);
  void start_loading();  // from now on commits are kept for load()

  std::shared_ptr<const Catalog> catalog() const {
    return catalog_.load(std::memory_order_acquire);
  }

  std::string seal(const json::Value& value, std::string_view key) const;
  Result<json::Value> unseal(std::string_view sealed, std::string_view key) const;

  const security::SecretBox box;
  const ResourceDefaults defaults;

 private:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // nothing: erased
  };
  struct Observed {
    store::CommitVersion version;
    std::vector<Change> changes;
  };

  Status apply(const Change& change);  // with the mutex held
  void publish();                      // with the mutex held

  std::mutex mutex_;
  bool is_loading_ = true;
  std::vector<Observed> observed_;  // while loading
  std::map<std::string, std::shared_ptr<const Document>, std::less<>>
      documents_;                                       // by lower-cased id
  std::map<std::string, ServicePrincipal> principals_;  // by store key
  std::atomic<std::shared_ptr<const Catalog>> catalog_ = std::make_shared<const Catalog>();
};

}  // namespace doppel::resources
