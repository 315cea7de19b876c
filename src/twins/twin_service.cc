#include "twins/twin_service.h"

#include <algorithm>
#include <utility>

#include <errors/twins.h>
#include <fmt/core.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/pointer.h"
#include "twins/changes.h"
#include "twins/keys.h"
#include "twins/limits.h"
#include "twins/names.h"
#include "twins/twin_record.h"

namespace doppel::twins {
namespace {

std::unexpected<Error> twin_not_found(const DigitalTwinId& id) {
  return fail(errors::twins::kDigitalTwinNotFound,
              fmt::format("There is no digital twin with the id {}.", id.view()));
}

Status check_size(std::string_view record) {
  if (record.size() <= kTwinDocumentBytesMax) return {};
  return fail(errors::twins::kLimitExceeded,
              fmt::format("The digital twin would take {} bytes; {} are allowed.", record.size(),
                          kTwinDocumentBytesMax));
}

}  // namespace

bool is_valid_id(std::string_view text) {
  static_assert(kTwinIdCharactersMax == kRelationshipIdCharactersMax);
  if (text.empty() || !is_valid_utf8(text)) return false;
  const auto characters = std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return static_cast<std::size_t>(characters) <= kTwinIdCharactersMax;
}

Status check_match(const Condition& condition, std::string_view etag) {
  if (condition.if_match.empty() || condition.if_match == "*" || condition.if_match == etag)
    return {};
  return fail(
      errors::twins::kPreconditionFailed,
      fmt::format("The If-Match header {} does not match the current ETag.", condition.if_match));
}

TwinService::TwinService(store::Store& store, const Clock& clock, Random& random)
    : store_(store), clock_(clock), random_(random), cache_(store) {}

Task<Status> TwinService::open() { return cache_.ensure_loaded(); }

Stamp TwinService::make_stamp() const {
  return {.etag = fmt::format("W/\"{}\"", random_.uuid()), .time = to_iso8601(clock_.now())};
}

Task<Result<std::optional<DigitalTwin>>> TwinService::find_twin(store::Transaction& tx,
                                                                TwinsInstanceName instance,
                                                                DigitalTwinId id) {
  auto record = co_await tx.get(keys::twin(instance, id));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return std::nullopt;
  auto twin = decode_twin(id, **record);
  if (!twin) co_return fail(std::move(twin.error()));
  co_return std::move(*twin);
}

Task<Result<DigitalTwin>> TwinService::get_for_change(store::Transaction& tx,
                                                      TwinsInstanceName instance, DigitalTwinId id,
                                                      const Condition& condition) {
  auto twin = co_await find_twin(tx, std::move(instance), id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (!*twin) co_return twin_not_found(id);
  if (auto matches = check_match(condition, (*twin)->etag); !matches)
    co_return fail(std::move(matches.error()));
  co_return std::move(**twin);
}

Task<Result<DigitalTwin>> TwinService::put_twin(store::Transaction& tx, TwinsInstanceName instance,
                                                DigitalTwinId id, json::Object body) {
  return put_twin_if(tx, std::move(instance), std::move(id), std::move(body), {});
}

Task<Result<DigitalTwin>> TwinService::put_twin_if(store::Transaction& tx,
                                                   TwinsInstanceName instance, DigitalTwinId id,
                                                   json::Object body, Condition condition) {
  if (!is_valid_id(id.view()))
    co_return fail(
        errors::twins::kInvalidArgument,
        fmt::format("The id of a digital twin has 1 to {} characters.", kTwinIdCharactersMax));
  auto loaded = co_await cache_.ensure_loaded();
  if (!loaded) co_return fail(std::move(loaded.error()));
  auto before = co_await find_twin(tx, instance, id);
  if (!before) co_return fail(std::move(before.error()));
  if (*before && condition.only_if_absent)
    co_return fail(errors::twins::kPreconditionFailed,
                   fmt::format("A digital twin with the id {} exists already.", id.view()));
  if (*before)
    if (auto matches = check_match(condition, (*before)->etag); !matches)
      co_return fail(std::move(matches.error()));

  const auto stamp = make_stamp();
  const auto all_models = cache_.current(instance);
  auto document = make_twin_document(*all_models, id, body, stamp);
  if (!document) co_return fail(std::move(document.error()));
  DigitalTwin twin{
      .id = id, .etag = stamp.etag, .model = {}, .document = std::move(*document), .made_for = {}};
  twin.model = Dtmi(json::get_string_or(twin.document[names::kMetadata], names::kModel, ""));
  if (*before) twin.made_for = (*before)->made_for;
  // Decommissioning bars new twins of the model; those that are there keep working.
  const bool is_new_of_model = !*before || (*before)->model != twin.model;
  if (is_new_of_model && all_models->find(twin.model.view())->is_decommissioned)
    co_return fail(errors::twins::kModelDecommissioned,
                   fmt::format("The model {} is decommissioned; no digital twin can be given it.",
                               twin.model.view()));
  // Not created of a model that is deleted or decommissioned meanwhile.
  if (is_new_of_model) tx.require(keys::model(instance, twin.model.view()));

  auto record = encode(twin);
  if (auto fits = check_size(record); !fits) co_return fail(std::move(fits.error()));
  tx.put(keys::twin(instance, id), std::move(record));
  Change change{.type = kTwinCreated,
                .twin = id,
                .subject = id.str(),
                .id = random_.uuid(),
                .time = stamp.time,
                .data = {},
                .data_schema = {},
                .previous = {}};
  if (*before) {
    change.type = kTwinUpdated;
    change.data = update_data(twin.model, difference((*before)->document, twin.document));
    change.previous = json::write((*before)->document);
  } else {
    change.data = json::write(twin.document);
  }
  stage(tx, instance, change);
  co_return twin;
}

Task<Result<DigitalTwin>> TwinService::patch_twin(store::Transaction& tx,
                                                  TwinsInstanceName instance, DigitalTwinId id,
                                                  std::vector<PatchOperation> patch) {
  return patch_twin_if(tx, std::move(instance), std::move(id), std::move(patch), {});
}

Task<Result<DigitalTwin>> TwinService::patch_twin_if(store::Transaction& tx,
                                                     TwinsInstanceName instance, DigitalTwinId id,
                                                     std::vector<PatchOperation> patch,
                                                     Condition condition) {
  auto twin = co_await get_for_change(tx, instance, std::move(id), condition);
  if (!twin) co_return fail(std::move(twin.error()));
  co_return co_await apply_patch(tx, std::move(instance), std::move(*twin), std::move(patch));
}

Task<Result<DigitalTwin>> TwinService::patch_component_if(store::Transaction& tx,
                                                          TwinsInstanceName instance,
                                                          DigitalTwinId id, std::string component,
                                                          std::vector<PatchOperation> patch,
                                                          Condition condition) {
  auto twin = co_await get_for_change(tx, instance, std::move(id), condition);
  if (!twin) co_return fail(std::move(twin.error()));
  if (auto found = component_of(*twin, component); !found) co_return fail(std::move(found.error()));
  const auto prefix = json::Pointer({component}).to_string();
  for (auto& operation : patch) {
    // Without this an empty path would replace the component, which only the twin's own address
    // can.
    if (operation.path.empty())
      co_return fail(errors::twins::kJsonPatchInvalid,
                     "The JSON Patch provided is invalid: a path is empty.");
    operation.path = prefix + operation.path;
  }
  co_return co_await apply_patch(tx, std::move(instance), std::move(*twin), std::move(patch));
}

Task<Result<DigitalTwin>> TwinService::apply_patch(store::Transaction& tx,
                                                   TwinsInstanceName instance, DigitalTwin twin,
                                                   std::vector<PatchOperation> patch) {
  auto loaded = co_await cache_.ensure_loaded();
  if (!loaded) co_return fail(std::move(loaded.error()));
  const auto stamp = make_stamp();
  const auto all_models = cache_.current(instance);
  const auto old_model = twin.model;
  auto document = patch_twin_document(*all_models, std::move(twin.document), patch, stamp);
  if (!document) co_return fail(std::move(document.error()));
  twin.document = std::move(*document);
  twin.etag = stamp.etag;
  twin.model = Dtmi(json::get_string_or(twin.document[names::kMetadata], names::kModel, ""));
  if (twin.model != old_model) tx.require(keys::model(instance, twin.model.view()));
  auto record = encode(twin);
  if (auto fits = check_size(record); !fits) co_return fail(std::move(fits.error()));
  tx.put(keys::twin(instance, twin.id), std::move(record));
  const Change change{.type = kTwinUpdated,
                      .twin = twin.id,
                      .subject = twin.id.str(),
                      .id = random_.uuid(),
                      .time = stamp.time,
                      .data = update_data(twin.model, to_json(patch)),
                      .data_schema = {},
                      .previous = {}};
  stage(tx, instance, change);
  co_return twin;
}

Task<Status> TwinService::bind_device(store::Transaction& tx, TwinsInstanceName instance,
                                      DigitalTwinId id, DeviceBinding binding) {
  const Condition none;
  auto twin = co_await get_for_change(tx, instance, id, none);
  if (!twin) co_return fail(std::move(twin.error()));
  if (twin->made_for == binding) co_return Status{};
  twin->made_for = std::move(binding);
  tx.put(keys::twin(instance, id), encode(*twin));
  co_return Status{};
}

Task<Status> TwinService::delete_twin_if(store::Transaction& tx, TwinsInstanceName instance,
                                         DigitalTwinId id, Condition condition) {
  auto twin = co_await get_for_change(tx, instance, id, condition);
  if (!twin) co_return fail(std::move(twin.error()));
  tx.require(keys::links(instance, id));  // nobody adds a relationship meanwhile
  for (const auto& prefix : {keys::relationships(instance, id), keys::incomings(instance, id)}) {
    auto some = co_await tx.scan_prefix(prefix, 1);
    if (!some) co_return fail(std::move(some.error()));
    if (!some->empty()) co_return fail(errors::twins::kRelationshipsNotDeleted);
  }
  auto removed = co_await remove_twin_and_relationships(tx, std::move(instance), std::move(id));
  if (!removed) co_return fail(std::move(removed.error()));
  co_return Status{};
}

Task<Result<bool>> TwinService::remove_twin_and_relationships(store::Transaction& tx,
                                                              TwinsInstanceName instance,
                                                              DigitalTwinId id) {
  auto twin = co_await find_twin(tx, instance, id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (!*twin) co_return false;
  const auto time = to_iso8601(clock_.now());
  auto removed = co_await remove_links(tx, instance, id, time);
  if (!removed) co_return fail(std::move(removed.error()));
  tx.erase(keys::twin(instance, id));
  tx.erase(keys::alive(instance, id));
  const Change change{.type = kTwinDeleted,
                      .twin = id,
                      .subject = id.str(),
                      .id = random_.uuid(),
                      .time = time,
                      .data = json::write((*twin)->document),
                      .data_schema = {},
                      .previous = {}};
  stage(tx, instance, change);
  co_return true;
}

Task<Status> TwinService::publish_telemetry(store::Transaction& tx, TwinsInstanceName instance,
                                            DigitalTwinId id, Telemetry telemetry) {
  auto twin = co_await peek_twin(tx, instance, id);
  if (!twin) co_return fail(std::move(twin.error()));
  auto model = twin->model;
  if (!telemetry.component.empty()) {
    if (auto found = component_of(*twin, telemetry.component); !found)
      co_return fail(std::move(found.error()));
    const auto all_models = cache_.current(instance);
    const auto* stored = all_models->find(model.view());
    const auto* content =
        stored == nullptr ? nullptr
                          : stored->model->find(telemetry.component, dtdl::ContentKind::component);
    model = Dtmi(content == nullptr ? std::string() : content->content.component_schema);
  }
  const auto now = to_iso8601(clock_.now());
  const Change change{.type = kTelemetry,
                      .twin = id,
                      .subject = telemetry.component,
                      .id = telemetry.message_id,
                      .time = telemetry.source_time.empty() ? now : telemetry.source_time,
                      .data = std::move(telemetry.payload),
                      .data_schema = model.str(),
                      .previous = {}};
  stage(tx, instance, change);
  co_return Status{};
}

Result<const json::Object*> TwinService::component_of(const DigitalTwin& twin,
                                                      std::string_view component) {
  const auto* member = component.starts_with('$') ? nullptr : twin.document.if_contains(component);
  if (member == nullptr || !is_component(*member))
    return fail(
        errors::twins::kComponentNotFound,
        fmt::format("The digital twin {} does not have component {}.", twin.id.view(), component));
  return &member->get_object();
}

Task<Result<DigitalTwin>> TwinService::peek_twin(store::Transaction& tx, TwinsInstanceName instance,
                                                 DigitalTwinId id) {
  auto record = co_await tx.peek(keys::twin(instance, id));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return twin_not_found(id);
  co_return decode_twin(id, **record);
}

Task<Result<std::optional<DigitalTwin>>> TwinService::get_twin(TwinsInstanceName instance,
                                                               DigitalTwinId id) {
  const auto snapshot = store_.snapshot();
  auto record = co_await snapshot->get(keys::twin(instance, id));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return std::nullopt;
  auto twin = decode_twin(id, **record);
  if (!twin) co_return fail(std::move(twin.error()));
  co_return std::move(*twin);
}

Task<Result<DigitalTwin>> TwinService::get_existing_twin(TwinsInstanceName instance,
                                                         DigitalTwinId id) {
  auto twin = co_await get_twin(std::move(instance), id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (!*twin) co_return twin_not_found(id);
  co_return std::move(**twin);
}

Task<Result<std::vector<DigitalTwinId>>> TwinService::list_twins(TwinsInstanceName instance,
                                                                 DigitalTwinId after,
                                                                 std::size_t limit) {
  const auto snapshot = store_.snapshot();
  const auto prefix = keys::twins(instance);
  auto first = after.empty() ? prefix : keys::twin(instance, after) + '\0';
  auto entries = co_await snapshot->scan(std::move(first), store::after_prefix(prefix), limit);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<DigitalTwinId> ids;
  for (const auto& entry : *entries)
    if (auto parts = store::split_key(entry.key); parts && parts->size() == 3)
      ids.emplace_back(std::move((*parts)[2]));
  co_return ids;
}

Task<Result<Page<DigitalTwin>>> TwinService::list_twin_documents(TwinsInstanceName instance,
                                                                 DigitalTwinId after,
                                                                 std::size_t limit) {
  const auto snapshot = store_.snapshot();
  const auto prefix = keys::twins(instance);
  auto first = after.empty() ? prefix : keys::twin(instance, after) + '\0';
  // One more than fits tells whether another page follows.
  auto entries = co_await snapshot->scan(std::move(first), store::after_prefix(prefix), limit + 1);
  if (!entries) co_return fail(std::move(entries.error()));
  Page<DigitalTwin> page;
  for (const auto& entry : *entries) {
    auto parts = store::split_key(entry.key);
    if (!parts || parts->size() != 3) continue;
    if (page.items.size() == limit) {
      page.next = page.items.back().id.str();
      break;
    }
    auto twin = decode_twin(DigitalTwinId(std::move((*parts)[2])), entry.value);
    if (!twin) co_return fail(std::move(twin.error()));
    page.items.push_back(std::move(*twin));
  }
  co_return page;
}

namespace {

const StoredModel* find_model(const ModelSet& all, const Dtmi& model) {
  return all.find(model.view());
}

std::unexpected<Error> model_not_found(std::string_view id) {
  return fail(errors::twins::kModelNotFound, fmt::format("There is no model with the id {}.", id));
}

}  // namespace

Result<bool> TwinService::has_property(const TwinsInstanceName& instance, const Dtmi& model,
                                       std::string_view name) const {
  const auto all_models = cache_.current(instance);
  const auto* stored = find_model(*all_models, model);
  if (stored == nullptr) return model_not_found(model.view());
  return stored->model->find(name, dtdl::ContentKind::property) != nullptr;
}

Status TwinService::check_property(const TwinsInstanceName& instance, const Dtmi& model,
                                   std::string_view name, const json::Value& value) const {
  const auto all_models = cache_.current(instance);
  const auto* stored = find_model(*all_models, model);
  if (stored == nullptr) return model_not_found(model.view());
  const auto* content = stored->model->find(name, dtdl::ContentKind::property);
  std::vector<std::string> violations;
  if (content == nullptr)
    violations.push_back(fmt::format("{} does not appear on the DTDL for Twin.", name));
  else
    dtdl::check_value(*content->content.schema, value, name, "Twin", violations);
  if (!violations.empty()) return fail(validation_error(violations));
  return {};
}

bool TwinService::has_model(const TwinsInstanceName& instance, const Dtmi& model) const {
  const auto all_models = cache_.current(instance);
  return find_model(*all_models, model) != nullptr;
}

}  // namespace doppel::twins
