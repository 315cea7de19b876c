// The models of all instances in memory, never behind an acknowledgement: it hears of every commit
// before the committer does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "store/store.h"
#include "store/transaction.h"
#include "twins/model_set.h"

namespace doppel::twins {

// Any thread. Observes the store from construction to destruction.
class ModelCache final : public store::Observer {
 public:
  explicit ModelCache(store::Store& store);
  ~ModelCache() override;

  // Reads all models if that was not done yet, or must be done again because the store reopened.
  // Cheap otherwise.
  Task<Status> ensure_loaded();

  // What is acknowledged. Never null; empty for an instance without models.
  std::shared_ptr<const ModelSet> current(const TwinsInstanceName& instance) const;

  // The models exactly as the transaction's snapshot has them; the commit then depends on no model
  // having changed. For decisions about models themselves, where "acknowledged" is not enough:
  // another upload may be durable and not yet heard of.
  Task<Result<std::shared_ptr<const ModelSet>>> in_transaction(store::Transaction& tx,
                                                               TwinsInstanceName instance);

  void on_commit(const store::CommitView& commit) override;
  void on_reopened(store::CommitVersion version) override;

 private:
  struct Change {
    store::CommitVersion version;
    std::string instance;
    ModelChanges changes;
    std::uint64_t revision = 0;
  };
  using Sets = std::map<std::string, std::shared_ptr<const ModelSet>, std::less<>>;

  static void apply(Sets& sets, Change change);
  void observe(Change change);

  store::Store& store_;
  mutable std::mutex mutex_;  // guards what follows
  Sets sets_;
  bool is_loaded_ = false;
  std::uint64_t loads_ = 0;  // wanted, beyond the first: a load for an earlier one is thrown away
  std::vector<Change> missed_;  // heard of while not loaded
};

}  // namespace doppel::twins
