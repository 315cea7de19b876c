#include "events/retention.h"

#include <algorithm>
#include <utility>

#include "store/transaction.h"

namespace doppel::events {
namespace {

// Of one read while sizes are added up.
constexpr std::size_t kMeasuredEvents = 1000;
constexpr std::size_t kMeasuredBytes = std::size_t{1024} * 1024;

}  // namespace

Task<Status> RetentionKeeper::apply(Partition partition, Retention retention) {
  auto done = co_await log_.apply_retention(partition, retention.keep, retention.protected_by);
  if (!done) co_return done;
  if (retention.bytes_max == 0) {
    measured_.erase(stream_name(partition));
    co_return Status();
  }
  co_return co_await apply_size(std::move(partition), std::move(retention));
}

Task<Status> RetentionKeeper::apply_size(Partition partition, Retention retention) {
  const auto name = stream_name(partition);
  const auto bounds = log_.bounds(partition);
  const Measured fresh{.generation = retention.generation,
                       .index = SizeIndex(retention.bytes_max, bounds.first)};
  auto& measured = measured_.try_emplace(name, fresh).first->second;
  SizeIndex& index = measured.index;
  if (measured.generation != retention.generation || index.bytes_max() != retention.bytes_max ||
      index.next() > bounds.next || index.next() < bounds.first)
    measured = fresh;
  index.forget_before(bounds.first);
  while (index.next() < bounds.next && !retention.stop.stop_requested()) {
    const auto records =
        co_await log_.read_records(partition, index.next(), kMeasuredEvents, kMeasuredBytes);
    if (!records) co_return fail(records.error());
    if (records->empty()) break;
    for (const auto& record : *records) index.add(record.sequence, record.record.size());
    index.fit();
  }
  auto until = index.fit();
  store::Transaction tx(log_.store());  // only read from
  for (const auto& consumer : retention.protected_by) {
    const auto checkpoint = co_await read_checkpoint(tx, consumer, partition);
    if (!checkpoint) co_return fail(checkpoint.error());
    until = std::min(until, checkpoint->value_or(SequenceNumber{}));
  }
  // Shorter than it was measured: the log was dropped meanwhile, and its numbers mean others now.
  const auto now = log_.bounds(partition);
  if (until <= now.first || now.next < index.next()) co_return Status();
  co_return co_await log_.store().trim_stream(name, until);
}

}  // namespace doppel::events
