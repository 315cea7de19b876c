// JSON Patch (RFC 6902), all or nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/pointer.h"
#include "json/value.h"

namespace doppel::json {

enum class PatchOp : std::uint8_t { add, remove, replace, move, copy, test };

std::string_view to_string(PatchOp op);

struct PatchOperation {
  PatchOp op = PatchOp::add;
  Pointer path;
  Pointer from;  // of move and copy
  Value value;   // of add, replace and test
};

enum class PatchDialect : std::uint8_t {
  rfc6902,
  add_replace_remove,  // Digital Twins knows only these three
};

struct PatchPolicy {
  PatchDialect dialect = PatchDialect::rfc6902;
  std::size_t operations_max = 1000;
  std::size_t depth_max = 32;  // of the patched document, as ParseLimits has it
  // What all `copy` operations may add together, in bytes of content: copies of copies grow fast.
  std::size_t copied_bytes_max = 1024 * 1024;
};

// Reads a patch document: an array of operations. Unknown members are ignored (RFC 6902 section 4).
// Errors (invalid_argument, too_large) name the operation by its index, from 0, and say why.
Result<std::vector<PatchOperation>> parse_patch(const Value& document,
                                                const PatchPolicy& policy = {});

// Applies the operations in order to `target`; after an error `target` is as it was. Errors:
// precondition_failed for a `test` that does not hold, invalid_argument or too_large else; the text
// names the operation and the path. Costs one deep copy of `target`.
Status apply_patch(Value& target, std::span<const PatchOperation> operations,
                   const PatchPolicy& policy = {});

}  // namespace doppel::json
