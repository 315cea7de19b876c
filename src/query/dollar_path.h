// The "$..." words of routing: $body.a.b[0].c, $twin.tags.x, $connectionDeviceId.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "query/arena.h"
#include "query/row.h"

namespace doppel::query {

// `word` begins with '$'. A path without steps means undefined: "$body" alone and "$body[0]" name
// nothing (as IoT Edge has it). Errors carry no position.
Result<Path> parse_dollar_path(std::string_view word, Arena& arena);

// "a.b[0].c" into steps: names and at most one index each.
Result<std::span<const json::PathStep>> parse_steps(std::string_view text, Arena& arena);

}  // namespace doppel::query
