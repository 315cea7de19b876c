// Read, decide, stage, commit: optimistic and serializable over the keys that were read.
//
//   auto made = co_await transact<Device>(store, [&](Transaction& tx) -> Task<Result<Device>> { ...
//   });
//
// Services pass one Transaction around to put their parts of one commit together: the identity of
// hub/, the twin of twins/, the record of provisioning/ and the lifecycle event of events/ enter
// the store at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "store/store.h"

namespace doppel::store {

// One task's, never shared. Not movable: others hold references while they stage.
class Transaction {
 public:
  explicit Transaction(Store& store);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // The value as this transaction has it (its own puts and erases first). Makes the commit depend
  // on the key.
  Task<Result<std::optional<std::string>>> get(std::string key);
  // The same without the dependence: for hints and listings whose change meanwhile would not
  // matter.
  Task<Result<std::optional<std::string>>> peek(std::string key);
  // As Snapshot::scan with own changes merged in; no dependence. Whoever needs "none was added
  // meanwhile" puts a guard key that every adder writes, and gets it.
  Task<Result<std::vector<Entry>>> scan(std::string first, std::string last, std::size_t limit);
  Task<Result<std::vector<Entry>>> scan_prefix(std::string prefix, std::size_t limit);

  void require(std::string key);
  void put(std::string key, std::string value);
  void erase(std::string key);
  void append(StreamName stream, std::string record);

  // Ends the transaction; nothing may be called after it. Nothing staged: succeeds without a
  // commit.
  Task<Result<Committed>> commit();

  Store& store() { return store_; }
  CommitVersion read_version() const { return snapshot_->version(); }

 private:
  Store& store_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<std::string, std::optional<std::string>> changes_;  // nothing: erased
  std::vector<Append> appends_;
  std::vector<std::string> required_;
};

inline constexpr int kTransactAttemptsMax = 32;

// Runs `body` on a fresh Transaction and commits it, again from the start whenever another commit
// won, at most kTransactAttemptsMax times (then: conflict). An error of `body` ends it without a
// commit. `body` may run several times, so it must have no effects but its staging. `body` is kept
// alive by this task. `done`, if given, outlives the task and gets what the commit returned (no
// time in it when nothing was staged).
template <class T>
Task<Result<T>> transact(Store& store, std::function<Task<Result<T>>(Transaction&)> body,
                         Committed* done = nullptr) {
  for (int attempt = 0; attempt < kTransactAttemptsMax; ++attempt) {
    Transaction tx(store);
    auto outcome = co_await body(tx);
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    auto committed = co_await tx.commit();
    if (committed) {
      if (done != nullptr) *done = *std::move(committed);
      co_return outcome;
    }
    if (committed.error().code != Code::conflict)
      co_return std::unexpected(std::move(committed.error()));
  }
  co_return fail(Code::conflict, "other commits kept winning; try again");
}

}  // namespace doppel::store
