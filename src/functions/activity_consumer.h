// One built-in consumer: reads one partition of a hub's activity feed in order and lets it take
// effect on the twin graph, each event exactly once, because the checkpoint is in the commit of the
// effect.
//
// Failures: a commit that cannot be made now is tried again with back-off for as long as it takes
// (the partition waits, nothing is lost); an event that cannot be taken is tried kAttemptsMax times
// alone and then becomes a dead letter, and the partition goes on.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/task.h"
#include "events/api.h"
#include "functions/effects.h"
#include "functions/parking.h"
#include "functions/settings.h"
#include "hub/api.h"
#include "twins/api.h"

namespace doppel::functions {

inline constexpr std::size_t kBatchEventsMax = 256;
// While events keep coming they are taken this often at most, one commit for all that came
// meanwhile; the first after a pause takes effect at once.
inline constexpr Duration kGatherFor = std::chrono::milliseconds(10);
inline constexpr int kAttemptsMax = 5;
inline constexpr Duration kBackoffMin = std::chrono::milliseconds(50);
inline constexpr Duration kBackoffMax = std::chrono::seconds(10);
inline constexpr Duration kParkedLookEvery = std::chrono::seconds(1);

// Whether trying the same thing later can help without anybody changing anything.
bool is_transient(Code code);

class ActivityConsumer {
 public:
  struct Deps {
    store::Store& store;
    events::EventLog& log;
    hub::Hubs& hubs;
    twins::TwinGraphs& twins;
    const Clock& clock;
  };

  ActivityConsumer(Deps deps, std::string app, AppSettings settings, HubName hub,
                   std::uint32_t partition);

  // Runs until `stop`; on the executor of the caller, which alone uses this object.
  Task<void> run(std::stop_token stop);

  // The name under which the checkpoint is kept and which retention must not pass.
  static std::string consumer_name(std::string_view app);

  // For the operator: the next sequence number wanted, and the last failure. Any thread.
  std::uint64_t next_sequence() const { return next_.load(std::memory_order_relaxed); }

 private:
  using Batch = std::vector<store::StreamRecord>;

  Task<bool> wait_for_event(std::stop_token stop);
  Task<void> gather(std::stop_token stop);
  Task<Status> load_checkpoint();
  Task<Status> process(const Batch& batch, std::stop_token stop);
  Task<Status> process_alone(const store::StreamRecord& stored, std::stop_token stop);
  Task<Status> take(const store::StreamRecord* first, std::size_t count);
  Task<Status> park(store::Transaction& tx, const store::StreamRecord& stored, DeviceId device);
  Task<Status> unpark(store::Transaction& tx, Effects& effects, DeviceId device);
  Task<Status> bury(const store::StreamRecord& stored, const Error& error);
  Task<void> look_at_parked(std::stop_token stop);
  Task<Status> settle_parked(DeviceId device, std::stop_token stop);
  Task<Result<bool>> settle_one(const ParkedEvent& waiting, std::stop_token stop);
  Task<Result<bool>> take_parked(const ParkedEvent& waiting);
  Task<Status> bury_parked(const ParkedEvent& waiting, const Error& error);
  Task<void> forget_if_settled(DeviceId device);
  void stage_letter(store::Transaction& tx, std::string_view function,
                    store::SequenceNumber sequence, events::Event event, std::string reason,
                    std::uint32_t attempts);
  // After the commit of the letter.
  void report_letter(std::string_view function, store::SequenceNumber sequence,
                     const events::Event& event, std::string_view reason) const;
  static void count_dead_letter();
  Effects::Context context() { return {deps_.hubs, deps_.twins, settings_, hub_}; }

  Deps deps_;
  std::string app_;
  AppSettings settings_;
  HubName hub_;
  events::Partition source_;
  std::atomic<std::uint64_t> next_ = 0;
  std::set<DeviceId> parked_;  // devices with parked events, as far as committed
  SteadyTime parked_looked_{};
  SteadyTime taken_last_ = SteadyTime::min();
  bool is_behind_ = false;  // the last batch was as large as one may be
};

}  // namespace doppel::functions
