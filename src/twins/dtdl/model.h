// A model ready for use: an interface with everything it inherits, its schemas typed and its
// components resolved.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "twins/dtdl/interface.h"
#include "twins/dtdl/schema.h"

namespace doppel::twins::dtdl {

class Model;
using ModelPtr = std::shared_ptr<const Model>;

struct ModelContent {
  Content content;
  std::string defined_in;  // id of the interface that says so
  ModelPtr component;      // of a component, else null
};

// Immutable; any thread.
class Model {
 public:
  const std::string& id() const { return interface_.id; }
  const Interface& interface() const { return interface_; }

  // Own and inherited contents by name, in order of names.
  const std::vector<ModelContent>& contents() const { return contents_; }
  const ModelContent* find(std::string_view name) const;
  const ModelContent* find(std::string_view name, ContentKind kind) const;

  // Ids of all interfaces it extends, directly or not, in order.
  const std::vector<std::string>& bases() const { return bases_; }
  bool is_a(std::string_view id) const;
  // Ids of what it cannot be without: direct bases and own components' interfaces, each once.
  const std::vector<std::string>& dependencies() const { return dependencies_; }
  bool has_components() const { return has_components_; }

 private:
  friend class Linker;

  Interface interface_;
  std::vector<ModelContent> contents_;
  std::vector<std::string> bases_;
  std::vector<std::string> dependencies_;
  std::size_t depth_ = 0;  // of extends below it
  bool has_components_ = false;
};

// Finds a model that is there already, or null.
using ModelLookup = std::function<ModelPtr(std::string_view id)>;

// Resolves parsed interfaces against each other and against what is there; models in the order of
// `interfaces`. What is wrong (missing bases, cycles, clashing names, limits) goes to `problems`;
// the value is of use only if nothing was added.
std::vector<ModelPtr> link(std::vector<Interface> interfaces, const ModelLookup& known,
                           Problems& problems);

}  // namespace doppel::twins::dtdl
