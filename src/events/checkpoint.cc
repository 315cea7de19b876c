// Staging of events and of checkpoints.
#include "base/bytes.h"
#include "events/api.h"

namespace doppel::events {

void stage(store::WriteSet& changes, const Partition& partition, const Event& event) {
  changes.appends.push_back({.streams = stream_name(partition), .record = encode(event)});
}

void stage(store::Transaction& tx, const Partition& partition, const Event& event) {
  tx.append(stream_name(partition), encode(event));
}

void stage_checkpoint(store::Transaction& tx, std::string_view consumer, const Partition& partition,
                      SequenceNumber next) {
  std::string value;
  append_be(value, next.value);
  tx.put(checkpoint_key(consumer, partition), std::move(value));
}

Task<Result<std::optional<SequenceNumber>>> read_checkpoint(store::Transaction& tx,
                                                            std::string_view consumer,
                                                            const Partition& partition) {
  // Not a coroutine: `consumer` and `partition` are only looked at before the task starts.
  struct Read {
    static Task<Result<std::optional<SequenceNumber>>> at(store::Transaction& tx, std::string key) {
      auto value = co_await tx.get(std::move(key));
      if (!value) co_return fail(std::move(value.error()));
      if (!*value) co_return std::optional<SequenceNumber>{};
      if ((*value)->size() != sizeof(std::uint64_t))
        co_return fail(Code::internal, "a checkpoint is not a number");
      co_return std::optional(SequenceNumber{load_be<std::uint64_t>((*value)->data())});
    }
  };
  return Read::at(tx, checkpoint_key(consumer, partition));
}

}  // namespace doppel::events
