// Models of digital twins: upload, decommission, delete; and the end of a whole instance.
#include <utility>

#include <errors/twins.h>
#include <fmt/core.h>

#include "twins/changes.h"
#include "twins/keys.h"
#include "twins/limits.h"
#include "twins/twin_service.h"

namespace doppel::twins {
namespace {

constexpr std::size_t kPurgeBatch = 1000;

Error parser_error(const std::vector<std::string>& lines) {
  std::string message(errors::twins::kDTDLParserError.text);
  for (const auto& line : lines) {
    message += '\n';
    for (const char c : line) message += c == '\n' ? ' ' : c;
  }
  return {.code = errors::twins::kDTDLParserError.code,
          .message = std::move(message),
          .service = &errors::twins::kDTDLParserError};
}

// Every change of models reads and raises this number, so two of them never decide on the same
// state.
void raise_revision(store::Transaction& tx, const TwinsInstanceName& instance,
                    const ModelSet& models) {
  tx.put(keys::model_revision(instance), std::to_string(models.revision() + 1));
}

Status check_upload(const json::Array& models) {
  if (models.empty()) return fail(errors::twins::kInvalidArgument, "The request holds no models.");
  if (models.size() > kModelsPerRequestMax)
    return fail(errors::twins::kLimitExceeded,
                fmt::format("The request holds {} models; {} are allowed.", models.size(),
                            kModelsPerRequestMax));
  for (const auto& model : models) {
    if (!model.is_object())
      return fail(errors::twins::kInvalidArgument,
                  "Each model must be a JSON object that is a DTDL Interface.");
    if (json::write(model).size() > kModelBytesMax)
      return fail(errors::twins::kLimitExceeded,
                  fmt::format("The model {} is larger than {} bytes.",
                              json::get_string_or(model, "@id", "without @id"), kModelBytesMax));
  }
  return {};
}

Task<Result<ModelRecord>> get_record(store::Transaction& tx, TwinsInstanceName instance,
                                     std::string id) {
  auto text = co_await tx.get(keys::model(instance, id));
  if (!text) co_return fail(std::move(text.error()));
  if (!*text)
    co_return fail(errors::twins::kModelNotFound,
                   fmt::format("There is no model with the id {}.", id));
  co_return decode_model(**text);
}

std::string names_of(const std::vector<StoredModelPtr>& models) {
  std::string names;
  for (const auto& model : models) names += (names.empty() ? "" : ", ") + model->id();
  return names;
}

}  // namespace

Task<Result<std::vector<StoredModelPtr>>> TwinService::add_models(store::Transaction& tx,
                                                                  TwinsInstanceName instance,
                                                                  json::Array models) {
  if (auto fits = check_upload(models); !fits) co_return fail(std::move(fits.error()));
  auto there = co_await cache_.in_transaction(tx, instance);
  if (!there) co_return fail(std::move(there.error()));
  const ModelSet& known = **there;
  if (known.size() + models.size() > kModelsPerInstanceMax)
    co_return fail(
        errors::twins::kLimitExceeded,
        fmt::format("The instance would hold more than {} models.", kModelsPerInstanceMax));

  dtdl::Problems problems;
  std::vector<dtdl::Interface> interfaces;
  for (const auto& model : models) interfaces.push_back(dtdl::parse_interface(model, problems));
  if (problems.has_unsupported_version())
    co_return fail(errors::twins::kModelVersionNotSupported, problems.lines().front());
  if (!problems.empty()) co_return fail(parser_error(problems.lines()));
  std::string taken;
  for (const auto& interface : interfaces)
    if (known.find(interface.id) != nullptr) taken += (taken.empty() ? "" : ", ") + interface.id;
  if (!taken.empty())
    co_return fail(
        errors::twins::kModelIdAlreadyExists,
        fmt::format(
            "Some of the model ids already exist: {}. Delete or decommission a model before "
            "another one takes its place, or use a new version.",
            taken));
  const auto find_known = [&](std::string_view id) -> dtdl::ModelPtr {
    const auto* stored = known.find(id);
    return stored == nullptr ? nullptr : stored->model;
  };
  auto linked = dtdl::link(std::move(interfaces), find_known, problems);
  if (!problems.empty()) co_return fail(parser_error(problems.lines()));

  std::vector<StoredModelPtr> out;
  const auto now = clock_.now();
  for (std::size_t i = 0; i < linked.size(); ++i) {
    auto stored = std::make_shared<StoredModel>();
    stored->model = std::move(linked[i]);
    stored->sequence = (known.revision() + 1) * kModelsPerRequestMax + i;
    stored->uploaded = now;
    ModelRecord record{.sequence = stored->sequence,
                       .uploaded = stored->uploaded,
                       .is_decommissioned = false,
                       .document = std::move(models[i])};
    tx.put(keys::model(instance, stored->id()), encode(record));
    out.push_back(std::move(stored));
  }
  raise_revision(tx, instance, known);
  co_return out;
}

Task<Status> TwinService::set_decommissioned(store::Transaction& tx, TwinsInstanceName instance,
                                             std::string id, bool is_decommissioned) {
  auto there = co_await cache_.in_transaction(tx, instance);
  if (!there) co_return fail(std::move(there.error()));
  auto record = co_await get_record(tx, instance, id);
  if (!record) co_return fail(std::move(record.error()));
  if (record->is_decommissioned == is_decommissioned) co_return Status{};
  if (is_decommissioned) {
    auto users = (*there)->referrers(id);
    std::erase_if(users, [](const StoredModelPtr& user) { return user->is_decommissioned; });
    if (!users.empty())
      co_return fail(
          errors::twins::kModelReferencesNotDecommissioned,
          fmt::format("The model {} is referred to by models that are not decommissioned: {}.", id,
                      names_of(users)));
  }
  record->is_decommissioned = is_decommissioned;
  tx.put(keys::model(instance, id), encode(*record));
  raise_revision(tx, instance, **there);
  co_return Status{};
}

Task<Status> TwinService::delete_model(store::Transaction& tx, TwinsInstanceName instance,
                                       std::string id) {
  auto there = co_await cache_.in_transaction(tx, instance);
  if (!there) co_return fail(std::move(there.error()));
  if ((*there)->find(id) == nullptr)
    co_return fail(errors::twins::kModelNotFound,
                   fmt::format("There is no model with the id {}.", id));
  const auto users = (*there)->referrers(id);
  if (!users.empty())
    co_return fail(errors::twins::kModelReferencesNotDeleted,
                   fmt::format("The model {} is referred to by: {}. Delete these first.", id,
                               names_of(users)));
  tx.erase(keys::model(instance, id));
  raise_revision(tx, instance, **there);
  co_return Status{};
}

Task<Result<json::Value>> TwinService::get_definition(TwinsInstanceName instance, std::string id) {
  const auto snapshot = store_.snapshot();
  auto text = co_await snapshot->get(keys::model(instance, id));
  if (!text) co_return fail(std::move(text.error()));
  if (!*text)
    co_return fail(errors::twins::kModelNotFound,
                   fmt::format("There is no model with the id {}.", id));
  auto record = decode_model(**text);
  if (!record) co_return fail(std::move(record.error()));
  co_return std::move(record->document);
}

Task<Status> TwinService::create_models(TwinsInstanceName instance, json::Array models,
                                        bool skip_existing) {
  const auto add = [&](store::Transaction& tx) -> Task<Result<std::vector<StoredModelPtr>>> {
    json::Array wanted;
    for (const auto& model : models) {
      if (skip_existing) {
        auto there = co_await tx.get(keys::model(instance, json::get_string_or(model, "@id", "")));
        if (!there) co_return fail(std::move(there.error()));
        if (*there) {
          auto record = decode_model(**there);
          if (!record) co_return fail(std::move(record.error()));
          if (json::equal(record->document, model)) continue;
        }
      }
      wanted.push_back(model);
    }
    if (wanted.empty() && skip_existing) co_return std::vector<StoredModelPtr>{};
    co_return co_await add_models(tx, instance, std::move(wanted));
  };
  auto added = co_await store::transact<std::vector<StoredModelPtr>>(store_, add);
  if (!added) co_return fail(std::move(added.error()));
  co_return Status{};
}

Task<Status> TwinService::purge_prefix(std::string prefix) {
  const auto last = store::after_prefix(prefix);
  for (;;) {
    const auto erase_some = [&](store::Transaction& tx) -> Task<Result<bool>> {
      auto entries = co_await tx.scan(prefix, last, kPurgeBatch);
      if (!entries) co_return fail(std::move(entries.error()));
      for (auto& entry : *entries) tx.erase(std::move(entry.key));
      co_return entries->size() == kPurgeBatch;
    };
    auto more = co_await store::transact<bool>(store_, erase_some);
    if (!more) co_return fail(std::move(more.error()));
    if (!*more) co_return Status{};
  }
}

Task<Status> TwinService::purge(TwinsInstanceName instance) {
  for (const auto kind : {keys::kRelationship, keys::kIncoming, keys::kLinks, keys::kAlive,
                          keys::kTwin, keys::kModel, keys::kModelRevision}) {
    auto purged = co_await purge_prefix(store::key({kind, instance.view()}));
    if (!purged) co_return purged;
  }
  for (std::uint32_t index = 0; index < kChangesPartitions; ++index) {
    const events::Partition partition{.log = changes_log(instance), .index = index};
    auto dropped = co_await store_.drop_stream(events::stream_name(partition));
    if (!dropped) co_return dropped;
  }
  co_return Status{};
}

}  // namespace doppel::twins
