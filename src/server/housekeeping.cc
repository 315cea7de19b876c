#include "server/housekeeping.h"

#include <string_view>
#include <utility>

#include "base/log.h"
#include "events/wire/producers.h"
#include "resources/event_limits.h"

namespace doppel::server {

namespace {

void warn(std::string_view event, const events::Partition& partition, const Error& error) {
  log::warn(event, {{"space", partition.log.space},
                    {"log", partition.log.name},
                    {"partition", partition.index},
                    {"reason", error.message}});
}

}  // namespace

Task<void> trim_log(events::RetentionKeeper& keeper, events::LogName name, std::uint32_t partitions,
                    events::Retention retention) {
  for (std::uint32_t p = 0; p < partitions && !retention.stop.stop_requested(); ++p) {
    const events::Partition partition{.log = name, .index = p};
    const auto done = co_await keeper.apply(partition, retention);
    if (!done) warn("server.retention_failed", partition, done.error());
  }
}

Task<void> forget_producers(events::EventLog& log, const Clock& clock, events::LogName name,
                            std::uint32_t partitions, std::stop_token stop) {
  for (std::uint32_t p = 0; p < partitions && !stop.stop_requested(); ++p) {
    const events::Partition partition{.log = name, .index = p};
    const auto done = co_await events::forget_idle_producers(log.store(), clock.now(), partition);
    if (!done) warn("server.producers_not_forgotten", partition, done.error());
  }
}

Housekeeping::Housekeeping(events::EventLog& log, const Clock& clock,
                           const resources::Resources& resources,
                           const functions::FunctionHost& functions)
    : log_(log), keeper_(log), clock_(clock), resources_(resources), functions_(functions) {}
Housekeeping::~Housekeeping() { stop(); }

void Housekeeping::start() {
  worker_ = std::make_unique<Worker>("housekeeping");
  is_done_ = std::make_shared<std::atomic<bool>>(false);
  worker_->post([this] {
    spawn(run(stop_.get_token()), [done = is_done_] {
      done->store(true);
      done->notify_all();
    });
  });
}

void Housekeeping::stop() {
  if (worker_ == nullptr) return;
  stop_.request_stop();
  is_done_->wait(false);
  worker_.reset();
}

Task<void> Housekeeping::run(std::stop_token stop) {
  while (co_await sleep_for(kRetentionEvery, stop)) co_await one_round(stop);
}

Task<void> Housekeeping::one_round(std::stop_token stop) {
  const auto catalog = resources_.catalog();
  for (const auto& hub : catalog->hubs) {
    const events::Retention kept{.keep = hub.retention, .stop = stop};
    co_await trim_log(keeper_, hub::builtin_log(hub.name), hub.partitions, kept);
    const events::Retention needed{.keep = kActivityRetention,
                                   .protected_by = functions_.consumer_names(hub.name),
                                   .stop = stop};
    co_await trim_log(keeper_, hub::activity_log(hub.name), hub::kActivityPartitions, needed);
  }
  for (const auto& space : catalog->event_spaces) {
    for (const auto& event_hub : space.event_hubs) {
      const events::LogName name{space.name, event_hub.name};
      const events::Retention kept{
          .keep = event_hub.retention,
          .bytes_max = resources::retention_bytes_of(*catalog, space, event_hub),
          .generation = event_hub.generation,
          .stop = stop};
      co_await trim_log(keeper_, name, event_hub.partitions, kept);
      co_await forget_producers(log_, clock_, name, event_hub.partitions, stop);
    }
  }
}

}  // namespace doppel::server
