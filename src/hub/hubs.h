// The IoT hubs of this server: one object for all of them, over the store. What other folders may
// use is Hubs (api.h); hub/wire also uses what HubService adds.
//
// Any thread may call. Everything lasting is in the store; in memory are caches and the map of live
// connections, kept by following the commits. The parts lie in files of their own: identities.cc,
// device_twins.cc, authentication.cc, messages.cc, registry_query.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "hub/api.h"
#include "hub/connections.h"
#include "hub/documents.h"
#include "hub/hub_events.h"
#include "hub/identity_cache.h"
#include "hub/routing.h"
#include "resources/catalog.h"
#include "security/secrets.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::hub {

// A device token stays good this long past its `se` for a connection that is already there
// (iot-hub.md section 1.3).
inline constexpr Duration kTokenGrace = std::chrono::minutes(10);
inline constexpr std::size_t kListMax = 1000;  // devices in one answer of GET /devices

struct HubParts {
  store::Store& store;
  events::EventLog& log;
  std::function<std::shared_ptr<const resources::Catalog>()> catalog;  // cheap, never null
  security::SecretBox box;
  const Clock& clock;
  Random& random;  // any thread
};

// What a service writes into a device twin; a section left out is not touched.
struct TwinWrite {
  std::optional<json::Object> tags;
  std::optional<json::Object> desired;
  bool replace = false;  // PUT: the sections become what is given; else merge patch
};

struct RegistryStatistics {
  std::int64_t total = 0;
  std::int64_t enabled = 0;
  std::int64_t disabled = 0;
};

class HubService final : public Hubs, public store::Observer {
 public:
  explicit HubService(HubParts parts);
  ~HubService() override;

  // ---- Hubs (api.h) ----
  Task<Result<Identity>> get_identity(HubName hub, DeviceId device, ModuleId module) override;
  Task<Result<Identity>> create_identity(HubName hub, Identity wanted) override;
  Task<Result<Identity>> update_identity(HubName hub, Identity wanted,
                                         std::string if_match) override;
  Task<Status> delete_identity(HubName hub, DeviceId device, ModuleId module,
                               std::string if_match) override;
  Task<Result<EnsuredIdentity>> ensure_identity(store::Transaction& tx, HubName hub,
                                                EnsureIdentity wanted) override;
  Task<Status> remove_identity(store::Transaction& tx, HubName hub, DeviceId device) override;
  Task<Result<std::optional<Identity>>> find_identity(store::Transaction& tx, HubName hub,
                                                      DeviceId device) override;
  Task<Result<std::optional<DeviceTwin>>> find_twin(store::Transaction& tx, HubName hub,
                                                    DeviceId device) override;
  Task<Result<std::vector<DeviceId>>> list_devices(HubName hub, DeviceId after,
                                                   std::size_t limit) override;
  Task<Result<DeviceGrant>> authenticate(HubName hub, DeviceId device, ModuleId module,
                                         DeviceProof proof) override;
  using Hubs::send;
  void send(const HubName& hub, DeviceMessageView message, Executor& home, Sent done) override;

  // ---- Identities ----
  // With the first content of its device twin.
  Task<Result<Identity>> create_with_twin(HubName hub, Identity wanted,
                                          std::optional<InitialTwin> initial);
  // In order of IDs.
  Task<Result<std::vector<Identity>>> list_identities(HubName hub, std::size_t limit);
  Task<Result<std::vector<Identity>>> list_modules(HubName hub, DeviceId device);
  Task<Result<RegistryStatistics>> statistics(HubName hub);
  std::size_t connected_count(const HubName& hub) const;
  Presence presence(const HubName& hub, const DeviceId& device, const ModuleId& module) const;

  // ---- Device twins ----
  Task<Result<TwinView>> get_twin(HubName hub, DeviceId device, ModuleId module);
  // Errors: DeviceNotFound, ModuleNotFound, PreconditionFailed, ArgumentInvalid.
  Task<Result<TwinView>> update_twin(HubName hub, DeviceId device, ModuleId module, TwinWrite write,
                                     std::string if_match);
  // A device's own view: {"desired": ..., "reported": ...}, each with $version.
  Task<Result<std::string>> get_twin_for_device(HubName hub, DeviceId device, ModuleId module);
  // A device's patch; yields the new reported version. `base_version`: refused (PreconditionFailed)
  // unless that is the current one. An identity of another generation is DeviceNotFound.
  Task<Result<std::int64_t>> patch_reported(HubName hub, DeviceId device, ModuleId module,
                                            GenerationId generation, json::Object patch,
                                            std::optional<std::int64_t> base_version);

  // ---- Live connections ----
  // Registers who authenticated; an older connection of the identity is closed. Fails with
  // unauthenticated when the identity was deleted or disabled meanwhile. `model_id` is what the
  // device announced (iot-hub.md section 1.9).
  Task<Result<Connections::Ticket>> connect(HubName hub, DeviceGrant grant, std::string model_id,
                                            std::weak_ptr<DeviceConnection> connection,
                                            Executor& home);
  void disconnect(const HubName& hub, const Identity& identity, Connections::Ticket ticket);

  // ---- Queries (iot-hub.md section 13) ----
  struct QueryPage {
    std::string item_type;  // "Twin" or "Raw"
    std::vector<json::Value> items;
    std::string continuation;  // empty on the last page
  };
  Task<Result<QueryPage>> query(HubName hub, std::string text, std::size_t page_size,
                                std::string continuation);

  // ---- For resources/ ----
  // Deletes all that is kept for a hub; safe to repeat.
  Task<Status> purge(HubName hub, std::uint32_t builtin_partitions);
  // Whether a route may have this condition.
  static Status check_route(std::string_view source, std::string_view condition);

  std::shared_ptr<const resources::Catalog> catalog() const { return parts_.catalog(); }
  const Clock& clock() const { return parts_.clock; }

  void on_commit(const store::CommitView& commit) override;
  void on_reopened(store::CommitVersion version) override;

 private:
  Task<Result<std::shared_ptr<const Identity>>> find_cached(HubName hub, DeviceId device,
                                                            ModuleId module);
  Task<Result<std::optional<Identity>>> read_identity(store::Transaction& tx, HubName hub,
                                                      DeviceId device, ModuleId module);
  Task<Result<std::optional<DeviceTwin>>> read_twin(store::Transaction& tx, HubName hub,
                                                    DeviceId device, ModuleId module);
  void put_identity(store::Transaction& tx, const HubName& hub, const Identity& identity);
  Task<Status> add_identity(store::Transaction& tx, HubName hub, Identity& identity,
                            std::optional<InitialTwin> initial);
  Task<Status> check_room_for_module(store::Transaction& tx, HubName hub, DeviceId device);
  Task<Status> erase_identity(store::Transaction& tx, HubName hub, Identity identity);
  Task<Status> erase_modules(store::Transaction& tx, HubName hub, DeviceId device);
  Task<Status> reset_twin(store::Transaction& tx, HubName hub, const Identity& identity,
                          InitialTwin initial);
  Task<Status> set_model_id(HubName hub, DeviceId device, ModuleId module, std::string model_id);
  // Counts the write, stores the twin with what its device is told, stages the twin change event.
  void put_twin(store::Transaction& tx, const HubName& hub, const Identity& identity,
                DeviceTwin& twin, const TwinChangeView& change, const json::Object* desired_delta);
  void stage_event(store::Transaction& tx, const HubName& hub, RouteSource source,
                   const events::Event& event, bool to_activity);

  Result<DeviceGrant> verify_proof(const HubName& hub, const Identity& identity,
                                   const DeviceProof& proof) const;
  Result<DeviceGrant> verify_token(const HubName& hub, const Identity& identity,
                                   const std::string& text) const;

  HubParts parts_;
  IdentityCache cache_;
  Connections connections_;
  RoutingCache routing_;
};

}  // namespace doppel::hub
