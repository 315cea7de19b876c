#include "json/patch.h"

#include <algorithm>
#include <string>

namespace doppel::json {
namespace {

std::optional<PatchOp> op_of(std::string_view name) {
  for (const auto op : {PatchOp::add, PatchOp::remove, PatchOp::replace, PatchOp::move,
                        PatchOp::copy, PatchOp::test}) {
    if (name == to_string(op)) return op;
  }
  return std::nullopt;
}

bool is_basic(PatchOp op) {
  return op == PatchOp::add || op == PatchOp::remove || op == PatchOp::replace;
}

std::unexpected<Error> refuse(std::size_t index, std::string_view why) {
  return fail(Code::invalid_argument,
              "operation " + std::to_string(index) + ": " + std::string(why));
}

Result<Pointer> parse_pointer_member(const Value& operation, std::string_view name,
                                     std::size_t index) {
  const auto text = find_string(operation, name);
  if (!text) return refuse(index, "it has no text member '" + std::string(name) + "'");
  auto pointer = Pointer::parse(*text);
  if (!pointer) return refuse(index, "'" + std::string(*text) + "': " + pointer.error().message);
  return pointer;
}

Result<PatchOperation> parse_operation(const Value& document, std::size_t index,
                                       const PatchPolicy& policy) {
  if (!document.is_object()) return refuse(index, "it is not an object");
  const auto name = find_string(document, "op");
  if (!name) return refuse(index, "it has no text member 'op'");
  const auto op = op_of(*name);
  if (!op) return refuse(index, "there is no operation '" + std::string(*name) + "'");
  if (policy.dialect == PatchDialect::add_replace_remove && !is_basic(*op)) {
    return refuse(index,
                  "only add, replace and remove are allowed, not '" + std::string(*name) + "'");
  }
  PatchOperation operation{.op = *op, .path = {}, .from = {}, .value = {}};
  auto path = parse_pointer_member(document, "path", index);
  if (!path) return fail(path.error());
  operation.path = std::move(*path);
  if (*op == PatchOp::move || *op == PatchOp::copy) {
    auto from = parse_pointer_member(document, "from", index);
    if (!from) return fail(from.error());
    operation.from = std::move(*from);
  }
  if (*op == PatchOp::add || *op == PatchOp::replace || *op == PatchOp::test) {
    const auto* value = find(document, "value");
    if (!value) return refuse(index, "it has no member 'value'");
    operation.value = *value;
  }
  return operation;
}

std::size_t depth_of(const Value& value) {
  std::size_t deepest = 0;
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
    return deepest + 1;
  }
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) deepest = std::max(deepest, depth_of(element));
    return deepest + 1;
  }
  return 0;
}

// About what the value takes in memory.
std::size_t size_of(const Value& value) {
  std::size_t size = sizeof(Value);
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) size += member.key().size() + size_of(member.value());
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) size += size_of(element);
  } else if (const auto* text = value.if_string()) {
    size += text->size();
  }
  return size;
}

bool is_prefix(std::span<const std::string> prefix, std::span<const std::string> path) {
  return prefix.size() < path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

// Applies operations to a document of its own. The functions return why not, or an empty Status.
class Patcher {
 public:
  Patcher(const Value& target, const PatchPolicy& policy) : document_(target), policy_(policy) {}

  Value release() { return std::move(document_); }

  Status apply(const PatchOperation& operation) {
    switch (operation.op) {
      case PatchOp::add:
        return add(operation.path, operation.value);
      case PatchOp::remove:
        return remove(operation.path);
      case PatchOp::replace:
        return replace(operation.path, operation.value);
      case PatchOp::move:
        return move(operation);
      case PatchOp::copy:
        return copy(operation);
      case PatchOp::test:
        return test(operation);
    }
    return fail(Code::internal, "an operation of no known kind");
  }

 private:
  Status add(const Pointer& path, Value value) {
    if (path.segments().size() + depth_of(value) > policy_.depth_max) {
      return fail(Code::invalid_argument,
                  "the document would be nested deeper than " + std::to_string(policy_.depth_max));
    }
    if (path.is_root()) {
      document_ = std::move(value);
      return {};
    }
    auto* parent = find(document_, path.segments().first(path.segments().size() - 1));
    if (!parent) return fail(Code::invalid_argument, "the place to add to does not exist");
    const auto& last = path.segments().back();
    if (auto* object = parent->if_object()) {
      object->insert_or_assign(last, std::move(value));
      return {};
    }
    auto* array = parent->if_array();
    if (!array) {
      return fail(Code::invalid_argument, "the place to add to is neither an object nor an array");
    }
    const auto index = last == "-" ? array->size() : parse_array_index(last);
    if (!index) return fail(Code::invalid_argument, "'" + last + "' is no index of an array");
    if (*index > array->size()) {
      return fail(Code::invalid_argument, "index " + last + " is beyond the end of the array");
    }
    array->insert(array->begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
    return {};
  }

  Status remove(const Pointer& path) {
    if (path.is_root()) {
      return fail(Code::invalid_argument, "the whole document cannot be removed");
    }
    auto* parent = find(document_, path.segments().first(path.segments().size() - 1));
    const auto& last = path.segments().back();
    if (auto* object = parent ? parent->if_object() : nullptr) {
      const auto place = object->find(last);
      if (place == object->end()) return fail(Code::invalid_argument, "the path does not exist");
      object->stable_erase(place);
      return {};
    }
    if (auto* array = parent ? parent->if_array() : nullptr) {
      const auto index = parse_array_index(last);
      if (index && *index < array->size()) {
        array->erase(array->begin() + static_cast<std::ptrdiff_t>(*index));
        return {};
      }
    }
    return fail(Code::invalid_argument, "the path does not exist");
  }

  Status replace(const Pointer& path, const Value& value) {
    auto* place = find(document_, path);
    if (!place) return fail(Code::invalid_argument, "the path does not exist; 'add' creates it");
    if (path.segments().size() + depth_of(value) > policy_.depth_max) {
      return fail(Code::invalid_argument,
                  "the document would be nested deeper than " + std::to_string(policy_.depth_max));
    }
    *place = value;
    return {};
  }

  Status move(const PatchOperation& operation) {
    const auto* source = find(document_, operation.from);
    if (!source) return no_source(operation);
    if (is_prefix(operation.from.segments(), operation.path.segments())) {
      return fail(Code::invalid_argument, "a value cannot be moved into itself");
    }
    if (operation.from == operation.path) return {};
    Value value = *source;
    if (auto removed = remove(operation.from); !removed) return removed;
    return add(operation.path, std::move(value));
  }

  Status copy(const PatchOperation& operation) {
    const auto* source = find(document_, operation.from);
    if (!source) return no_source(operation);
    copied_bytes_ += size_of(*source);
    if (copied_bytes_ > policy_.copied_bytes_max) {
      return fail(Code::too_large, "the patch copies more than " +
                                       std::to_string(policy_.copied_bytes_max) + " bytes");
    }
    return add(operation.path, *source);
  }

  Status test(const PatchOperation& operation) {
    const auto* value = find(document_, operation.path);
    if (!value) return fail(Code::precondition_failed, "the path does not exist");
    if (!equal(*value, operation.value)) {
      return fail(Code::precondition_failed, "the value there is not the expected one");
    }
    return {};
  }

  static std::unexpected<Error> no_source(const PatchOperation& operation) {
    return fail(Code::invalid_argument,
                "'from' (" + operation.from.to_string() + ") does not exist");
  }

  Value document_;
  const PatchPolicy& policy_;
  std::size_t copied_bytes_ = 0;
};

}  // namespace

std::string_view to_string(PatchOp op) {
  switch (op) {
    case PatchOp::add:
      return "add";
    case PatchOp::remove:
      return "remove";
    case PatchOp::replace:
      return "replace";
    case PatchOp::move:
      return "move";
    case PatchOp::copy:
      return "copy";
    case PatchOp::test:
      return "test";
  }
  return "?";
}

Result<std::vector<PatchOperation>> parse_patch(const Value& document, const PatchPolicy& policy) {
  const auto* array = document.if_array();
  if (!array) return fail(Code::invalid_argument, "a JSON patch is an array of operations");
  if (array->size() > policy.operations_max) {
    return fail(Code::too_large, "a JSON patch has at most " +
                                     std::to_string(policy.operations_max) + " operations");
  }
  std::vector<PatchOperation> operations;
  operations.reserve(array->size());
  for (const auto& element : *array) {
    auto operation = parse_operation(element, operations.size(), policy);
    if (!operation) return fail(operation.error());
    operations.push_back(std::move(*operation));
  }
  return operations;
}

Status apply_patch(Value& target, std::span<const PatchOperation> operations,
                   const PatchPolicy& policy) {
  Patcher patcher(target, policy);
  for (std::size_t index = 0; index < operations.size(); ++index) {
    const auto& operation = operations[index];
    if (auto applied = patcher.apply(operation); !applied) {
      return fail(applied.error().code, "operation " + std::to_string(index) + " (" +
                                            std::string(to_string(operation.op)) + " " +
                                            operation.path.to_string() +
                                            "): " + applied.error().message);
    }
  }
  target = patcher.release();
  return {};
}

}  // namespace doppel::json
