// read_events DATA_DIR HUB
//
// Prints the activity log of a hub (all its telemetry and lifecycle events) from the data directory
// of a server that does not run, one JSON object a line: for each partition first its bounds, then
// its events; then each digital twin of all instances. tests/crash/kill_server.py judges them;
// nothing is judged here.
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
#include "twins/keys.h"

namespace {

using namespace doppel;

constexpr std::size_t kEventsAtOnce = 1000;
constexpr std::size_t kTwinsAtOnce = 1000;
constexpr std::size_t kTwinKeyParts = 3;  // kind, instance, twin (twins/keys.h)

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

Status print_twins(Worker& worker, store::Store& store) {
  const std::string prefix = store::key({twins::keys::kTwin});
  const std::string last = store::after_prefix(prefix);
  const auto snapshot = store.snapshot();
  for (std::string first = prefix;;) {
    auto page = store::testing::run_on(worker, snapshot->scan(first, last, kTwinsAtOnce));
    if (!page) return fail(std::move(page.error()));
    for (const auto& entry : *page) {
      const auto parts = store::split_key(entry.key);
      if (!parts || parts->size() != kTwinKeyParts)
        return fail(Code::internal, "the key of a digital twin cannot be read");
      const json::Value line = json::Object{{"twin", parts->back()}};
      fmt::print("{}\n", json::write(line));
    }
    if (page->size() < kTwinsAtOnce) return {};
    first = page->back().key + '\0';
  }
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
    if (done) done = print_twins(worker, **store);
  }
  (*store)->stop();
  if (!done) fmt::print(stderr, "read_events: {}\n", done.error().message);
  return done ? 0 : 1;
}
