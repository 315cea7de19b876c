// ARM resource ids:
//   /subscriptions/{s}/resourceGroups/{g}/providers/{namespace}/{type}/{name}[/{type}/{name}...]
// Compared without case; shown in Azure's spelling of the fixed parts and the creator's spelling of
// names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace doppel::resources {

class ResourceId {
 public:
  static ResourceId group(std::string_view subscription, std::string_view name);
  // `type` is "Namespace/type", e.g. "Microsoft.Devices/IotHubs".
  static ResourceId resource(std::string_view subscription, std::string_view group,
                             std::string_view type, std::string_view name);
  // Reads the path of a request or an id; segments are percent-decoded already or hold no escapes.
  // Types come out in Azure's spelling. Errors: InvalidResourceType for unknown types, NotFound for
  // other shapes.
  static Result<ResourceId> parse(std::string_view path);
  ResourceId child(std::string_view type, std::string_view name) const;

  ResourceId with_group_name(std::string_view name) const;

  const std::string& subscription() const { return subscription_; }
  const std::string& group_name() const { return group_; }
  bool is_group() const { return provider_.empty(); }
  const std::string& name() const { return parts_.empty() ? group_ : parts_.back().second; }
  // "Microsoft.EventHub/namespaces/eventhubs"; "Microsoft.Resources/resourceGroups" for a group.
  std::string type() const;
  std::string text() const;   // as shown
  std::string lower() const;  // as compared
  ResourceId parent() const;  // the resource a child is in; of a top-level resource its group
  ResourceId top() const;     // the top-level resource a child is in; itself otherwise
  ResourceId group_id() const { return group(subscription_, group_); }
  bool is_child() const { return parts_.size() > 1; }
  std::string store_key() const;  // key({"arm", lower-cased segments...})

 private:
  std::string subscription_;
  std::string group_;
  std::string provider_;                                    // "Microsoft.Devices"
  std::vector<std::pair<std::string, std::string>> parts_;  // type, name
};

}  // namespace doppel::resources
