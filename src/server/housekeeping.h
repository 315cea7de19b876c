// What has to be done from time to time: retention of every event log, never past what a built-in
// function still needs, and producers that do not come back.
#pragma once

#include <atomic>
#include <memory>
#include <stop_token>

#include "base/worker.h"
#include "events/api.h"
#include "events/retention.h"
#include "functions/function_host.h"
#include "resources/api.h"

namespace doppel::server {

inline constexpr Duration kRetentionEvery = std::chrono::minutes(1);
// The internal feed of a hub is there for functions; what they have taken may go after this long.
inline constexpr Duration kActivityRetention = std::chrono::hours(24);

// Applies retention to every partition of a log, until `retention.stop`; a server with thousands of
// partitions must not keep whoever stops it waiting. Failures are logged and the next one follows.
Task<void> trim_log(events::RetentionKeeper& keeper, events::LogName name, std::uint32_t partitions,
                    events::Retention retention);

// Forgets idempotent producers of every partition that were quiet for too long, until `stop`.
Task<void> forget_producers(events::EventLog& log, const Clock& clock, events::LogName name,
                            std::uint32_t partitions, std::stop_token stop);

class Housekeeping {
 public:
  Housekeeping(events::EventLog& log, const Clock& clock, const resources::Resources& resources,
               const functions::FunctionHost& functions);
  ~Housekeeping();

  void start();
  void stop();  // waits for the partition that is being trimmed

 private:
  Task<void> run(std::stop_token stop);
  Task<void> one_round(std::stop_token stop);

  events::EventLog& log_;
  events::RetentionKeeper keeper_;
  const Clock& clock_;
  const resources::Resources& resources_;
  const functions::FunctionHost& functions_;
  std::stop_source stop_;
  std::unique_ptr<Worker> worker_;
  std::shared_ptr<std::atomic<bool>> is_done_;
};

}  // namespace doppel::server
