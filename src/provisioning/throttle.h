// The rates that an instance of DPS allows, in Azure's two kinds (dps.md section 8): operations of
// the service API and registrations of devices, per minute. Off unless the resource says otherwise
// ("limits" in its properties; docs/concepts/provisioning.md). Polls have a limit of their own, per
// device (operations.h).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "resources/catalog.h"

namespace doppel::provisioning {

enum class Metered : std::uint8_t { service_operation, registration };

// Token buckets: what was not used for a minute is there at once, never more. Any thread.
class Throttle {
 public:
  explicit Throttle(const Clock& clock) : clock_(clock) {}

  // Takes one, and counts it. Errors: throttled.
  Status take(const resources::Dps& instance, Metered kind);

 private:
  struct Bucket {
    double tokens = 0;
    SteadyTime filled{};
    std::int32_t limit = 0;  // per minute, as it was then
  };

  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // of instances with limits only
};

}  // namespace doppel::provisioning
