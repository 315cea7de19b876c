#include "events/wire/batch_cache.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "events/wire/event_message.h"

namespace doppel::events {

EncodedBatch::EncodedBatch(const std::vector<store::StreamRecord>& records) {
  constexpr std::size_t kAnnotationBytes = 128;
  std::size_t size = 0;
  for (const auto& record : records) size += record.record.size() + kAnnotationBytes;
  bytes_.reserve(size);
  ends_.reserve(records.size());
  first_ = records.front().sequence;
  for (const auto& record : records) {
    if (record.sequence.value != first_.value + ends_.size()) break;
    if (!append_message(bytes_, record.record, record.sequence, record.enqueued))
      log::error("events.damaged_record", {{"sequence", record.sequence.value}});
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
}

std::string_view EncodedBatch::message(SequenceNumber sequence) const {
  const auto index = sequence.value - first_.value;
  check(index < ends_.size(), "the batch has the event that it is asked for");
  const std::size_t start = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(bytes_).substr(start, ends_[index] - start);
}

BatchCache::Batch BatchCache::find(const Key& key, SequenceNumber sequence) {
  const std::lock_guard lock(shared_->mutex);
  const auto partition = shared_->batches.find(key);
  if (partition == shared_->batches.end()) return nullptr;
  auto after = partition->second.upper_bound(sequence);
  if (after == partition->second.begin()) return nullptr;
  auto& place = std::prev(after)->second;
  if (!place.batch->has(sequence)) return nullptr;
  shared_->by_use.splice(shared_->by_use.end(), shared_->by_use, place.use);
  return place.batch;
}

void BatchCache::load(const Key& key, const Partition& partition, SequenceNumber from, Done done) {
  Executor& home = Executor::current();
  {
    const std::lock_guard lock(shared_->mutex);
    auto& waiters = shared_->loading[{key, from}];
    waiters.push_back({&home, std::move(done)});
    if (waiters.size() > 1) return;
  }
  spawn(read(shared_, key, partition, from), [] {});
}

Task<void> BatchCache::read(std::shared_ptr<Shared> shared, Key key, Partition partition,
                            SequenceNumber from) {
  auto records = co_await shared->log.read_records(std::move(partition), from, kBatchEventsMax,
                                                   kBatchBytesMax);
  Result<Batch> outcome = Batch();
  if (!records)
    outcome = fail(std::move(records.error()));
  else if (!records->empty())
    outcome = std::make_shared<const EncodedBatch>(*records);

  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(shared->mutex);
    if (outcome && *outcome != nullptr) shared->insert(key, *outcome);
    const auto loading = shared->loading.find({key, from});
    waiters = std::move(loading->second);
    shared->loading.erase(loading);
  }
  for (auto& waiter : waiters) {
    if (waiter.home == Executor::current_or_null())
      waiter.done(outcome);
    else
      waiter.home->post([done = std::move(waiter.done), outcome] { done(outcome); });
  }
}

void BatchCache::Shared::insert(const Key& key, Batch batch) {
  const auto partition = batches.try_emplace(key).first;
  const auto first = batch->first();
  const auto size = batch->bytes();
  const auto [place, is_new] = partition->second.try_emplace(first);
  if (!is_new) {
    // A later look at the same place sees at least as much.
    if (place->second.batch->end() >= batch->end()) return;
    bytes -= place->second.batch->bytes();
    by_use.erase(place->second.use);
  }
  place->second.use = by_use.insert(by_use.end(), {&partition->first, first});
  place->second.batch = std::move(batch);
  bytes += size;
  evict();
}

void BatchCache::Shared::evict() {
  while (bytes > bytes_max && !by_use.empty()) {
    const auto [key, first] = by_use.front();
    by_use.pop_front();
    const auto partition = batches.find(*key);
    const auto place = partition->second.find(first);
    bytes -= place->second.batch->bytes();
    partition->second.erase(place);
    if (partition->second.empty()) batches.erase(partition);
  }
}

std::size_t BatchCache::bytes() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->bytes;
}

}  // namespace doppel::events
