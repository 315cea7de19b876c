// Applying JSON Patch operations below one member of a document (RFC 6902, of which the service
// takes add, replace and remove).
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "json/value.h"
#include "twins/api.h"

namespace doppel::twins {

// Changes what `segments` (at least one) name within `root`. Errors: JsonPatchInvalid, naming the
// path.
Status apply_operation(json::Object& root, std::span<const std::string> segments,
                       const PatchOperation& operation);

std::unexpected<Error> patch_error(const PatchOperation& operation, std::string_view problem);

}  // namespace doppel::twins
