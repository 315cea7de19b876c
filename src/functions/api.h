// The function host: built-in functions with the behaviour of the public sample, webhooks, and
// their dead letters. Which instance and settings a function app works with stands in its app
// settings (resources/).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "hub/api.h"
#include "json/value.h"
#include "store/transaction.h"
#include "twins/api.h"

namespace doppel::functions {

inline constexpr std::string_view kAllocationFunction = "DpsAdtAllocationFunc";
inline constexpr std::string_view kTelemetryFunction = "DeviceTelemetryToTwinFunc";
inline constexpr std::string_view kDeleteFunction = "DeleteDeviceInTwinFunc";

// The answer to a custom allocation request (dps.md section 4), from a built-in function or a
// webhook.
struct AllocationAnswer {
  // Of one of the request's linkedHubs. Empty (our extension): the built-in policy chooses.
  std::string hub_host_name;
  std::optional<DeviceId> device_id;             // our extension: what the device is called there
  std::optional<hub::InitialTwin> initial_twin;  // replaces the enrollment's
  std::optional<json::Value> payload;            // for the device
  std::optional<std::pair<TwinsInstanceName, DigitalTwinId>>
      digital_twin;  // staged in the transaction
};

struct FunctionError {
  int http_status = 500;
  std::string body;  // what the function said, for the operator and errorMessage
};

class Functions {
 public:
  virtual ~Functions() = default;

  // Whether `url` is one of our own function apps' address of the allocation function, with a good
  // key: then it is called here, inside the caller's transaction, instead of over HTTPS. Returns
  // the function app's name.
  virtual std::optional<std::string> builtin_allocation_app(std::string_view url) const = 0;

  // Runs DpsAdtAllocationFunc of `app` on the webhook body `request` and stages the digital twin in
  // `tx`. A refusal of the function (400, 500 in the sample) is an Error whose message is its text
  // and whose code is invalid_argument (400) or internal (500).
  virtual Task<Result<AllocationAnswer>> allocate(store::Transaction& tx, std::string app,
                                                  json::Value request) = 0;

  // Ties the staged digital twin to the identity made for it, in the same commit.
  virtual Task<Status> bind(store::Transaction& tx, AllocationAnswer answer,
                            twins::DeviceBinding binding) = 0;

  // What DeleteDeviceInTwinFunc does about a device, staged in the caller's commit: removes its
  // digital twin, with relationships, from every instance that a function app keeps for the hub.
  // A twin that was made for another generation of the device stays. Returns the ones that went.
  virtual Task<Result<std::vector<DigitalTwinId>>> remove_digital_twins(
      store::Transaction& tx, DigitalTwinId twin, twins::DeviceBinding of) = 0;
};

}  // namespace doppel::functions
