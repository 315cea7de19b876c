// The part of ActivityConsumer that keeps events whose digital twin is expected but not there yet.
#include <utility>

#include <fmt/format.h>

#include "functions/activity_consumer.h"
#include "functions/api.h"

namespace doppel::functions {

Task<Status> ActivityConsumer::park(store::Transaction& tx, const store::StreamRecord& stored,
                                    DeviceId device) {
  auto already = co_await parked_for(tx, app_, source_, device);
  if (!already) co_return fail(std::move(already.error()));
  if (already->size() >= kParkedEventsMax) {
    auto& oldest = already->front();
    tx.erase(oldest.key);
    stage_letter(tx, kTelemetryFunction, oldest.sequence, std::move(oldest.event),
                 fmt::format("more than {} events waited for a digital twin that is not there",
                             kParkedEventsMax),
                 1);
    count_dead_letter();
  }
  stage_parked(tx, app_, source_, device, stored);
  co_return Status{};
}

// Lets parked events of a device take effect, keeps them parked while their twin is missing, and
// buries what waited too long.
Task<Status> ActivityConsumer::unpark(store::Transaction& tx, Effects& effects, DeviceId device) {
  auto parked = co_await parked_for(tx, app_, source_, device);
  if (!parked) co_return fail(std::move(parked.error()));
  const auto now = deps_.clock.now();
  for (auto& waiting : *parked) {
    auto outcome = co_await effects.apply(events::view(waiting.event));
    if (!outcome) co_return fail(std::move(outcome.error()));
    const bool is_late = now - waiting.enqueued >= kParkedFor;
    if (*outcome == Outcome::telemetry_parked && !is_late) continue;
    tx.erase(waiting.key);
    if (*outcome != Outcome::telemetry_parked) continue;
    stage_letter(tx, kTelemetryFunction, waiting.sequence, std::move(waiting.event),
                 "the digital twin of the device was not there for 10 minutes", 1);
    count_dead_letter();
  }
  co_return Status{};
}

// From time to time, without new events: has a twin that parked events wait for appeared, or are
// they too old?
Task<void> ActivityConsumer::look_at_parked(std::stop_token stop) {
  if (parked_.empty() || deps_.clock.steady() - parked_looked_ < kParkedLookEvery) co_return;
  parked_looked_ = deps_.clock.steady();
  const std::set<DeviceId> devices = parked_;
  for (const auto& device : devices) {
    store::Transaction tx(deps_.store);
    Effects effects(tx, context());
    auto done = co_await unpark(tx, effects, device);
    if (done) done = co_await effects.finish();
    if (!done) {
      // What cannot be done now stays parked and is looked at again.
      if (!is_transient(done.error().code)) (void)co_await settle_parked(device, stop);
      continue;
    }
    auto committed = co_await tx.commit();
    if (committed) co_await forget_if_settled(device);
  }
}

Task<void> ActivityConsumer::forget_if_settled(DeviceId device) {
  store::Transaction tx(deps_.store);
  auto left = co_await parked_for(tx, app_, source_, device);
  if (left && left->empty()) parked_.erase(device);
}

// Takes the parked events of a device one by one, each in a commit of its own, because they could
// not be taken together: the one that cannot be taken at all becomes a dead letter, not those
// behind it.
Task<Status> ActivityConsumer::settle_parked(DeviceId device, std::stop_token stop) {
  store::Transaction reading(deps_.store);
  auto parked = co_await parked_for(reading, app_, source_, device);
  if (!parked) co_return fail(std::move(parked.error()));
  for (const auto& waiting : *parked) {
    auto is_settled = co_await settle_one(waiting, stop);
    if (!is_settled) co_return fail(std::move(is_settled.error()));
    if (!*is_settled) co_return Status{};  // the twin is still missing, for the others too
  }
  co_await forget_if_settled(std::move(device));
  co_return Status{};
}

// False: its twin is not there yet.
Task<Result<bool>> ActivityConsumer::settle_one(const ParkedEvent& waiting, std::stop_token stop) {
  Duration backoff = kBackoffMin;
  for (int attempt = 1;; ++attempt) {
    auto is_settled = co_await take_parked(waiting);
    if (is_settled || is_transient(is_settled.error().code)) co_return is_settled;
    if (attempt == kAttemptsMax) {
      auto buried = co_await bury_parked(waiting, is_settled.error());
      if (!buried) co_return fail(std::move(buried.error()));
      co_return true;
    }
    if (!co_await sleep_for(backoff, stop)) co_return fail(Code::cancelled, "the server stops");
    backoff *= 2;
  }
}

Task<Result<bool>> ActivityConsumer::take_parked(const ParkedEvent& waiting) {
  store::Transaction tx(deps_.store);
  Effects effects(tx, context());
  auto outcome = co_await effects.apply(events::view(waiting.event));
  if (!outcome) co_return fail(std::move(outcome.error()));
  if (*outcome == Outcome::telemetry_parked) co_return false;
  if (auto done = co_await effects.finish(); !done) co_return fail(std::move(done.error()));
  tx.erase(waiting.key);
  auto committed = co_await tx.commit();
  if (!committed) co_return fail(std::move(committed.error()));
  co_return true;
}

Task<Status> ActivityConsumer::bury_parked(const ParkedEvent& waiting, const Error& error) {
  store::Transaction tx(deps_.store);
  tx.erase(waiting.key);
  stage_letter(tx, kTelemetryFunction, waiting.sequence, waiting.event, error.message,
               kAttemptsMax);
  auto committed = co_await tx.commit();
  if (!committed) co_return fail(std::move(committed.error()));
  report_letter(kTelemetryFunction, waiting.sequence, waiting.event, error.message);
  co_return Status{};
}

}  // namespace doppel::functions
