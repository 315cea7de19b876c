#include "functions/effects.h"

#include <utility>

#include "json/value.h"

namespace doppel::functions {
namespace {

// The tag with which a device twin names its digital twin.
constexpr std::string_view kTwinIdTag = "dtId";

// The digital twin of a device: the one its tag names, else the one named like it.
std::optional<std::string> named_twin(const json::Object& tags) {
  const auto* tag = tags.if_contains(kTwinIdTag);
  if (tag == nullptr || !json::is_string(*tag) || tag->get_string().empty()) return std::nullopt;
  return std::string(json::view(tag->get_string()));
}

// Tags in the body of a deletion event, which is the device twin as it was.
std::optional<std::string> twin_named_by(const events::EventView& deletion) {
  const auto body = json::parse(deletion.body);
  if (!body) return std::nullopt;
  const auto* tags = json::find(*body, "tags");
  return tags != nullptr && tags->is_object() ? named_twin(tags->get_object()) : std::nullopt;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::telemetry_applied:
      return "telemetry_applied";
    case Outcome::telemetry_without_twin:
      return "telemetry_without_twin";
    case Outcome::telemetry_without_property:
      return "telemetry_without_property";
    case Outcome::telemetry_of_earlier_device:
      return "telemetry_of_earlier_device";
    case Outcome::telemetry_parked:
      return "telemetry_parked";
    case Outcome::twin_deleted:
      return "twin_deleted";
    case Outcome::twin_kept:
      return "twin_kept";
    case Outcome::no_twin_to_delete:
      return "no_twin_to_delete";
    case Outcome::ignored:
      return "ignored";
  }
  return "?";
}

Task<Result<Outcome>> Effects::apply(const events::EventView& event) {
  const auto source = event.annotation(hub::kMessageSource).value_or("");
  const DeviceId device(event.annotation(hub::kConnectionDeviceId).value_or(""));
  // Modules have no digital twin of their own.
  if (device.empty() || event.annotation(hub::kConnectionModuleId)) co_return Outcome::ignored;
  if (source == hub::kSourceTelemetry) co_return co_await apply_telemetry(event, device);
  // opType is an application property, never a body field (iot-hub.md section 9.1).
  if (source == hub::kSourceLifecycle && event.property(hub::kOpType) == hub::kDeleteDevice)
    co_return co_await apply_delete(event, device);
  co_return Outcome::ignored;
}

Task<Result<Effects::Target*>> Effects::target_of(DeviceId device) {
  if (const auto known = targets_.find(device); known != targets_.end()) co_return &known->second;
  Target target;
  target.twin_id = DigitalTwinId(device.view());
  auto device_twin = co_await context_.hubs.find_twin(tx_, context_.hub, device);
  if (!device_twin) co_return fail(std::move(device_twin.error()));
  if (device_twin->has_value()) {
    if (auto named = named_twin((*device_twin)->tags)) {
      target.twin_id = DigitalTwinId(std::move(*named));
      target.is_expected = true;
    }
  }
  auto twin = co_await context_.twins.find_twin(tx_, context_.settings.instance, target.twin_id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (twin->has_value()) {
    target.exists = true;
    target.model = (*twin)->model;
    target.made_for = (*twin)->made_for;
  }
  co_return &targets_.insert_or_assign(std::move(device), std::move(target)).first->second;
}

Task<Result<Outcome>> Effects::apply_telemetry(const events::EventView& event, DeviceId device) {
  auto found = co_await target_of(std::move(device));
  if (!found) co_return fail(std::move(found.error()));
  Target& target = **found;
  if (!target.exists)
    co_return target.is_expected ? Outcome::telemetry_parked : Outcome::telemetry_without_twin;

  const auto generation = event.annotation(hub::kConnectionGenerationId);
  if (target.made_for && generation && target.made_for->generation.view() != *generation)
    co_return Outcome::telemetry_of_earlier_device;

  const auto body = json::parse(event.body);
  if (!body || !body->is_object()) co_return Outcome::telemetry_without_property;
  bool any = false;
  for (const auto& member : body->get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    if (!context_.twins.check_property(context_.settings.instance, target.model, name,
                                       member.value()))
      continue;
    target.pending.insert_or_assign(std::string(name), member.value());
    any = true;
  }
  co_return any ? Outcome::telemetry_applied : Outcome::telemetry_without_property;
}

Task<Result<Outcome>> Effects::apply_delete(const events::EventView& event, DeviceId device) {
  const DigitalTwinId id(twin_named_by(event).value_or(device.str()));
  // What was folded for any device that writes to this twin goes with it or stays with its new
  // owner, in order.
  for (auto& [other, target] : targets_) {
    if (target.twin_id != id) continue;
    if (auto settled = co_await settle(target); !settled)
      co_return fail(std::move(settled.error()));
  }
  std::erase_if(targets_, [&](const auto& entry) { return entry.second.twin_id == id; });

  auto twin = co_await context_.twins.find_twin(tx_, context_.settings.instance, id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (!twin->has_value()) co_return Outcome::no_twin_to_delete;
  // A late event never removes the twin of a device that was provisioned again; a twin made by hand
  // goes too.
  const auto generation = event.property(hub::kGenerationIdProperty);
  const auto& made_for = (*twin)->made_for;
  if (made_for && generation && made_for->generation.view() != *generation)
    co_return Outcome::twin_kept;

  auto removed =
      co_await context_.twins.remove_twin_and_relationships(tx_, context_.settings.instance, id);
  if (!removed) co_return fail(std::move(removed.error()));
  co_return *removed ? Outcome::twin_deleted : Outcome::no_twin_to_delete;
}

Task<Status> Effects::settle(Target& target) {
  if (target.pending.empty()) co_return Status{};
  std::vector<twins::PatchOperation> patch;
  for (auto& [name, value] : target.pending) {
    // `add` also sets a property that has no value yet, where the sample's `replace` would fail.
    patch.push_back(
        {.op = twins::PatchOperation::Op::add, .path = "/" + name, .value = std::move(value)});
  }
  target.pending.clear();
  auto patched = co_await context_.twins.patch_twin(tx_, context_.settings.instance, target.twin_id,
                                                    std::move(patch));
  if (!patched) co_return fail(std::move(patched.error()));
  co_return Status{};
}

Task<Status> Effects::finish() {
  for (auto& [device, target] : targets_) {
    if (auto settled = co_await settle(target); !settled) co_return settled;
  }
  co_return Status{};
}

}  // namespace doppel::functions
