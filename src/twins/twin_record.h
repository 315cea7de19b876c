// A digital twin's value in the store: what ties it to a device, then the document as clients see
// it.
//
//   0x01 (format)  flags  [hub device generation, each u16 little endian and its bytes: flag 0x01]
//   JSON text
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"
#include "twins/api.h"

namespace doppel::twins {

std::string encode(const DigitalTwin& twin);
// Errors: internal for what encode never writes.
Result<DigitalTwin> decode_twin(const DigitalTwinId& id, std::string_view record);

std::string encode(const Relationship& relationship);
Result<Relationship> decode_relationship(std::string_view record);

}  // namespace doppel::twins
