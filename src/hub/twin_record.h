// The bytes of a device twin in the store (docs/wire/hub-records.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "hub/api.h"

namespace doppel::hub {

// `desired_delta`: what connected devices shall be told of the write, with its $version; empty when
// desired properties did not change. It rides in the record so that whoever follows the commits can
// push it in their order.
std::string encode_twin(const DeviceTwin& twin, std::string_view desired_delta);
Result<DeviceTwin> decode_twin(std::string_view record);

struct DesiredDelta {
  std::int64_t version = 0;
  std::string_view body;
};
// Cheap; nothing when the write was not one of desired properties.
std::optional<DesiredDelta> peek_desired_delta(std::string_view record);

// Cheap too; empty for a record that is damaged.
std::string_view peek_model_id(std::string_view record);

}  // namespace doppel::hub
