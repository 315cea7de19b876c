#include "server/housekeeping.h"

#include <atomic>
#include <future>
#include <utility>

#include "base/log.h"

namespace doppel::server {

Task<void> trim_log(events::EventLog& log, events::LogName name, std::uint32_t partitions,
                    Duration keep, std::vector<std::string> protected_by, std::stop_token stop) {
  for (std::uint32_t p = 0; p < partitions && !stop.stop_requested(); ++p) {
    const events::Partition partition{.log = name, .index = p};
    auto done = co_await log.apply_retention(partition, keep, protected_by);
    if (!done)
      log::warn("server.retention_failed", {{"space", name.space},
                                            {"log", name.name},
                                            {"partition", p},
                                            {"reason", done.error().message}});
  }
}

Housekeeping::Housekeeping(events::EventLog& log, const resources::Resources& resources,
                           const functions::FunctionHost& functions)
    : log_(log), resources_(resources), functions_(functions) {}
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
    co_await trim_log(log_, hub::builtin_log(hub.name), hub.partitions, hub.retention, {}, stop);
    auto consumers = functions_.consumer_names(hub.name);
    co_await trim_log(log_, hub::activity_log(hub.name), hub::kActivityPartitions,
                      kActivityRetention, std::move(consumers), stop);
  }
  for (const auto& space : catalog->event_spaces)
    for (const auto& event_hub : space.event_hubs)
      co_await trim_log(log_, {space.name, event_hub.name}, event_hub.partitions,
                        event_hub.retention, {}, stop);
}

}  // namespace doppel::server
