// Makes the typed views of a Catalog from its documents.
#pragma once

#include <memory>

#include "resources/api.h"
#include "resources/catalog.h"

namespace doppel::resources {

// Fills everything but `documents` and `principals`, which the caller has put in place, and calls
// finish().
void build_views(Catalog& catalog, const ResourceDefaults& defaults);

// ---- What a document shows of the server itself ----

bool has_server_name(const json::Value& body);
std::uint64_t generation_of(const json::Value& body);

}  // namespace doppel::resources
