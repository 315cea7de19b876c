// The function host of the server: answers allocations, and runs one consumer for each function
// app, hub and partition of the activity feed, following the catalog as apps and hubs come and go.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "base/worker.h"
#include "functions/activity_consumer.h"
#include "functions/api.h"
#include "functions/dead_letters.h"
#include "resources/api.h"

namespace doppel::functions {

inline constexpr Duration kCatalogLookEvery = std::chrono::milliseconds(500);

// For the operator: how far one consumer is.
struct ConsumerState {
  std::string app;
  HubName hub;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;  // sequence number it wants
  std::uint64_t lag = 0;   // events it has not taken
};

class FunctionHost final : public Functions {
 public:
  struct Deps {
    store::Store& store;
    events::EventLog& log;
    const resources::Resources& resources;
    hub::Hubs& hubs;
    twins::TwinGraphs& twins;
    const Clock& clock;
  };

  explicit FunctionHost(Deps deps);
  ~FunctionHost() override;

  // Consumers run on a thread of their own between these two. stop() waits for them.
  void start();
  void stop();

  std::optional<std::string> builtin_allocation_app(std::string_view url) const override;
  Task<Result<AllocationAnswer>> allocate(store::Transaction& tx, std::string app,
                                          json::Value request) override;
  Task<Status> bind(store::Transaction& tx, AllocationAnswer answer,
                    twins::DeviceBinding binding) override;
  Task<Result<std::vector<DigitalTwinId>>> remove_digital_twins(store::Transaction& tx,
                                                                DigitalTwinId twin,
                                                                twins::DeviceBinding of) override;

  // Whether `code` opens `function` of `app`: the function's own keys, a host key or the master
  // key.
  static bool opens(const resources::FunctionApp& app, std::string_view function,
                    std::string_view code);

  Task<Result<std::vector<DeadLetter>>> dead_letters(std::string app, std::string function,
                                                     std::string after, std::size_t limit);
  // Lets one dead letter take effect now and removes it, in one commit.
  Task<Status> replay(std::string app, std::string function, std::string id);
  std::vector<ConsumerState> consumers() const;
  // Forgets everything kept for an app that is gone; safe to repeat.
  Task<Status> purge(std::string app);
  store::Store& store() const { return deps_.store; }

  // Names of the durable consumers of a hub's activity feed: retention never passes their
  // checkpoints.
  std::vector<std::string> consumer_names(const HubName& hub) const;

 private:
  using Key = std::tuple<std::string, HubName, std::uint32_t>;
  struct Running;

  Result<AppSettings> settings_of(std::string_view app) const;
  void follow_catalog();
  void launch(const Key& key, const AppSettings& settings);

  Deps deps_;
  mutable std::mutex mutex_;  // guards running_
  std::map<Key, std::unique_ptr<Running>> running_;
  std::vector<std::unique_ptr<Running>>
      ending_;  // told to stop, not yet done; worker's thread only
  std::stop_source stop_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace doppel::functions
