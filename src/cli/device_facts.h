// What a device of this server has to be told, asked from the management and provisioning APIs.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/session.h"

namespace doppel::cli {

struct DeviceFacts {
  std::string id_scope;
  std::string group_key;  // primary key of the profile's enrollment group
};

Result<DeviceFacts> read_device_facts(Session& session);

}  // namespace doppel::cli
