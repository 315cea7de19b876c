#include "store/transaction.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace doppel::store {

Transaction::Transaction(Store& store) : store_(store), snapshot_(store.snapshot()) {}

Task<Result<std::optional<std::string>>> Transaction::get(std::string key) {
  required_.push_back(key);
  return peek(std::move(key));
}

Task<Result<std::optional<std::string>>> Transaction::peek(std::string key) {
  if (const auto own = changes_.find(key); own != changes_.end()) co_return own->second;
  co_return co_await snapshot_->get(std::move(key));
}

Task<Result<std::vector<Entry>>> Transaction::scan(std::string first, std::string last,
                                                   std::size_t limit) {
  if (!last.empty() && last <= first) co_return std::vector<Entry>{};
  // Each own change hides at most one stored entry, so this many are enough to fill `limit`.
  const auto in_range = [&] {
    const auto begin = changes_.lower_bound(first);
    const auto end = last.empty() ? changes_.end() : changes_.lower_bound(last);
    return std::pair(begin, end);
  };
  const auto before = in_range();
  const auto own_count = static_cast<std::size_t>(std::distance(before.first, before.second));
  const auto stored_limit =
      limit > std::numeric_limits<std::size_t>::max() - own_count ? limit : limit + own_count;
  auto stored = co_await snapshot_->scan(first, last, stored_limit);
  if (!stored || own_count == 0) co_return stored;

  std::vector<Entry> merged;
  merged.reserve(std::min(limit, stored->size() + own_count));
  auto [own, own_end] = in_range();
  auto entry = stored->begin();
  while (merged.size() < limit && (own != own_end || entry != stored->end())) {
    const bool own_first = own != own_end && (entry == stored->end() || own->first <= entry->key);
    if (!own_first) {
      merged.push_back(std::move(*entry++));
      continue;
    }
    if (entry != stored->end() && entry->key == own->first) ++entry;
    if (own->second) merged.push_back(Entry{.key = own->first, .value = *own->second});
    ++own;
  }
  co_return merged;
}

Task<Result<std::vector<Entry>>> Transaction::scan_prefix(std::string prefix, std::size_t limit) {
  auto last = after_prefix(prefix);
  return scan(std::move(prefix), std::move(last), limit);
}

void Transaction::require(std::string key) { required_.push_back(std::move(key)); }

void Transaction::put(std::string key, std::string value) {
  changes_.insert_or_assign(std::move(key), std::move(value));
}

void Transaction::erase(std::string key) {
  changes_.insert_or_assign(std::move(key), std::nullopt);
}

void Transaction::append(StreamName stream, std::string record) {
  appends_.push_back(Append{.streams = stream, .record = std::move(record)});
}

Task<Result<Committed>> Transaction::commit() {
  if (changes_.empty() && appends_.empty()) {
    // All reads were of one snapshot, so they are consistent without asking anybody.
    co_return Committed{.version = read_version(), .time = {}, .appended = {}};
  }
  WriteSet set{.read_version = read_version(),
               .required = std::move(required_),
               .puts = {},
               .erases = {},
               .appends = std::move(appends_)};
  std::ranges::sort(set.required);
  const auto repeated = std::ranges::unique(set.required);
  set.required.erase(repeated.begin(), repeated.end());
  while (!changes_.empty()) {
    auto change = changes_.extract(changes_.begin());
    if (change.mapped())
      set.puts.push_back(Put{.key = std::move(change.key()), .value = std::move(*change.mapped())});
    else
      set.erases.push_back(std::move(change.key()));
  }
  co_return co_await store_.commit(std::move(set));
}

}  // namespace doppel::store
