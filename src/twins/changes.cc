#include "twins/changes.h"

#include <fmt/core.h>

namespace doppel::twins {
namespace {

std::string_view to_string(PatchOperation::Op op) {
  switch (op) {
    case PatchOperation::Op::add:
      return "add";
    case PatchOperation::Op::replace:
      return "replace";
    case PatchOperation::Op::remove:
      return "remove";
  }
  return {};
}

}  // namespace

events::LogName changes_log(const TwinsInstanceName& instance) {
  return {.space = fmt::format("twins:{}", instance.view()), .name = std::string(kChangesLog)};
}

void stage(store::Transaction& tx, const TwinsInstanceName& instance, const Change& change) {
  events::Event event;
  event.body = change.data;
  event.message_id = change.id;
  event.content_type = "application/json";
  event.content_encoding = "utf-8";
  event.partition_key = change.twin.str();
  auto& properties = event.application_properties;
  const auto add = [&](std::string_view name, std::string_view value) {
    properties.emplace_back(std::string(name), std::string(value));
  };
  add(kEventSpecVersion, "1.0");
  add(kEventId, change.id);
  add(kEventType, change.type);
  add(kEventSubject, change.subject);
  add(kEventTime, change.time);
  if (!change.data_schema.empty()) add(kEventDataSchema, change.data_schema);
  if (!change.previous.empty())
    event.annotations.emplace_back(std::string(kEventPrevious), change.previous);
  const events::Partition partition{
      .log = changes_log(instance),
      .index = events::partition_of(change.twin.view(), kChangesPartitions)};
  events::stage(tx, partition, event);
}

std::string update_data(const Dtmi& model, const json::Array& patch) {
  json::Object data;
  data["modelId"] = model.str();
  data["patch"] = patch;
  return json::write(data);
}

json::Array to_json(const std::vector<PatchOperation>& patch) {
  json::Array out;
  for (const auto& operation : patch) {
    json::Object entry;
    if (operation.op != PatchOperation::Op::remove) entry["value"] = operation.value;
    entry["path"] = operation.path;
    entry["op"] = to_string(operation.op);
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace doppel::twins
