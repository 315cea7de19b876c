#include "events/wire/producers.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/time_text.h"
#include "store/transaction.h"

namespace doppel::events {
namespace {

// Sequence numbers of producers are non-negative and begin again with 0 after the largest.
constexpr std::uint32_t kSequenceMask = 0x7FFF'FFFF;
constexpr std::uint32_t kHalf = 0x4000'0000;
// Epoch, sequence number, milliseconds since 1970 (docs/wire/event-hubs.md). Before the time was
// kept there were only the first two.
constexpr std::size_t kStateBytes = 16;
constexpr std::size_t kTimelessBytes = 8;
constexpr std::uint64_t kMillisMax = 9'000'000'000'000;  // what a TimePoint can hold
constexpr std::string_view kConsumerPrefix = "$producer:";
constexpr std::size_t kScanBatch = 1000;
constexpr std::size_t kForgetBatch = 100;
constexpr int kAttempts = 8;

std::int32_t advance(std::int32_t sequence, std::size_t count) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(sequence) + count) & kSequenceMask);
}

std::uint32_t distance(std::int32_t from, std::int32_t to) {
  return (static_cast<std::uint32_t>(to) - static_cast<std::uint32_t>(from)) & kSequenceMask;
}

bool is_behind(std::int32_t sequence, std::int32_t other) {
  return sequence != other && distance(sequence, other) < kHalf;
}

// Among the checkpoints of the log, with which it is dropped.
std::string state_key(const Partition& partition, std::int64_t id) {
  return checkpoint_key(std::string(kConsumerPrefix) + std::to_string(id), partition);
}

std::string encode_state(const ProducerState& state) {
  std::string value;
  append_be(value, static_cast<std::uint32_t>(state.epoch));
  append_be(value, static_cast<std::uint32_t>(state.sequence));
  append_be(value, static_cast<std::uint64_t>(to_unix_millis(state.used)));
  return value;
}

Result<ProducerState> decode_state(std::int64_t id, const std::string& stored) {
  if (stored.size() != kStateBytes && stored.size() != kTimelessBytes)
    return fail(Code::internal, "the state of a producer is damaged");
  ProducerState state{
      .id = id,
      .epoch = static_cast<std::int32_t>(load_be<std::uint32_t>(stored.data())),
      .sequence = static_cast<std::int32_t>(load_be<std::uint32_t>(stored.data() + 4))};
  if (stored.size() == kStateBytes)
    state.used = TimePoint(std::chrono::milliseconds(
        std::min(load_be<std::uint64_t>(stored.data() + kTimelessBytes), kMillisMax)));
  return state;
}

Result<ProducerState> opened_state(std::int64_t id, const ProducerWish& wish,
                                   const std::optional<std::string>& stored) {
  ProducerState before{.id = id};
  if (stored) {
    auto known = decode_state(id, *stored);
    if (!known) return known;
    before = *known;
  }
  if (wish.epoch && *wish.epoch < before.epoch)
    return fail(Code::precondition_failed,
                "The producer was taken over by one with a newer epoch (" +
                    std::to_string(before.epoch) + ").");
  ProducerState opened{.id = id,
                       .epoch = wish.epoch.value_or(before.epoch),
                       .sequence = wish.sequence.value_or(before.sequence)};
  // The same producer after a lost answer: it knows of less than was stored, and going back to that
  // would store again what it is about to repeat.
  if (stored && opened.epoch == before.epoch && is_behind(opened.sequence, before.sequence))
    opened.sequence = before.sequence;
  return opened;
}

// A producer that may have to go.
struct Candidate {
  TimePoint used;
  std::string key;
};

// All of a partition, longest unused first. Of what does not decode the time is the beginning.
Task<Result<std::vector<Candidate>>> all_producers(store::Store& store, Partition partition) {
  // Up to the end of the last part of a key.
  std::string prefix = checkpoint_key(kConsumerPrefix, partition);
  prefix.resize(prefix.size() - store::key({""}).size());
  const std::string last = store::after_prefix(prefix);
  const auto snapshot = store.snapshot();
  std::vector<Candidate> found;
  std::string from = prefix;
  for (;;) {
    auto page = co_await snapshot->scan(from, last, kScanBatch);
    if (!page) co_return fail(std::move(page.error()));
    for (auto& entry : *page) {
      const auto state = decode_state(0, entry.value);
      found.push_back({.used = state ? state->used : TimePoint{}, .key = std::move(entry.key)});
    }
    if (page->size() < kScanBatch) break;
    from = found.back().key + '\0';
  }
  std::ranges::sort(found, {}, &Candidate::used);
  co_return found;
}

// But for those that were used after `before`.
Task<Status> forget(store::Store& store, std::vector<std::string> keys, TimePoint before) {
  store::Transaction tx(store);
  for (auto& key : keys) {
    const auto stored = co_await tx.get(key);
    if (!stored) co_return fail(stored.error());
    if (!*stored) continue;
    const auto state = decode_state(0, **stored);
    if (state && state->used > before) continue;
    tx.erase(std::move(key));
  }
  const auto committed = co_await tx.commit();
  // Conflict: one of them was used just now. All stay until the next time.
  if (committed || committed.error().code == Code::conflict) co_return Status();
  co_return fail(committed.error());
}

}  // namespace

Task<Result<ProducerState>> open_producer(store::Store& store, Random& random, TimePoint now,
                                          Partition partition, ProducerWish wish) {
  // Node's client tells its user the id as a number, to come back with.
  constexpr std::uint64_t kExactInJavaScript = 0x1F'FFFF'FFFF'FFFF;
  const auto id = wish.id.value_or(static_cast<std::int64_t>(random.next() & kExactInJavaScript));
  const auto key = state_key(partition, id);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    store::Transaction tx(store);
    const auto stored = co_await tx.get(key);
    if (!stored) co_return fail(stored.error());
    auto state = opened_state(id, wish, *stored);
    if (!state) co_return fail(std::move(state.error()));
    state->used = now;
    tx.put(key, encode_state(*state));
    const auto committed = co_await tx.commit();
    if (committed) co_return *state;
    if (committed.error().code != Code::conflict) co_return fail(committed.error());
  }
  co_return fail(Code::throttled, "Other producers keep taking the partition.");
}

Arrival judge(const ProducerState& state, const ProducerMark& mark, std::size_t count) {
  if (mark.id != state.id) return Arrival::foreign;
  if (mark.epoch != state.epoch)
    return mark.epoch < state.epoch ? Arrival::stolen : Arrival::foreign;
  const auto ahead = distance(advance(state.sequence, 1), mark.sequence);
  if (ahead == 0) return Arrival::next;
  // All of it was there before, or it is neither the next one nor a repetition.
  const auto last = advance(mark.sequence, count - 1);
  return ahead >= kHalf && distance(last, state.sequence) < kHalf ? Arrival::repeated
                                                                  : Arrival::out_of_order;
}

Task<Result<Arrival>> append_produced(store::Store& store, TimePoint now, Partition partition,
                                      std::int64_t id, ProducerMark mark,
                                      std::vector<std::string> records) {
  const auto key = state_key(partition, id);
  const store::StreamName stream = stream_name(partition);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    store::Transaction tx(store);
    const auto stored = co_await tx.get(key);
    if (!stored) co_return fail(stored.error());
    // It was quiet for too long, or the log was dropped under it.
    if (!*stored) co_return Arrival::forgotten;
    auto state = decode_state(id, **stored);
    if (!state) co_return fail(std::move(state.error()));
    const auto arrival = judge(*state, mark, records.size());
    if (arrival != Arrival::next) co_return arrival;
    state->sequence = advance(state->sequence, records.size());
    state->used = now;
    tx.put(key, encode_state(*state));
    for (const auto& record : records) tx.append(stream, record);
    const auto committed = co_await tx.commit();
    if (committed) co_return Arrival::next;
    if (committed.error().code != Code::conflict) co_return fail(committed.error());
  }
  co_return fail(Code::throttled, "Other producers keep taking the partition.");
}

Task<Status> forget_idle_producers(store::Store& store, TimePoint now, Partition partition,
                                   std::size_t producers_max) {
  auto all = co_await all_producers(store, partition);
  if (!all) co_return fail(std::move(all.error()));
  const auto surplus = all->size() - std::min(all->size(), producers_max);
  std::size_t count = 0;
  while (count < all->size() && (count < surplus || (*all)[count].used <= now - kProducerKept))
    ++count;
  for (std::size_t i = 0; i < count;) {
    std::vector<std::string> keys;
    const auto before = (*all)[std::min(i + kForgetBatch, count) - 1].used;
    for (; i < count && keys.size() < kForgetBatch; ++i) keys.push_back(std::move((*all)[i].key));
    auto forgotten = co_await forget(store, std::move(keys), before);
    if (!forgotten) co_return forgotten;
  }
  co_return Status();
}

}  // namespace doppel::events
