// Azure Digital Twins as other folders see it: models, digital twins and their relationships. One
// TwinGraphs object serves every instance; `instance` is the resource's name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "json/value.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::twins {

// What ties a digital twin to the device it was made for. Kept beside the visible document, through
// every PUT.
struct DeviceBinding {
  HubName hub;
  DeviceId device_id;
  GenerationId generation;
  bool operator==(const DeviceBinding&) const = default;
};

struct DigitalTwin {
  DigitalTwinId id;
  std::string etag;  // W/"<uuid>"
  Dtmi model;
  json::Object document;  // as clients see it: $dtId, $etag, properties, components, $metadata
  std::optional<DeviceBinding> made_for;
};

struct Relationship {
  RelationshipId id;
  DigitalTwinId source;
  DigitalTwinId target;
  std::string name;
  std::string etag;
  json::Object
      document;  // $relationshipId, $etag, $sourceId, $targetId, $relationshipName, properties
};

struct PatchOperation {
  enum class Op : std::uint8_t { add, replace, remove } op;
  std::string path;  // JSON pointer
  json::Value value;
};

// The parts of bigger commits. All validate against the model and keep $metadata; errors are those
// of errors/twins.h.
class TwinGraphs {
 public:
  virtual ~TwinGraphs() = default;

  virtual Task<Result<std::optional<DigitalTwin>>> find_twin(store::Transaction& tx,
                                                             TwinsInstanceName instance,
                                                             DigitalTwinId id) = 0;
  // Creates or replaces; relationships and the binding stay. `body` is what a client would PUT.
  virtual Task<Result<DigitalTwin>> put_twin(store::Transaction& tx, TwinsInstanceName instance,
                                             DigitalTwinId id, json::Object body) = 0;
  virtual Task<Result<DigitalTwin>> patch_twin(store::Transaction& tx, TwinsInstanceName instance,
                                               DigitalTwinId id,
                                               std::vector<PatchOperation> patch) = 0;
  virtual Task<Status> bind_device(store::Transaction& tx, TwinsInstanceName instance,
                                   DigitalTwinId id, DeviceBinding binding) = 0;
  // Deletes the twin with all its relationships, both ways; missing: succeeds. Returns whether
  // there was one.
  virtual Task<Result<bool>> remove_twin_and_relationships(store::Transaction& tx,
                                                           TwinsInstanceName instance,
                                                           DigitalTwinId id) = 0;

  // The properties of a model, bases included: whether `name` is a property, and whether `value`
  // fits it. Cheap, from memory; unknown model: not_found.
  virtual Result<bool> has_property(const TwinsInstanceName& instance, const Dtmi& model,
                                    std::string_view name) const = 0;
  virtual Status check_property(const TwinsInstanceName& instance, const Dtmi& model,
                                std::string_view name, const json::Value& value) const = 0;
  virtual bool has_model(const TwinsInstanceName& instance, const Dtmi& model) const = 0;

  virtual Task<Result<std::vector<DigitalTwinId>>> list_twins(TwinsInstanceName instance,
                                                              DigitalTwinId after,
                                                              std::size_t limit) = 0;
  virtual Task<Result<std::optional<DigitalTwin>>> get_twin(TwinsInstanceName instance,
                                                            DigitalTwinId id) = 0;

  // Uploads DTDL, all or nothing, as POST /models does; ids that are there already with equal
  // content are skipped when `skip_existing`. For first start and tests.
  virtual Task<Status> create_models(TwinsInstanceName instance, json::Array models,
                                     bool skip_existing) = 0;
};

}  // namespace doppel::twins
