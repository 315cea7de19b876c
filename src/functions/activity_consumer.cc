#include "functions/activity_consumer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/metrics.h"
#include "functions/api.h"
#include "functions/dead_letters.h"
#include "functions/parking.h"

namespace doppel::functions {
namespace {

metrics::Counter& counter_of(Outcome outcome) {
  static const auto counters = [] {
    std::array<metrics::Counter*, kOutcomes> made{};
    for (std::size_t i = 0; i < kOutcomes; ++i) {
      made[i] = &metrics::counter("doppel_functions_events_total",
                                  "Events seen by the built-in functions, by outcome",
                                  {{"outcome", std::string(to_string(static_cast<Outcome>(i)))}});
    }
    return made;
  }();
  return *counters[static_cast<std::size_t>(outcome)];
}

std::string_view function_of(const events::Event& event) {
  return event.annotation(hub::kMessageSource) == hub::kSourceLifecycle ? kDeleteFunction
                                                                        : kTelemetryFunction;
}

}  // namespace

bool is_transient(Code code) {
  switch (code) {
    case Code::conflict:
    case Code::throttled:
    case Code::timeout:
    case Code::unavailable:
    case Code::cancelled:
      return true;
    case Code::invalid_argument:
    case Code::unauthenticated:
    case Code::forbidden:
    case Code::not_found:
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::too_large:
    case Code::quota_exceeded:
    case Code::unsupported:
    case Code::bad_gateway:
    case Code::internal:
      return false;
  }
  return false;
}

ActivityConsumer::ActivityConsumer(Deps deps, std::string app, AppSettings settings, HubName hub,
                                   std::uint32_t partition)
    : deps_(deps),
      app_(std::move(app)),
      settings_(std::move(settings)),
      hub_(std::move(hub)),
      source_{.log = hub::activity_log(hub_), .index = partition} {}

std::string ActivityConsumer::consumer_name(std::string_view app) {
  return fmt::format("function:{}", app);
}

Task<void> ActivityConsumer::run(std::stop_token stop) {
  Duration backoff = kBackoffMin;
  bool is_loaded = false;
  while (!stop.stop_requested()) {
    Status step;
    if (!is_loaded) {
      step = co_await load_checkpoint();
      is_loaded = step.has_value();
    }
    if (step) {
      co_await look_at_parked(stop);
      // With nothing parked there is no reason to wake up but an event.
      if (!co_await wait_for_event(stop)) continue;
      if (!is_behind_) co_await gather(stop);
      auto batch = co_await deps_.log.read_records(source_, {next_.load()}, kBatchEventsMax);
      taken_last_ = deps_.clock.steady();
      if (batch) {
        is_behind_ = batch->size() == kBatchEventsMax;
        step = co_await process(*batch, stop);
      } else {
        step = fail(std::move(batch.error()));
      }
    }
    if (step) {
      backoff = kBackoffMin;
      continue;
    }
    if (stop.stop_requested()) break;
    log::warn("functions.consumer_waits", {{"app", app_},
                                           {"hub", hub_.view()},
                                           {"partition", source_.index},
                                           {"next", next_.load()},
                                           {"reason", step.error().message}});
    co_await sleep_for(backoff, stop);
    backoff = std::min(backoff * 2, kBackoffMax);
  }
}

// True when there is one; false when it is time to look at what is parked, or to stop.
Task<bool> ActivityConsumer::wait_for_event(std::stop_token stop) {
  if (parked_.empty())
    co_return co_await deps_.log.wait_for(source_, {next_.load()}, std::move(stop));
  std::stop_source limit;
  const std::stop_callback on_stop(stop, [&limit] { limit.request_stop(); });
  Executor& home = Executor::current();
  const auto timer = home.post_after(kParkedLookEvery, [limit]() mutable { limit.request_stop(); });
  const bool is_there = co_await deps_.log.wait_for(source_, {next_.load()}, limit.get_token());
  home.cancel(timer);
  co_return is_there;
}

Task<void> ActivityConsumer::gather(std::stop_token stop) {
  if (taken_last_ == SteadyTime::min()) co_return;
  const auto since = deps_.clock.steady() - taken_last_;
  if (since < kGatherFor) co_await sleep_for(kGatherFor - since, std::move(stop));
}

Task<Status> ActivityConsumer::load_checkpoint() {
  store::Transaction tx(deps_.store);
  auto checkpoint = co_await events::read_checkpoint(tx, consumer_name(app_), source_);
  if (!checkpoint) co_return fail(std::move(checkpoint.error()));
  next_ = checkpoint->value_or(deps_.log.bounds(source_).first).value;
  auto parked = co_await parked_devices(tx, app_, source_);
  if (!parked) co_return fail(std::move(parked.error()));
  parked_ = std::set<DeviceId>(parked->begin(), parked->end());
  co_return Status{};
}

Task<Status> ActivityConsumer::process(const Batch& batch, std::stop_token stop) {
  if (batch.empty()) co_return Status{};
  auto taken = co_await take(batch.data(), batch.size());
  if (taken || is_transient(taken.error().code)) co_return taken;
  // One of them cannot be taken: find out which, without holding up the others.
  for (const auto& stored : batch) {
    if (auto alone = co_await process_alone(stored, stop); !alone) co_return alone;
  }
  co_return Status{};
}

Task<Status> ActivityConsumer::process_alone(const store::StreamRecord& stored,
                                             std::stop_token stop) {
  const auto event = events::decode_view(stored.record);
  const DeviceId device(event ? event->annotation(hub::kConnectionDeviceId).value_or("") : "");
  if (parked_.contains(device)) {
    // It may be an older event, parked, that cannot be taken: this one must not pay for it.
    if (auto settled = co_await settle_parked(device, stop); !settled) co_return settled;
  }
  Duration backoff = kBackoffMin;
  for (int attempt = 1;; ++attempt) {
    auto taken = co_await take(&stored, 1);
    if (taken || is_transient(taken.error().code)) co_return taken;
    if (attempt == kAttemptsMax) co_return co_await bury(stored, taken.error());
    if (!co_await sleep_for(backoff, stop)) co_return fail(Code::cancelled, "the server stops");
    backoff *= 2;
  }
}

// One transaction: the effects of `count` events and the checkpoint behind them.
Task<Status> ActivityConsumer::take(const store::StreamRecord* first, std::size_t count) {
  store::Transaction tx(deps_.store);
  Effects effects(tx, context());
  std::vector<Outcome> outcomes;
  std::set<DeviceId> parked = parked_;
  for (const auto* stored = first; stored != first + count; ++stored) {
    const auto event = events::decode_view(stored->record);
    if (!event) co_return fail(event.error());
    const DeviceId device(event->annotation(hub::kConnectionDeviceId).value_or(""));
    if (parked.contains(device)) {
      // Older telemetry of this device goes first.
      if (auto done = co_await unpark(tx, effects, device); !done) co_return done;
      parked.erase(device);
    }
    auto outcome = co_await effects.apply(*event);
    if (!outcome) co_return fail(std::move(outcome.error()));
    outcomes.push_back(*outcome);
    if (*outcome != Outcome::telemetry_parked) continue;
    if (auto done = co_await park(tx, *stored, device); !done) co_return done;
    parked.insert(device);
  }
  if (auto done = co_await effects.finish(); !done) co_return done;
  const store::SequenceNumber next = (first + count - 1)->sequence.next();
  events::stage_checkpoint(tx, consumer_name(app_), source_, next);
  auto committed = co_await tx.commit();
  if (!committed) co_return fail(std::move(committed.error()));
  next_ = next.value;
  parked_ = std::move(parked);
  for (const Outcome outcome : outcomes) counter_of(outcome).add();
  co_return Status{};
}

Task<Status> ActivityConsumer::bury(const store::StreamRecord& stored, const Error& error) {
  store::Transaction tx(deps_.store);
  // One that cannot be read is kept as a body of its bytes.
  const auto event = events::decode(stored.record).value_or(events::Event{.body = stored.record});
  const auto function = function_of(event);
  stage_letter(tx, function, stored.sequence, event, error.message, kAttemptsMax);
  const store::SequenceNumber next = stored.sequence.next();
  events::stage_checkpoint(tx, consumer_name(app_), source_, next);
  auto committed = co_await tx.commit();
  if (!committed) co_return fail(std::move(committed.error()));
  next_ = next.value;
  report_letter(function, stored.sequence, event, error.message);
  co_return Status{};
}

void ActivityConsumer::stage_letter(store::Transaction& tx, std::string_view function,
                                    store::SequenceNumber sequence, events::Event event,
                                    std::string reason, std::uint32_t attempts) {
  const auto now = deps_.clock.now();
  stage_dead_letter(tx, app_,
                    {.id = dead_letter_id(now, source_, sequence),
                     .function = std::string(function),
                     .source = source_,
                     .sequence = sequence,
                     .failed_at = now,
                     .reason = std::move(reason),
                     .attempts = attempts,
                     .event = std::move(event)});
}

void ActivityConsumer::report_letter(std::string_view function, store::SequenceNumber sequence,
                                     const events::Event& event, std::string_view reason) const {
  count_dead_letter();
  log::error("functions.dead_letter",
             {{"app", app_},
              {"function", function},
              {"hub", hub_.view()},
              {"device_id", event.annotation(hub::kConnectionDeviceId).value_or("")},
              {"sequence", sequence.value},
              {"reason", reason}});
}

void ActivityConsumer::count_dead_letter() {
  static auto& counter =
      metrics::counter("doppel_functions_dead_letters_total", "Events that became dead letters");
  counter.add();
}

}  // namespace doppel::functions
