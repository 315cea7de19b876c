#include "twins/dtdl/model.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

#include <fmt/core.h>

#include "twins/dtdl/limits.h"

namespace doppel::twins::dtdl {

// One upload. Interfaces are compiled depth first along what they depend on; the depth of that is
// bounded by the number of interfaces in an upload, since stored ones are compiled already.
class Linker {
 public:
  Linker(std::vector<Interface> interfaces, const ModelLookup& known, Problems& problems)
      : interfaces_(std::move(interfaces)),
        known_(known),
        problems_(problems),
        states_(interfaces_.size()) {}

  std::vector<ModelPtr> run() {
    std::set<std::string_view> element_ids;
    for (std::size_t i = 0; i < interfaces_.size(); ++i) {
      if (!by_id_.emplace(interfaces_[i].id, i).second)
        problems_.add(fmt::format("{}: the interface appears more than once in the request.",
                                  interfaces_[i].id));
    }
    for (const auto& interface : interfaces_)
      for (const auto& id : interface.element_ids)
        if (by_id_.contains(id) || !element_ids.insert(id).second)
          problems_.add(
              fmt::format("{}: the @id {} is given to more than one element.", interface.id, id));
    std::vector<ModelPtr> models;
    for (std::size_t i = 0; i < interfaces_.size(); ++i) models.push_back(compile(i));
    return models;
  }

 private:
  enum class Progress : std::uint8_t { untouched, open, done };
  struct State {
    Progress progress = Progress::untouched;
    ModelPtr model;
  };

  // Null after a report.
  ModelPtr resolve(const Interface& user, std::string_view id, std::string_view role) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) {
      auto model = known_(id);
      if (!model)
        problems_.add(fmt::format("{}: {} {}, which is neither in the request nor stored.", user.id,
                                  role, id));
      return model;
    }
    if (states_[found->second].progress == Progress::open) {
      problems_.add(
          fmt::format("{}: {} {}, which depends on {} in turn.", user.id, role, id, user.id));
      return nullptr;
    }
    return compile(found->second);
  }

  ModelPtr compile(std::size_t index) {
    auto& state = states_[index];
    if (state.progress != Progress::untouched) return state.model;
    state.progress = Progress::open;
    const Interface& interface = interfaces_[index];
    auto model = std::make_shared<Model>();
    std::map<std::string, ModelContent, std::less<>> contents;
    inherit(interface, *model, contents);
    for (const auto& content : interface.contents) add_own(interface, content, *model, contents);
    const auto contents_max = interface.dtdl_version == 2 ? kContentsMaxV2 : kContentsMaxV3;
    if (contents.size() > contents_max)
      problems_.add(fmt::format("{}: has {} contents, inherited ones included; {} are allowed.",
                                interface.id, contents.size(), contents_max));
    for (auto& [name, content] : contents) {
      model->has_components_ |= content.content.kind == ContentKind::component;
      model->contents_.push_back(std::move(content));
    }
    model->interface_ = interface;
    state.model = model;
    state.progress = Progress::done;
    return model;
  }

  void inherit(const Interface& interface, Model& model,
               std::map<std::string, ModelContent, std::less<>>& contents) {
    std::set<std::string> bases;
    for (const auto& id : interface.extends) {
      const auto base = resolve(interface, id, "extends");
      if (!base) continue;
      if (interface.dtdl_version < base->interface().dtdl_version)
        problems_.add(
            fmt::format("{}: extends {}, which is of a later version of DTDL.", interface.id, id));
      bases.insert(id);
      bases.insert(base->bases_.begin(), base->bases_.end());
      model.dependencies_.push_back(id);
      model.depth_ = std::max(model.depth_, base->depth_ + 1);
      for (const auto& inherited : base->contents_) {
        const auto [there, is_new] = contents.emplace(inherited.content.name, inherited);
        // The same element may come by two ways; two elements of one name may not.
        if (!is_new && there->second.defined_in != inherited.defined_in)
          problems_.add(fmt::format(
              "{}: inherits '{}' both from {} and from {}; names must be unique.", interface.id,
              inherited.content.name, there->second.defined_in, inherited.defined_in));
      }
    }
    if (model.depth_ > kExtendsDepthMax)
      problems_.add(fmt::format("{}: extends interfaces more than {} levels deep.", interface.id,
                                kExtendsDepthMax));
    if (bases.size() > kExtendsMaxV3)
      problems_.add(fmt::format("{}: has more than {} bases.", interface.id, kExtendsMaxV3));
    model.bases_.assign(bases.begin(), bases.end());
  }

  void add_own(const Interface& interface, const Content& content, Model& model,
               std::map<std::string, ModelContent, std::less<>>& contents) {
    ModelContent own{.content = content, .defined_in = interface.id, .component = nullptr};
    if (content.kind == ContentKind::component) {
      own.component = resolve(interface, content.component_schema,
                              fmt::format("component '{}' has the schema", content.name));
      if (own.component && own.component->has_components())
        problems_.add(
            fmt::format("{}: component '{}' has the schema {}, which has components itself.",
                        interface.id, content.name, content.component_schema));
      if (own.component && interface.dtdl_version < own.component->interface().dtdl_version)
        problems_.add(fmt::format(
            "{}: component '{}' has the schema {}, which is of a later version of DTDL.",
            interface.id, content.name, content.component_schema));
      if (std::ranges::find(model.dependencies_, content.component_schema) ==
          model.dependencies_.end())
        model.dependencies_.push_back(content.component_schema);
    }
    const auto [there, is_new] = contents.emplace(content.name, std::move(own));
    if (!is_new)
      problems_.add(
          fmt::format("{}: defines '{}', which it also inherits from {}; names must be unique.",
                      interface.id, content.name, there->second.defined_in));
  }

  std::vector<Interface> interfaces_;
  const ModelLookup& known_;
  Problems& problems_;
  std::vector<State> states_;
  std::map<std::string_view, std::size_t> by_id_;
};

const ModelContent* Model::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(contents_, name, {}, [](const ModelContent& content) {
    return std::string_view(content.content.name);
  });
  return found != contents_.end() && found->content.name == name ? &*found : nullptr;
}

const ModelContent* Model::find(std::string_view name, ContentKind kind) const {
  const auto* content = find(name);
  return content != nullptr && content->content.kind == kind ? content : nullptr;
}

bool Model::is_a(std::string_view id) const {
  return id == interface_.id || std::ranges::binary_search(bases_, id, std::less<>{});
}

std::vector<ModelPtr> link(std::vector<Interface> interfaces, const ModelLookup& known,
                           Problems& problems) {
  return Linker(std::move(interfaces), known, problems).run();
}

}  // namespace doppel::twins::dtdl
