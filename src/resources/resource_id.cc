#include "resources/resource_id.h"

#include "base/check.h"
#include "base/encoding.h"
#include "errors/arm.h"
#include "resources/types.h"
#include "store/store.h"

namespace doppel::resources {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    if (path.front() == '/') path.remove_prefix(1);
    const auto segment = path.substr(0, path.find('/'));
    if (!segment.empty()) segments.push_back(segment);
    path.remove_prefix(segment.size());
  }
  return segments;
}

}  // namespace

ResourceId ResourceId::group(std::string_view subscription, std::string_view name) {
  ResourceId id;
  id.subscription_ = subscription;
  id.group_ = name;
  return id;
}

ResourceId ResourceId::resource(std::string_view subscription, std::string_view group,
                                std::string_view type, std::string_view name) {
  const auto slash = type.find('/');
  check(slash != type.npos, "a resource type has a namespace");
  ResourceId id = ResourceId::group(subscription, group);
  id.provider_ = type.substr(0, slash);
  id.parts_.emplace_back(type.substr(slash + 1), name);
  return id;
}

ResourceId ResourceId::child(std::string_view type, std::string_view name) const {
  check(!is_group(), "a group's children are resources");
  ResourceId id = *this;
  id.parts_.emplace_back(type, name);
  return id;
}

Result<ResourceId> ResourceId::parse(std::string_view path) {
  const auto segments = split(path);
  if (segments.size() < 4 || !equal_ignoring_case(segments[0], "subscriptions") ||
      !equal_ignoring_case(segments[2], "resourcegroups"))
    return fail(errors::arm::kNotFound);
  ResourceId id = group(segments[1], segments[3]);
  if (segments.size() == 4) return id;
  // "providers", the namespace, then pairs of type and name.
  if (segments.size() < 8 || segments.size() % 2 != 0 ||
      !equal_ignoring_case(segments[4], "providers"))
    return fail(errors::arm::kNotFound);
  std::string type(segments[5]);
  for (std::size_t i = 6; i < segments.size(); i += 2) type.append("/").append(segments[i]);
  const auto known = known_type(type);
  if (known.empty()) {
    return fail(errors::arm::kInvalidResourceType,
                "The resource type '" + type.substr(0, 128) + "' is not known here.");
  }
  const auto names = split(known);
  id.provider_ = names[0];
  for (std::size_t i = 1; i < names.size(); ++i)
    id.parts_.emplace_back(names[i], segments[5 + 2 * i]);
  return id;
}

ResourceId ResourceId::with_group_name(std::string_view name) const {
  ResourceId id = *this;
  id.group_ = name;
  return id;
}

std::string ResourceId::type() const {
  if (is_group()) return std::string(kGroupType);
  std::string text = provider_;
  for (const auto& [type, name] : parts_) text.append("/").append(type);
  return text;
}

std::string ResourceId::text() const {
  std::string text = "/subscriptions/" + subscription_ + "/resourceGroups/" + group_;
  if (is_group()) return text;
  text.append("/providers/").append(provider_);
  for (const auto& [type, name] : parts_) text.append("/").append(type).append("/").append(name);
  return text;
}

std::string ResourceId::lower() const { return to_lower(text()); }

ResourceId ResourceId::parent() const {
  if (!is_child()) return group_id();
  ResourceId id = *this;
  id.parts_.pop_back();
  return id;
}

ResourceId ResourceId::top() const {
  ResourceId id = *this;
  if (!id.parts_.empty()) id.parts_.resize(1);
  return id;
}

std::string ResourceId::store_key() const {
  std::string joined = store::key({"arm"});
  const std::string text = lower();
  std::string_view rest = text;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const auto segment = rest.substr(0, rest.find('/'));
    joined += store::key({segment});
    rest.remove_prefix(segment.size());
  }
  return joined;
}

}  // namespace doppel::resources
