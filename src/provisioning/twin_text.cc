#include "provisioning/twin_text.h"

namespace doppel::provisioning {
namespace {

// As deep as IoT Hub lets twins be; deeper documents never reach this point, since the parser of
// bodies has a limit too. Protects the recursion below whatever is stored.
constexpr int kDepthMax = 32;

Result<json::Object> read_collection(const json::Value* member, std::string_view name) {
  if (member == nullptr || member->is_null()) return json::Object();
  if (!member->is_object()) {
    return fail(Code::invalid_argument, std::string(name) + " must be an object");
  }
  return without_twin_decoration(member->get_object());
}

bool contains_to_depth(const json::Object& whole, const json::Object& part, int depth) {
  for (const auto& [name, wanted] : part) {
    const auto at = whole.find(name);
    if (at == whole.end()) return false;
    if (wanted.is_object() && at->value().is_object() && depth > 0) {
      if (!contains_to_depth(at->value().get_object(), wanted.get_object(), depth - 1)) {
        return false;
      }
    } else if (!json::equal(at->value(), wanted)) {
      return false;
    }
  }
  return true;
}

void merge_to_depth(json::Object& whole, const json::Object& part, int depth) {
  for (const auto& [name, value] : part) {
    const auto at = whole.find(name);
    if (at != whole.end() && at->value().is_object() && value.is_object() && depth > 0) {
      merge_to_depth(at->value().get_object(), value.get_object(), depth - 1);
    } else {
      whole[name] = value;
    }
  }
}

}  // namespace

Result<hub::InitialTwin> read_twin(const json::Value& twin) {
  if (!twin.is_object()) return fail(Code::invalid_argument, "must be an object");
  auto tags = read_collection(json::find_ignoring_case(twin, "tags"), "tags");
  if (!tags) return fail(std::move(tags.error()));
  hub::InitialTwin read{.tags = *std::move(tags), .desired = {}};
  const json::Value* properties = json::find_ignoring_case(twin, "properties");
  if (properties == nullptr || properties->is_null()) return read;
  if (!properties->is_object()) {
    return fail(Code::invalid_argument, "properties must be an object");
  }
  auto desired =
      read_collection(json::find_ignoring_case(*properties, "desired"), "properties.desired");
  if (!desired) return fail(std::move(desired.error()));
  read.desired = *std::move(desired);
  return read;
}

json::Object twin_json(const hub::InitialTwin& twin) {
  json::Object properties;
  properties["desired"] = twin.desired;
  json::Object out;
  out["tags"] = twin.tags;
  out["properties"] = std::move(properties);
  return out;
}

json::Object without_twin_decoration(const json::Object& collection) {
  json::Object out = collection;
  out.stable_erase("$version");
  out.stable_erase("$metadata");
  if (out.contains("version") && out.contains("count") && out.contains("metadata")) {
    for (const auto* name : {"version", "count", "metadata"}) out.stable_erase(name);
  }
  return out;
}

bool contains(const json::Object& whole, const json::Object& part) {
  return contains_to_depth(whole, part, kDepthMax);
}

void merge_over(json::Object& whole, const json::Object& part) {
  merge_to_depth(whole, part, kDepthMax);
}

}  // namespace doppel::provisioning
