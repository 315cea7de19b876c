// read_events DATA_DIR HUB
//
// Prints the activity log of a hub (all its telemetry and lifecycle events) from the data directory
// of a server that does not run, one JSON object a line: for each partition first its bounds, then
// its events. tests/crash/kill_server.py judges them; nothing is judged here.
#include <cstdio>
#include <string>

#include <fmt/core.h>

#include "base/clock.h"
#include "base/worker.h"
#include "events/api.h"
#include "hub/api.h"
#include "json/value.h"
#include "store/contract_testing.h"
#include "store/rocksdb/rocksdb_store.h"

namespace {

using namespace doppel;

constexpr std::size_t kEventsAtOnce = 1000;

std::string text_of(std::optional<std::string_view> value) {
  return std::string(value.value_or(""));
}

void print_event(std::uint32_t partition, const events::StoredEvent& stored) {
  const json::Value line =
      json::Object{{"partition", partition},
                   {"sequence", stored.sequence.value},
                   {"device", text_of(stored.event.annotation(hub::kConnectionDeviceId))},
                   {"source", text_of(stored.event.annotation(hub::kMessageSource))},
                   {"opType", text_of(stored.event.property(hub::kOpType))},
                   {"messageId", stored.event.message_id}};
  fmt::print("{}\n", json::write(line));
}

Status print_partition(Worker& worker, events::EventLog& log, const events::Partition& partition) {
  const auto bounds = log.bounds(partition);
  fmt::print("{{\"partition\":{},\"first\":{},\"next\":{}}}\n", partition.index, bounds.first.value,
             bounds.next.value);
  for (auto from = bounds.first; from < bounds.next;) {
    auto read = store::testing::run_on(worker, log.read(partition, from, kEventsAtOnce));
    if (!read) return fail(std::move(read.error()));
    if (read->empty()) break;  // the reader of this output sees that some are missing
    for (const auto& stored : *read) print_event(partition.index, stored);
    from = store::SequenceNumber{read->back().sequence.value + 1};
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: read_events DATA_DIR HUB\n");
    return 2;
  }
  const SystemClock clock;
  auto store = store::open_rocksdb({.directory = std::string(argv[1]) + "/store", .clock = &clock});
  if (!store) {
    fmt::print(stderr, "read_events: {}\n", store.error().message);
    return 1;
  }
  Status done;
  {
    Worker worker("read-events");
    events::EventLog log(**store, clock);
    for (std::uint32_t i = 0; i < hub::kActivityPartitions && done; ++i)
      done = print_partition(worker, log, {hub::activity_log(HubName(argv[2])), i});
  }
  (*store)->stop();
  if (!done) fmt::print(stderr, "read_events: {}\n", done.error().message);
  return done ? 0 : 1;
}
