// JSON Merge Patch (RFC 7396): how device twins and ARM resources are updated.
#pragma once

#include "json/value.h"

namespace doppel::json {

// Members of `patch` that are null are removed from `target`, objects are merged, everything else
// replaces what was there. Members keep their order; new ones come last. Never fails, and the
// result is no deeper than the deeper of the two.
void merge_patch(Value& target, const Value& patch);

}  // namespace doppel::json
