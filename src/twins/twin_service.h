// The twin graph: models, digital twins and relationships of every instance. The wire and the
// functions use it alike.
//
// Forms with a Transaction stage their part of a bigger commit and check it against the
// transaction's snapshot; the others read what is committed. Names of errors are those of
// schemas/errors/twins.tsv; an error ValidationFailed or DTDLParserError has one line for each
// problem after the first line of its message.
//
// Any thread, and any number of tasks at once. Cost of a patch: one read, one parse, one write of
// the twin's document; only what is touched is checked again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "store/store.h"
#include "store/transaction.h"
#include "twins/api.h"
#include "twins/model_cache.h"
#include "twins/model_set.h"
#include "twins/twin_document.h"

namespace doppel::twins {

// The conditions of a request (RFC 9110 section 13.1), as its headers have them.
struct Condition {
  std::string if_match;         // empty or "*": none
  bool only_if_absent = false;  // If-None-Match: *
};

struct IncomingRelationship {
  RelationshipId id;
  DigitalTwinId source;
  std::string name;
};

// A page and, unless it is the last, where the next one begins.
template <class T>
struct Page {
  std::vector<T> items;
  std::string next;
};

struct Telemetry {
  std::string component;  // empty: of the twin itself
  std::string payload;    // JSON text, passed on untouched
  std::string message_id;
  std::string source_time;  // empty: now
};

class TwinService final : public TwinGraphs {
 public:
  // The references outlive the service. Call open() before anything else.
  TwinService(store::Store& store, const Clock& clock, Random& random);

  // Reads the models of all instances.
  Task<Status> open();

  // ---- TwinGraphs ----
  Task<Result<std::optional<DigitalTwin>>> find_twin(store::Transaction& tx,
                                                     TwinsInstanceName instance,
                                                     DigitalTwinId id) override;
  Task<Result<DigitalTwin>> put_twin(store::Transaction& tx, TwinsInstanceName instance,
                                     DigitalTwinId id, json::Object body) override;
  Task<Result<DigitalTwin>> patch_twin(store::Transaction& tx, TwinsInstanceName instance,
                                       DigitalTwinId id,
                                       std::vector<PatchOperation> patch) override;
  Task<Status> bind_device(store::Transaction& tx, TwinsInstanceName instance, DigitalTwinId id,
                           DeviceBinding binding) override;
  Task<Result<bool>> remove_twin_and_relationships(store::Transaction& tx,
                                                   TwinsInstanceName instance,
                                                   DigitalTwinId id) override;
  Result<bool> has_property(const TwinsInstanceName& instance, const Dtmi& model,
                            std::string_view name) const override;
  Status check_property(const TwinsInstanceName& instance, const Dtmi& model, std::string_view name,
                        const json::Value& value) const override;
  bool has_model(const TwinsInstanceName& instance, const Dtmi& model) const override;
  // In order of ids, at most `limit`, after `after`.
  Task<Result<std::vector<DigitalTwinId>>> list_twins(TwinsInstanceName instance,
                                                      DigitalTwinId after,
                                                      std::size_t limit) override;
  Task<Result<std::optional<DigitalTwin>>> get_twin(TwinsInstanceName instance,
                                                    DigitalTwinId id) override;
  Task<Status> create_models(TwinsInstanceName instance, json::Array models,
                             bool skip_existing) override;

  // ---- Digital twins, with conditions ----
  Task<Result<DigitalTwin>> put_twin_if(store::Transaction& tx, TwinsInstanceName instance,
                                        DigitalTwinId id, json::Object body, Condition condition);
  Task<Result<DigitalTwin>> patch_twin_if(store::Transaction& tx, TwinsInstanceName instance,
                                          DigitalTwinId id, std::vector<PatchOperation> patch,
                                          Condition condition);
  // Paths are relative to the component.
  Task<Result<DigitalTwin>> patch_component_if(store::Transaction& tx, TwinsInstanceName instance,
                                               DigitalTwinId id, std::string component,
                                               std::vector<PatchOperation> patch,
                                               Condition condition);
  Task<Status> delete_twin_if(store::Transaction& tx, TwinsInstanceName instance, DigitalTwinId id,
                              Condition condition);
  // The twin with one of its components; the pointer is into the twin's document.
  Task<Result<DigitalTwin>> get_existing_twin(TwinsInstanceName instance, DigitalTwinId id);
  // In order of ids, as of one moment. `after` empty: from the first; a page's `next` is its last
  // id.
  Task<Result<Page<DigitalTwin>>> list_twin_documents(TwinsInstanceName instance,
                                                      DigitalTwinId after, std::size_t limit);
  static Result<const json::Object*> component_of(const DigitalTwin& twin,
                                                  std::string_view component);
  Task<Status> publish_telemetry(store::Transaction& tx, TwinsInstanceName instance,
                                 DigitalTwinId id, Telemetry telemetry);

  // ---- Relationships ----
  Task<Result<Relationship>> put_relationship_if(store::Transaction& tx, TwinsInstanceName instance,
                                                 DigitalTwinId source, RelationshipId id,
                                                 json::Object body, Condition condition);
  Task<Result<Relationship>> patch_relationship_if(store::Transaction& tx,
                                                   TwinsInstanceName instance, DigitalTwinId source,
                                                   RelationshipId id,
                                                   std::vector<PatchOperation> patch,
                                                   Condition condition);
  Task<Status> delete_relationship_if(store::Transaction& tx, TwinsInstanceName instance,
                                      DigitalTwinId source, RelationshipId id, Condition condition);
  Task<Result<Relationship>> get_relationship(TwinsInstanceName instance, DigitalTwinId source,
                                              RelationshipId id);
  // `name` empty: all. `from` is a page's `next`, or empty.
  Task<Result<Page<Relationship>>> list_relationships(TwinsInstanceName instance,
                                                      DigitalTwinId source, std::string name,
                                                      std::string from);
  Task<Result<Page<IncomingRelationship>>> list_incoming(TwinsInstanceName instance,
                                                         DigitalTwinId target, std::string from);

  // ---- Models ----
  // All or nothing, in the order of `models`. Errors: InvalidArgument, LimitExceeded,
  // DTDLParserError, ModelVersionNotSupported, ModelIdAlreadyExists.
  Task<Result<std::vector<StoredModelPtr>>> add_models(store::Transaction& tx,
                                                       TwinsInstanceName instance,
                                                       json::Array models);
  Task<Status> set_decommissioned(store::Transaction& tx, TwinsInstanceName instance,
                                  std::string id, bool is_decommissioned);
  Task<Status> delete_model(store::Transaction& tx, TwinsInstanceName instance, std::string id);
  // What is acknowledged; never null.
  std::shared_ptr<const ModelSet> models(const TwinsInstanceName& instance) const {
    return cache_.current(instance);
  }
  // As uploaded.
  Task<Result<json::Value>> get_definition(TwinsInstanceName instance, std::string id);

  // Forgets everything that the instance holds, in commits of its own. Safe to repeat.
  Task<Status> purge(TwinsInstanceName instance);

  store::Store& store() { return store_; }

 private:
  Stamp make_stamp() const;
  Task<Result<DigitalTwin>> get_for_change(store::Transaction& tx, TwinsInstanceName instance,
                                           DigitalTwinId id, const Condition& condition);
  Task<Result<DigitalTwin>> apply_patch(store::Transaction& tx, TwinsInstanceName instance,
                                        DigitalTwin twin, std::vector<PatchOperation> patch);
  Task<Result<Relationship>> get_relationship_for_change(store::Transaction& tx,
                                                         TwinsInstanceName instance,
                                                         DigitalTwinId source, RelationshipId id,
                                                         const Condition& condition);
  Task<Result<DigitalTwin>> peek_twin(store::Transaction& tx, TwinsInstanceName instance,
                                      DigitalTwinId id);
  void stage_relationship_erased(store::Transaction& tx, const TwinsInstanceName& instance,
                                 const Relationship& relationship, const std::string& time);
  Task<Status> remove_links(store::Transaction& tx, TwinsInstanceName instance, DigitalTwinId id,
                            std::string time);
  Task<Status> purge_prefix(std::string prefix);

  store::Store& store_;
  const Clock& clock_;
  Random& random_;
  ModelCache cache_;
};

// Whether `text` may be an id of a twin or a relationship: 1 to 128 characters of UTF-8.
bool is_valid_id(std::string_view text);
// As Status, for If-Match against a current etag: PreconditionFailed, quoting the given one.
Status check_match(const Condition& condition, std::string_view etag);

}  // namespace doppel::twins
