#include "twins/model_cache.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "twins/keys.h"

namespace doppel::twins {
namespace {

// Models read from the store at a time.
constexpr std::size_t kScanBatch = 500;

std::uint64_t parse_revision(std::string_view text) {
  std::uint64_t revision = 0;
  std::from_chars(text.data(), text.data() + text.size(), revision);
  return revision;
}

// The parts of a key of models after its kind, or nothing for any other key.
std::optional<std::vector<std::string>> parts_after(std::string_view kind_prefix,
                                                    std::string_view key) {
  if (!key.starts_with(kind_prefix)) return std::nullopt;
  auto parts = store::split_key(key);
  if (parts) parts->erase(parts->begin());
  return parts;
}

const std::string& model_prefix() {
  static const std::string prefix = store::key({keys::kModel});
  return prefix;
}
const std::string& revision_prefix() {
  static const std::string prefix = store::key({keys::kModelRevision});
  return prefix;
}

Task<Result<ModelChanges>> read_models(const store::Snapshot& snapshot, std::string prefix,
                                       std::vector<std::string>* instances) {
  ModelChanges all;
  std::string from = prefix;
  const auto last = store::after_prefix(prefix);
  for (;;) {
    auto entries = co_await snapshot.scan(from, last, kScanBatch);
    if (!entries) co_return fail(std::move(entries.error()));
    for (const auto& entry : *entries) {
      auto record = decode_model(entry.value);
      if (!record) co_return fail(std::move(record.error()));
      all.written.push_back(std::move(*record));
      if (instances != nullptr)
        instances->push_back(parts_after(model_prefix(), entry.key).value().at(0));
    }
    if (entries->size() < kScanBatch) co_return all;
    from = entries->back().key + '\0';
  }
}

// The sets of all instances as `snapshot` has them.
Task<Result<std::map<std::string, std::shared_ptr<const ModelSet>, std::less<>>>> read_sets(
    const store::Snapshot& snapshot) {
  std::vector<std::string> instances;
  auto models = co_await read_models(snapshot, model_prefix(), &instances);
  if (!models) co_return fail(std::move(models.error()));
  auto revisions = co_await snapshot.scan(revision_prefix(), store::after_prefix(revision_prefix()),
                                          std::numeric_limits<std::size_t>::max());
  if (!revisions) co_return fail(std::move(revisions.error()));

  std::map<std::string, ModelChanges> by_instance;
  for (std::size_t i = 0; i < instances.size(); ++i)
    by_instance[instances[i]].written.push_back(std::move(models->written[i]));
  std::map<std::string, std::shared_ptr<const ModelSet>, std::less<>> sets;
  for (const auto& entry : *revisions) {
    const auto instance = parts_after(revision_prefix(), entry.key).value().at(0);
    sets[instance] = ModelSet{}.with(by_instance[instance], parse_revision(entry.value));
  }
  co_return sets;
}

}  // namespace

ModelCache::ModelCache(store::Store& store) : store_(store) { store_.add_observer(*this); }

ModelCache::~ModelCache() { store_.remove_observer(*this); }

Task<Status> ModelCache::ensure_loaded() {
  for (;;) {
    std::uint64_t load = 0;
    {
      const std::lock_guard lock(mutex_);
      if (is_loaded_) co_return Status{};
      load = loads_;
    }
    // Whatever was heard of before this snapshot was taken is in it; the rest is in missed_.
    const auto snapshot = store_.snapshot();
    auto sets = co_await read_sets(*snapshot);
    if (!sets) co_return fail(std::move(sets.error()));
    const std::lock_guard lock(mutex_);
    if (is_loaded_) co_return Status{};  // another task was faster
    if (load != loads_) continue;        // the store reopened meanwhile
    for (auto& change : missed_)
      if (change.version > snapshot->version()) apply(*sets, std::move(change));
    missed_.clear();
    sets_ = std::move(*sets);
    is_loaded_ = true;
    co_return Status{};
  }
}

std::shared_ptr<const ModelSet> ModelCache::current(const TwinsInstanceName& instance) const {
  static const auto none = std::make_shared<const ModelSet>();
  const std::lock_guard lock(mutex_);
  const auto found = sets_.find(instance.view());
  return found == sets_.end() ? none : found->second;
}

Task<Result<std::shared_ptr<const ModelSet>>> ModelCache::in_transaction(
    store::Transaction& tx, TwinsInstanceName instance) {
  auto loaded = co_await ensure_loaded();
  if (!loaded) co_return fail(std::move(loaded.error()));
  auto text = co_await tx.get(keys::model_revision(instance));
  if (!text) co_return fail(std::move(text.error()));
  const auto revision = *text ? parse_revision(**text) : 0;
  auto cached = current(instance);
  if (cached->revision() == revision) co_return cached;
  auto entries =
      co_await tx.scan_prefix(keys::models(instance), std::numeric_limits<std::size_t>::max());
  if (!entries) co_return fail(std::move(entries.error()));
  ModelChanges changes;
  for (const auto& entry : *entries) {
    auto record = decode_model(entry.value);
    if (!record) co_return fail(std::move(record.error()));
    changes.written.push_back(std::move(*record));
  }
  co_return ModelSet{}.with(changes, revision);
}

void ModelCache::apply(Sets& sets, Change change) {
  auto& set = sets[change.instance];
  if (!set) set = std::make_shared<const ModelSet>();
  set = set->with(change.changes, change.revision);
}

void ModelCache::observe(Change change) {
  // Compiled outside the lock, so that no reader waits for it. Only this thread, the committer's,
  // changes a loaded cache; if a load came between, the change is made again on what it brought.
  std::shared_ptr<const ModelSet> base;
  {
    const std::lock_guard lock(mutex_);
    if (!is_loaded_) {
      missed_.push_back(std::move(change));
      return;
    }
    const auto found = sets_.find(change.instance);
    base = found == sets_.end() ? std::make_shared<const ModelSet>() : found->second;
  }
  auto next = base->with(change.changes, change.revision);
  const std::lock_guard lock(mutex_);
  auto& set = sets_[change.instance];
  if (!set || set == base)
    set = std::move(next);
  else
    apply(sets_, std::move(change));
}

void ModelCache::on_commit(const store::CommitView& commit) {
  std::optional<Change> change;
  const auto of_instance = [&](std::string instance) -> Change& {
    // One commit changes the models of one instance (twin_service_models.cc).
    if (!change)
      change = Change{.version = commit.version, .instance = std::move(instance), .changes = {}};
    return *change;
  };
  for (const auto& put : commit.puts) {
    if (auto parts = parts_after(model_prefix(), put.key)) {
      auto record = decode_model(put.value);
      if (record)
        of_instance(std::move(parts->at(0))).changes.written.push_back(std::move(*record));
      else
        log::error("twins.stored_model_unreadable",
                   {{"model", parts->at(1)}, {"reason", record.error().message}});
    } else if (auto revision = parts_after(revision_prefix(), put.key)) {
      of_instance(std::move(revision->at(0))).revision = parse_revision(put.value);
    }
  }
  for (const auto& key : commit.erases) {
    if (auto parts = parts_after(model_prefix(), key))
      of_instance(std::move(parts->at(0))).changes.erased.push_back(std::move(parts->at(1)));
    else if (auto revision = parts_after(revision_prefix(), key))
      of_instance(std::move(revision->at(0))).revision = 0;
  }
  if (change) observe(std::move(*change));
}

void ModelCache::on_reopened(store::CommitVersion) {
  // What is cached stays in use until the reload; it can only lack changes that nobody was told of.
  const std::lock_guard lock(mutex_);
  is_loaded_ = false;
  ++loads_;
  missed_.clear();
}

}  // namespace doppel::twins
