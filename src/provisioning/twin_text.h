// The initial device twin as enrollments and allocation functions write it:
// {"tags":{...},"properties":{"desired":{...}}}.
#pragma once

#include "base/result.h"
#include "hub/api.h"
#include "json/value.h"

namespace doppel::provisioning {

// Members may be missing or null (C# functions write null), and begin with a capital (a Node sample
// does). Errors: invalid_argument that names the member.
Result<hub::InitialTwin> read_twin(const json::Value& twin);
json::Object twin_json(const hub::InitialTwin& twin);

// Without what a .NET TwinCollection prints beside its content: $version, $metadata, and the trio
// version, count and metadata when all three are there.
json::Object without_twin_decoration(const json::Object& collection);

// Whether every member of `part` is in `whole` with the same value, objects member by member.
bool contains(const json::Object& whole, const json::Object& part);
// `whole` with the members of `part` put over it, objects member by member.
void merge_over(json::Object& whole, const json::Object& part);

}  // namespace doppel::provisioning
