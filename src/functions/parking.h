// Telemetry whose digital twin is expected (the device twin names it) but not there yet waits here,
// at most kParkedEventsMax events and kParkedFor a device; what does not fit or waits too long
// becomes a dead letter.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "store/transaction.h"

namespace doppel::functions {

inline constexpr std::size_t kParkedEventsMax = 100;
inline constexpr Duration kParkedFor = std::chrono::minutes(10);

struct ParkedEvent {
  std::string key;
  DeviceId device;
  store::SequenceNumber sequence;
  TimePoint enqueued;
  events::Event event;
};

void stage_parked(store::Transaction& tx, std::string_view app, const events::Partition& source,
                  const DeviceId& device, const store::StreamRecord& stored);
// The events parked for one device, oldest first.
Task<Result<std::vector<ParkedEvent>>> parked_for(store::Transaction& tx, std::string app,
                                                  events::Partition source, DeviceId device);
// Devices of a partition with anything parked, each once.
Task<Result<std::vector<DeviceId>>> parked_devices(store::Transaction& tx, std::string app,
                                                   events::Partition source);

}  // namespace doppel::functions
