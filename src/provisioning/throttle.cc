#include "provisioning/throttle.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/metrics.h"
#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kBucketsMax = 10'000;  // of instances long gone, too

metrics::Counter& counter(Metered kind, bool is_throttled) {
  constexpr std::string_view kTaken = "doppel_provisioning_operations_total";
  constexpr std::string_view kTakenHelp = "Operations that count against an instance's limits";
  constexpr std::string_view kRefused = "doppel_provisioning_throttled_total";
  constexpr std::string_view kRefusedHelp = "Operations refused by an instance's limits";
  static metrics::Counter& service = metrics::counter(kTaken, kTakenHelp, {{"kind", "service"}});
  static metrics::Counter& registration =
      metrics::counter(kTaken, kTakenHelp, {{"kind", "registration"}});
  static metrics::Counter& service_refused =
      metrics::counter(kRefused, kRefusedHelp, {{"kind", "service"}});
  static metrics::Counter& registration_refused =
      metrics::counter(kRefused, kRefusedHelp, {{"kind", "registration"}});
  if (kind == Metered::service_operation) return is_throttled ? service_refused : service;
  return is_throttled ? registration_refused : registration;
}

}  // namespace

Status Throttle::take(const resources::Dps& instance, Metered kind) {
  const std::int32_t limit = kind == Metered::service_operation ? instance.operations_per_minute
                                                                : instance.registrations_per_minute;
  if (limit > 0) {
    const std::scoped_lock lock(mutex_);
    if (buckets_.size() >= kBucketsMax) buckets_.clear();
    Bucket& bucket =
        buckets_[to_lower(instance.name) + (kind == Metered::service_operation ? "/s" : "/r")];
    const SteadyTime now = clock_.steady();
    if (bucket.limit != limit) {
      bucket = {.tokens = static_cast<double>(limit), .filled = now, .limit = limit};
    }
    const double minutes =
        std::chrono::duration<double, std::ratio<60>>(now - bucket.filled).count();
    bucket.tokens = std::min<double>(limit, bucket.tokens + minutes * limit);
    bucket.filled = now;
    if (bucket.tokens < 1) {
      counter(kind, true).add();
      return fail(errors::dps::kThrottled);
    }
    bucket.tokens -= 1;
  }
  counter(kind, false).add();
  return {};
}

}  // namespace doppel::provisioning
