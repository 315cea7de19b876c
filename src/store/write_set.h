// The limits of store.h, applied.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "store/store.h"

namespace doppel::store {

// About the memory that `changes` takes while it waits; too_large if the set, or something in it,
// is beyond its limit.
Result<std::size_t> measure(const WriteSet& changes);

}  // namespace doppel::store
