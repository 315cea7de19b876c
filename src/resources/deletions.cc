#include "resources/deletions.h"

#include "base/log.h"
#include "json/value.h"
#include "resources/state.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kRecordsMax = 100'000;  // at one start; far more than there can be resources

Result<DeletedResource> decode(std::string_view text) {
  auto value = json::parse(text);
  if (!value) return fail(std::move(value.error()));
  const auto* kind = json::find(*value, "kind");
  const auto* partitions = json::find(*value, "partitions");
  if (kind == nullptr || partitions == nullptr || !json::is_number(*kind) ||
      !json::is_number(*partitions))
    return fail(Code::internal, "a record of a deletion is damaged");
  return DeletedResource{
      .kind = static_cast<Kind>(json::to_int64(*kind).value_or(0)),
      .name = json::get_string_or(*value, "name", ""),
      .event_space = json::get_string_or(*value, "eventSpace", ""),
      .partitions = static_cast<std::uint32_t>(json::to_int64(*partitions).value_or(0))};
}

}  // namespace

std::string Resources::Deletions::encode(const DeletedResource& gone) {
  return json::write({{"kind", static_cast<int>(gone.kind)},
                      {"name", gone.name},
                      {"eventSpace", gone.event_space},
                      {"partitions", gone.partitions}});
}

Task<Status> Resources::Deletions::purge(DeletedResource gone) {
  const std::string key = deletion_key(gone);
  {
    const std::lock_guard lock(mutex_);
    if (!running_.insert(key).second)
      co_return fail(Code::conflict, "the purge is running already");
  }
  Status outcome;
  for (const auto& hook : hooks_) {
    outcome = co_await hook(gone);
    if (!outcome) break;
  }
  if (outcome) {
    store::WriteSet changes;
    changes.erases.push_back(key);
    auto erased = co_await store_.commit(std::move(changes));
    if (!erased) outcome = fail(std::move(erased.error()));
  }
  if (!outcome)
    log::error("resources.purge_failed",
               {{"name", gone.name}, {"reason", outcome.error().message}});
  const std::lock_guard lock(mutex_);
  running_.erase(key);
  co_return outcome;
}

Task<Status> Resources::Deletions::purge_recorded(std::string record) {
  auto gone = decode(record);
  if (!gone) co_return fail(std::move(gone.error()));
  co_return co_await purge(std::move(*gone));
}

Task<Status> Resources::Deletions::purge_all() {
  const auto snapshot = store_.snapshot();
  auto records = co_await snapshot->scan(deletion_prefix(), store::after_prefix(deletion_prefix()),
                                         kRecordsMax);
  if (!records) co_return fail(std::move(records.error()));
  Status outcome;
  for (const auto& record : *records) {
    Status purged = co_await purge_recorded(record.value);
    if (!purged && outcome) outcome = std::move(purged);
  }
  co_return outcome;
}

}  // namespace doppel::resources
