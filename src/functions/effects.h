// What the two event-driven built-in functions do to the twin graph, for a batch of a hub's
// activity feed, inside one transaction: DeviceTelemetryToTwinFunc and DeleteDeviceInTwinFunc.
//
// Telemetry of one batch is folded per digital twin, so that a busy device costs one patch a batch;
// a deletion first settles what came before it. One Effects object lives for one transaction.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "functions/settings.h"
#include "hub/api.h"
#include "store/transaction.h"
#include "twins/api.h"

namespace doppel::functions {

// What became of one event, for the counters.
enum class Outcome : std::uint8_t {
  telemetry_applied,
  telemetry_without_twin,       // the device has no digital twin and expects none
  telemetry_without_property,   // nothing in the message fits a property of the model, or it is no
                                // JSON object
  telemetry_of_earlier_device,  // the digital twin was made for another generation
  telemetry_parked,             // the digital twin is expected but not there yet
  twin_deleted,
  twin_kept,  // the deletion was of another generation than the twin's
  no_twin_to_delete,
  ignored,  // events of other kinds
};
inline constexpr std::size_t kOutcomes = 9;
std::string_view to_string(Outcome outcome);

class Effects {
 public:
  struct Context {
    hub::Hubs& hubs;
    twins::TwinGraphs& twins;
    const AppSettings& settings;
    HubName hub;
  };

  Effects(store::Transaction& tx, Context context) : tx_(tx), context_(std::move(context)) {}

  // Takes one event. Only telemetry_parked leaves it to the caller to keep the event.
  Task<Result<Outcome>> apply(const events::EventView& event);
  // Stages what is still folded. Call before the commit.
  Task<Status> finish();

 private:
  // What is known of one device's digital twin within the transaction.
  struct Target {
    DigitalTwinId twin_id;
    bool is_expected = false;  // the device twin names it
    bool exists = false;
    Dtmi model;
    std::optional<twins::DeviceBinding> made_for;
    std::map<std::string, json::Value> pending;  // property -> newest value
  };

  Task<Result<Outcome>> apply_telemetry(const events::EventView& event, DeviceId device);
  Task<Result<Outcome>> apply_delete(const events::EventView& event, DeviceId device);
  Task<Result<Target*>> target_of(DeviceId device);
  Task<Status> settle(Target& target);

  store::Transaction& tx_;
  Context context_;
  std::map<DeviceId, Target> targets_;
};

}  // namespace doppel::functions
