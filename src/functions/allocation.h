// DpsAdtAllocationFunc: finds or makes the digital twin named after the registration ID and chooses
// the hub, as the public sample's function of that name does, inside the caller's transaction.
#pragma once

#include "base/result.h"
#include "base/task.h"
#include "functions/api.h"
#include "functions/settings.h"
#include "twins/api.h"

namespace doppel::functions {

// Errors carry the sample's texts: invalid_argument for its 400s, internal for its 500s.
Task<Result<AllocationAnswer>> allocate_digital_twin(store::Transaction& tx,
                                                     twins::TwinGraphs& twins, AppSettings settings,
                                                     json::Value request);

// The answer in the webhook's public form.
json::Value to_json(const AllocationAnswer& answer);

}  // namespace doppel::functions
