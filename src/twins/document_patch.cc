#include "twins/document_patch.h"

#include <errors/twins.h>
#include <fmt/core.h>

#include "json/pointer.h"

namespace doppel::twins {
namespace {

Status apply_to_object(json::Object& object, std::string_view name,
                       const PatchOperation& operation) {
  const auto found = object.find(name);
  if (operation.op == PatchOperation::Op::add) {
    object.insert_or_assign(name, operation.value);
    return {};
  }
  if (found == object.end())
    return patch_error(operation, operation.op == PatchOperation::Op::replace
                                      ? "has no value to replace; use add to set it"
                                      : "has no value to remove");
  if (operation.op == PatchOperation::Op::replace)
    found->value() = operation.value;
  else
    object.stable_erase(found);
  return {};
}

Status apply_to_array(json::Array& array, std::string_view segment,
                      const PatchOperation& operation) {
  const bool is_add = operation.op == PatchOperation::Op::add;
  const auto index = is_add && segment == "-" ? array.size() : json::parse_array_index(segment);
  if (!index || *index > array.size() || (!is_add && *index == array.size()))
    return patch_error(operation, "is not an element of the array");
  const auto place = array.begin() + static_cast<std::ptrdiff_t>(*index);
  if (is_add)
    array.insert(place, operation.value);
  else if (operation.op == PatchOperation::Op::replace)
    *place = operation.value;
  else
    array.erase(place);
  return {};
}

}  // namespace

std::unexpected<Error> patch_error(const PatchOperation& operation, std::string_view problem) {
  return fail(errors::twins::kJsonPatchInvalid,
              fmt::format("The JSON Patch provided is invalid: {} {}.", operation.path, problem));
}

Status apply_operation(json::Object& root, std::span<const std::string> segments,
                       const PatchOperation& operation) {
  if (segments.size() == 1) return apply_to_object(root, segments[0], operation);
  const auto member = root.find(segments[0]);
  json::Value* parent = member == root.end()
                            ? nullptr
                            : json::find(member->value(), segments.subspan(1, segments.size() - 2));
  if (parent == nullptr)
    return patch_error(operation, "lies within a value that is not set; set the whole value first");
  if (parent->is_object()) return apply_to_object(parent->get_object(), segments.back(), operation);
  if (parent->is_array()) return apply_to_array(parent->get_array(), segments.back(), operation);
  return patch_error(operation, "lies within a value that has no parts");
}

}  // namespace doppel::twins
