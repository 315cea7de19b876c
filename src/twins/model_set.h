// The models of one instance at one moment: immutable, shared by all who read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "json/value.h"
#include "twins/dtdl/model.h"

namespace doppel::twins {

struct StoredModel {
  dtdl::ModelPtr model;
  std::uint64_t sequence = 0;  // grows with every upload; the order that lists have
  TimePoint uploaded{};
  bool is_decommissioned = false;

  const std::string& id() const { return model->id(); }
};
using StoredModelPtr = std::shared_ptr<const StoredModel>;

// A model as the store keeps it: JSON, so that it survives changes of the compiled form.
struct ModelRecord {
  std::uint64_t sequence = 0;
  TimePoint uploaded{};
  bool is_decommissioned = false;
  json::Value document;
};
std::string encode(const ModelRecord& record);
Result<ModelRecord> decode_model(std::string_view text);

// What one commit changes.
struct ModelChanges {
  std::vector<ModelRecord> written;
  std::vector<std::string> erased;  // ids
};

class ModelSet {
 public:
  // Null when there is none.
  const StoredModel* find(std::string_view id) const;
  StoredModelPtr find_shared(std::string_view id) const;
  std::size_t size() const { return by_id_.size(); }
  std::uint64_t revision() const { return revision_; }

  // In order of upload.
  const std::map<std::uint64_t, StoredModelPtr>& by_sequence() const { return by_sequence_; }
  // `ids` and all they cannot be without, in order of upload. Unknown ids are left out.
  std::vector<StoredModelPtr> closure(const std::vector<std::string>& ids) const;
  // The models that extend `id` or have a component of it, in order of upload.
  std::vector<StoredModelPtr> referrers(std::string_view id) const;

  // A set with `changes` made. Stored models passed the parser once; one that does not any more is
  // left out and logged.
  std::shared_ptr<const ModelSet> with(const ModelChanges& changes, std::uint64_t revision) const;

 private:
  void remove(std::string_view id);
  void add(StoredModelPtr model);

  std::uint64_t revision_ = 0;
  std::map<std::string, StoredModelPtr, std::less<>> by_id_;
  std::map<std::uint64_t, StoredModelPtr> by_sequence_;
};

}  // namespace doppel::twins
