// Relationships between digital twins.
#include <utility>

#include <errors/twins.h>
#include <fmt/core.h>

#include "base/time_text.h"
#include "twins/changes.h"
#include "twins/keys.h"
#include "twins/limits.h"
#include "twins/names.h"
#include "twins/twin_record.h"
#include "twins/twin_service.h"

namespace doppel::twins {
namespace {

std::string subject_of(const Relationship& relationship) {
  return fmt::format("{}/relationships/{}", relationship.source.view(), relationship.id.view());
}

std::unexpected<Error> relationship_not_found(const DigitalTwinId& source,
                                              const RelationshipId& id) {
  return fail(errors::twins::kRelationshipNotFound,
              fmt::format("The digital twin {} has no relationship with the id {}.", source.view(),
                          id.view()));
}

Status check_target_model(const ModelSet& models, const dtdl::Content& definition,
                          const DigitalTwin& target) {
  if (definition.target.empty() || definition.target == target.model.view()) return {};
  const auto* stored = models.find(target.model.view());
  // A twin whose model is deleted may get relationships.
  if (stored == nullptr || stored->model->is_a(definition.target)) return {};
  return fail(
      errors::twins::kInvalidRelationship,
      fmt::format(
          "The relationship {} leads to digital twins of the model {}; {} is of the model {}.",
          definition.name, definition.target, target.id.view(), target.model.view()));
}

}  // namespace

Task<Result<Relationship>> TwinService::get_relationship_for_change(store::Transaction& tx,
                                                                    TwinsInstanceName instance,
                                                                    DigitalTwinId source,
                                                                    RelationshipId id,
                                                                    const Condition& condition) {
  auto record = co_await tx.get(keys::relationship(instance, source, id));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) {
    auto twin = co_await peek_twin(tx, instance, source);
    if (!twin) co_return fail(std::move(twin.error()));
    co_return relationship_not_found(source, id);
  }
  auto relationship = decode_relationship(**record);
  if (!relationship) co_return fail(std::move(relationship.error()));
  if (auto matches = check_match(condition, relationship->etag); !matches)
    co_return fail(std::move(matches.error()));
  co_return std::move(*relationship);
}

Task<Result<Relationship>> TwinService::put_relationship_if(store::Transaction& tx,
                                                            TwinsInstanceName instance,
                                                            DigitalTwinId source, RelationshipId id,
                                                            json::Object body,
                                                            Condition condition) {
  if (!is_valid_id(id.view()))
    co_return fail(errors::twins::kInvalidArgument,
                   fmt::format("The id of a relationship has 1 to {} characters.",
                               kRelationshipIdCharactersMax));
  const json::Value given(std::move(body));
  const auto target_id = json::find_string(given, names::kTargetId);
  const auto name = json::find_string(given, names::kRelationshipName);
  if (!target_id || !name)
    co_return fail(errors::twins::kInvalidRelationship,
                   "A relationship needs the strings $targetId and $relationshipName.");
  auto loaded = co_await cache_.ensure_loaded();
  if (!loaded) co_return fail(std::move(loaded.error()));
  auto source_twin = co_await peek_twin(tx, instance, source);
  if (!source_twin) co_return fail(std::move(source_twin.error()));

  auto before_record = co_await tx.get(keys::relationship(instance, source, id));
  if (!before_record) co_return fail(std::move(before_record.error()));
  std::optional<Relationship> before;
  if (*before_record) {
    auto decoded = decode_relationship(**before_record);
    if (!decoded) co_return fail(std::move(decoded.error()));
    before = std::move(*decoded);
    if (condition.only_if_absent)
      co_return fail(errors::twins::kPreconditionFailed,
                     fmt::format("A relationship with the id {} exists already.", id.view()));
    if (auto matches = check_match(condition, before->etag); !matches)
      co_return fail(std::move(matches.error()));
  }

  const DigitalTwinId target(*target_id);
  if (target == source) co_return fail(errors::twins::kOperationNotAllowed);
  const auto all_models = cache_.current(instance);
  auto definition = find_relationship(*all_models, source_twin->model, *name);
  if (!definition) co_return fail(std::move(definition.error()));
  auto target_twin = co_await peek_twin(tx, instance, target);
  if (!target_twin) {
    if (target_twin.error().service != &errors::twins::kDigitalTwinNotFound)
      co_return fail(std::move(target_twin.error()));
    co_return fail(
        errors::twins::kTargetTwinNotFound,
        fmt::format("There is no digital twin with the id {} that the relationship could lead to.",
                    target.view()));
  }
  if (auto fits = check_target_model(*all_models, **definition, *target_twin); !fits)
    co_return fail(std::move(fits.error()));

  const auto stamp = make_stamp();
  auto document = make_relationship_document(
      **definition, {.id = id, .source = source, .target = target}, given.get_object(), stamp);
  if (!document) co_return fail(std::move(document.error()));
  Relationship relationship{.id = id,
                            .source = source,
                            .target = target,
                            .name = std::string(*name),
                            .etag = stamp.etag,
                            .document = std::move(*document)};
  if (before && before->target != target)
    tx.erase(keys::incoming(instance, before->target, source, id));
  tx.put(keys::relationship(instance, source, id), encode(relationship));
  tx.put(keys::incoming(instance, target, source, id), relationship.name);
  for (const auto& end : {source, target}) {
    tx.require(keys::alive(instance, end));
    tx.put(keys::links(instance, end), {});
  }
  Change change{.type = kRelationshipCreated,
                .twin = source,
                .subject = subject_of(relationship),
                .id = random_.uuid(),
                .time = stamp.time,
                .data = {},
                .data_schema = {},
                .previous = {}};
  if (before) {
    change.type = kRelationshipUpdated;
    change.data =
        update_data(source_twin->model, difference(before->document, relationship.document));
    change.previous = json::write(before->document);
  } else {
    change.data = json::write(relationship.document);
  }
  stage(tx, instance, change);
  co_return relationship;
}

Task<Result<Relationship>> TwinService::patch_relationship_if(
    store::Transaction& tx, TwinsInstanceName instance, DigitalTwinId source, RelationshipId id,
    std::vector<PatchOperation> patch, Condition condition) {
  auto loaded = co_await cache_.ensure_loaded();
  if (!loaded) co_return fail(std::move(loaded.error()));
  auto relationship = co_await get_relationship_for_change(tx, instance, source, id, condition);
  if (!relationship) co_return fail(std::move(relationship.error()));
  auto source_twin = co_await peek_twin(tx, instance, source);
  if (!source_twin) co_return fail(std::move(source_twin.error()));
  const auto all_models = cache_.current(instance);
  auto definition = find_relationship(*all_models, source_twin->model, relationship->name);
  if (!definition) co_return fail(std::move(definition.error()));
  const auto stamp = make_stamp();
  auto document =
      patch_relationship_document(**definition, std::move(relationship->document), patch, stamp);
  if (!document) co_return fail(std::move(document.error()));
  relationship->document = std::move(*document);
  relationship->etag = stamp.etag;
  auto record = encode(*relationship);
  if (record.size() > kTwinDocumentBytesMax)
    co_return fail(errors::twins::kLimitExceeded,
                   fmt::format("The relationship would take {} bytes; {} are allowed.",
                               record.size(), kTwinDocumentBytesMax));
  tx.put(keys::relationship(instance, source, id), std::move(record));
  const Change change{.type = kRelationshipUpdated,
                      .twin = source,
                      .subject = subject_of(*relationship),
                      .id = random_.uuid(),
                      .time = stamp.time,
                      .data = update_data(source_twin->model, to_json(patch)),
                      .data_schema = {},
                      .previous = {}};
  stage(tx, instance, change);
  co_return std::move(*relationship);
}

void TwinService::stage_relationship_erased(store::Transaction& tx,
                                            const TwinsInstanceName& instance,
                                            const Relationship& relationship,
                                            const std::string& time) {
  tx.erase(keys::relationship(instance, relationship.source, relationship.id));
  tx.erase(keys::incoming(instance, relationship.target, relationship.source, relationship.id));
  const Change change{.type = kRelationshipDeleted,
                      .twin = relationship.source,
                      .subject = subject_of(relationship),
                      .id = random_.uuid(),
                      .time = time,
                      .data = json::write(relationship.document),
                      .data_schema = {},
                      .previous = {}};
  stage(tx, instance, change);
}

Task<Status> TwinService::delete_relationship_if(store::Transaction& tx, TwinsInstanceName instance,
                                                 DigitalTwinId source, RelationshipId id,
                                                 Condition condition) {
  auto relationship = co_await get_relationship_for_change(tx, instance, source, id, condition);
  if (!relationship) co_return fail(std::move(relationship.error()));
  stage_relationship_erased(tx, instance, *relationship, to_iso8601(clock_.now()));
  co_return Status{};
}

Task<Status> TwinService::remove_links(store::Transaction& tx, TwinsInstanceName instance,
                                       DigitalTwinId id, std::string time) {
  tx.require(keys::links(instance, id));  // nobody adds a relationship meanwhile
  auto outgoing =
      co_await tx.scan_prefix(keys::relationships(instance, id), kRelationshipsPerTwinMax + 1);
  if (!outgoing) co_return fail(std::move(outgoing.error()));
  auto incoming =
      co_await tx.scan_prefix(keys::incomings(instance, id), kRelationshipsPerTwinMax + 1);
  if (!incoming) co_return fail(std::move(incoming.error()));
  if (outgoing->size() > kRelationshipsPerTwinMax || incoming->size() > kRelationshipsPerTwinMax)
    co_return fail(errors::twins::kLimitExceeded,
                   "The digital twin has too many relationships to go in one commit.");
  std::vector<std::string> relationship_keys;
  for (auto& entry : *outgoing) relationship_keys.push_back(std::move(entry.key));
  for (const auto& entry : *incoming) {
    auto parts = store::split_key(entry.key);
    if (!parts || parts->size() != 5)
      co_return fail(Code::internal, "a stored relationship has no readable key");
    relationship_keys.push_back(keys::relationship(instance, DigitalTwinId(std::move((*parts)[3])),
                                                   RelationshipId(std::move((*parts)[4]))));
  }
  for (auto& key : relationship_keys) {
    auto record = co_await tx.get(std::move(key));  // the event tells its latest state
    if (!record) co_return fail(std::move(record.error()));
    if (!*record) continue;
    auto relationship = decode_relationship(**record);
    if (!relationship) co_return fail(std::move(relationship.error()));
    stage_relationship_erased(tx, instance, *relationship, time);
  }
  tx.erase(keys::links(instance, id));
  co_return Status{};
}

Task<Result<Relationship>> TwinService::get_relationship(TwinsInstanceName instance,
                                                         DigitalTwinId source, RelationshipId id) {
  const auto snapshot = store_.snapshot();
  auto record = co_await snapshot->get(keys::relationship(instance, source, id));
  if (!record) co_return fail(std::move(record.error()));
  if (*record) co_return decode_relationship(**record);
  auto twin = co_await snapshot->get(keys::twin(instance, source));
  if (!twin) co_return fail(std::move(twin.error()));
  if (*twin) co_return relationship_not_found(source, id);
  co_return fail(errors::twins::kDigitalTwinNotFound,
                 fmt::format("There is no digital twin with the id {}.", source.view()));
}

namespace {

// Whether the twin whose relationships are listed is there.
Task<Status> check_exists(const store::Snapshot& snapshot, TwinsInstanceName instance,
                          DigitalTwinId id) {
  auto twin = co_await snapshot.get(keys::twin(instance, id));
  if (!twin) co_return fail(std::move(twin.error()));
  if (*twin) co_return Status{};
  co_return fail(errors::twins::kDigitalTwinNotFound,
                 fmt::format("There is no digital twin with the id {}.", id.view()));
}

// A page's `next` is the rest of the last key after the prefix that all have.
std::string first_key(const std::string& prefix, const std::string& from) {
  return from.empty() ? prefix : prefix + from + '\0';
}

}  // namespace

Task<Result<Page<Relationship>>> TwinService::list_relationships(TwinsInstanceName instance,
                                                                 DigitalTwinId source,
                                                                 std::string name,
                                                                 std::string from) {
  const auto snapshot = store_.snapshot();
  auto exists = co_await check_exists(*snapshot, instance, source);
  if (!exists) co_return fail(std::move(exists.error()));
  const auto prefix = keys::relationships(instance, source);
  const auto last = store::after_prefix(prefix);
  auto first = first_key(prefix, from);
  Page<Relationship> page;
  // One more than fits is looked for, so that no page is empty while another follows (az stops at
  // an empty page).
  std::string previous_key;
  for (;;) {
    auto entries = co_await snapshot->scan(first, last, kRelationshipsPageMax + 1);
    if (!entries) co_return fail(std::move(entries.error()));
    for (const auto& entry : *entries) {
      auto relationship = decode_relationship(entry.value);
      if (!relationship) co_return fail(std::move(relationship.error()));
      if (!name.empty() && relationship->name != name) continue;
      if (page.items.size() == kRelationshipsPageMax) {
        page.next = previous_key.substr(prefix.size());
        co_return page;
      }
      page.items.push_back(std::move(*relationship));
      previous_key = entry.key;
    }
    if (entries->size() <= kRelationshipsPageMax) co_return page;
    first = entries->back().key + '\0';
  }
}

Task<Result<Page<IncomingRelationship>>> TwinService::list_incoming(TwinsInstanceName instance,
                                                                    DigitalTwinId target,
                                                                    std::string from) {
  const auto snapshot = store_.snapshot();
  auto exists = co_await check_exists(*snapshot, instance, target);
  if (!exists) co_return fail(std::move(exists.error()));
  const auto prefix = keys::incomings(instance, target);
  auto entries = co_await snapshot->scan(first_key(prefix, from), store::after_prefix(prefix),
                                         kRelationshipsPageMax + 1);
  if (!entries) co_return fail(std::move(entries.error()));
  Page<IncomingRelationship> page;
  for (auto& entry : *entries) {
    if (page.items.size() == kRelationshipsPageMax) {
      page.next = (*entries)[kRelationshipsPageMax - 1].key.substr(prefix.size());
      break;
    }
    auto parts = store::split_key(entry.key);
    if (!parts || parts->size() != 5)
      co_return fail(Code::internal, "a stored relationship has no readable key");
    page.items.push_back({.id = RelationshipId(std::move((*parts)[4])),
                          .source = DigitalTwinId(std::move((*parts)[3])),
                          .name = std::move(entry.value)});
  }
  co_return page;
}

}  // namespace doppel::twins
