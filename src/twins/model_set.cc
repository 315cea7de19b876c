#include "twins/model_set.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace doppel::twins {
namespace {

// One model may hold as much as an upload (limits.h) and nests as DTDL allows.
constexpr json::ParseLimits kModelLimits{.depth_max = 64, .size_max = 2 * 1024 * 1024};

}  // namespace

std::string encode(const ModelRecord& record) {
  json::Object out;
  out["format"] = 1;
  out["sequence"] = record.sequence;
  out["uploaded"] = record.uploaded.time_since_epoch().count();
  out["decommissioned"] = record.is_decommissioned;
  out["model"] = record.document;
  return json::write(out);
}

Result<ModelRecord> decode_model(std::string_view text) {
  auto parsed = json::parse(text, kModelLimits);
  if (!parsed) return fail(std::move(parsed.error()));
  auto* object = parsed->if_object();
  if (object == nullptr) return fail(Code::internal, "a stored model is not an object");
  const auto* sequence = json::find(*parsed, "sequence");
  const auto* uploaded = json::find(*parsed, "uploaded");
  const auto* decommissioned = json::find(*parsed, "decommissioned");
  auto* model = object->if_contains("model");
  if (sequence == nullptr || uploaded == nullptr || decommissioned == nullptr || model == nullptr ||
      !json::is_number(*sequence) || !json::is_number(*uploaded) || !decommissioned->is_bool())
    return fail(Code::internal, "a stored model lacks a member");
  return ModelRecord{
      .sequence = static_cast<std::uint64_t>(json::to_int64(*sequence).value_or(0)),
      .uploaded = TimePoint(Duration(json::to_int64(*uploaded).value_or(0))),
      .is_decommissioned = decommissioned->get_bool(),
      .document = std::move(*model),
  };
}

const StoredModel* ModelSet::find(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

StoredModelPtr ModelSet::find_shared(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::vector<StoredModelPtr> ModelSet::closure(const std::vector<std::string>& ids) const {
  std::map<std::uint64_t, StoredModelPtr> reached;
  std::vector<std::string> open = ids;
  while (!open.empty()) {
    const auto id = std::move(open.back());
    open.pop_back();
    const auto model = find_shared(id);
    if (!model || !reached.emplace(model->sequence, model).second) continue;
    const auto& dependencies = model->model->dependencies();
    open.insert(open.end(), dependencies.begin(), dependencies.end());
  }
  std::vector<StoredModelPtr> out;
  for (auto& [sequence, model] : reached) out.push_back(std::move(model));
  return out;
}

std::vector<StoredModelPtr> ModelSet::referrers(std::string_view id) const {
  std::vector<StoredModelPtr> out;
  for (const auto& [sequence, model] : by_sequence_)
    if (std::ranges::find(model->model->dependencies(), id) != model->model->dependencies().end())
      out.push_back(model);
  return out;
}

void ModelSet::remove(std::string_view id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  by_sequence_.erase(found->second->sequence);
  by_id_.erase(found);
}

void ModelSet::add(StoredModelPtr model) {
  remove(model->id());
  by_sequence_[model->sequence] = model;
  by_id_[model->id()] = std::move(model);
}

std::shared_ptr<const ModelSet> ModelSet::with(const ModelChanges& changes,
                                               std::uint64_t revision) const {
  auto next = std::make_shared<ModelSet>(*this);
  next->revision_ = revision;
  for (const auto& id : changes.erased) next->remove(id);
  std::vector<dtdl::Interface> interfaces;
  std::vector<const ModelRecord*> records;
  for (const auto& record : changes.written) {
    const auto id = json::get_string_or(record.document, "@id", "");
    // Only the flag changed: whoever extends the model keeps sharing it.
    if (const auto there = next->find_shared(id); there && there->sequence == record.sequence) {
      auto copy = std::make_shared<StoredModel>(*there);
      copy->is_decommissioned = record.is_decommissioned;
      next->add(std::move(copy));
      continue;
    }
    dtdl::Problems problems;
    auto interface = dtdl::parse_interface(record.document, problems);
    if (!problems.empty()) {
      log::error("twins.stored_model_invalid",
                 {{"model", id}, {"problem", problems.lines().front()}});
      continue;
    }
    interfaces.push_back(std::move(interface));
    records.push_back(&record);
  }
  dtdl::Problems problems;
  const auto known = [&](std::string_view id) -> dtdl::ModelPtr {
    const auto* there = next->find(id);
    return there == nullptr ? nullptr : there->model;
  };
  auto models = dtdl::link(std::move(interfaces), known, problems);
  for (const auto& line : problems.lines())
    log::error("twins.stored_model_unlinked", {{"problem", line}});
  for (std::size_t i = 0; i < models.size(); ++i) {
    auto stored = std::make_shared<StoredModel>();
    stored->model = std::move(models[i]);
    stored->sequence = records[i]->sequence;
    stored->uploaded = records[i]->uploaded;
    stored->is_decommissioned = records[i]->is_decommissioned;
    next->add(std::move(stored));
  }
  return next;
}

}  // namespace doppel::twins
