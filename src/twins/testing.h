// What the tests of the twin graph share: a service over the store in memory, driven by hand, and a
// few models.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/testing.h"
#include "store/memory/memory_store.h"
#include "twins/twin_service.h"

namespace doppel::twins::testing {

using doppel::testing::ManualClock;
using doppel::testing::ManualExecutor;

inline json::Value from_text(std::string_view text) {
  auto value = json::parse(text);
  check(value.has_value(), "the test's JSON is well-formed");
  return std::move(*value);
}
inline json::Object object(std::string_view text) { return from_text(text).get_object(); }
inline json::Array array(std::string_view text) { return from_text(text).get_array(); }

// Room extends Space and has a component, a map, an enum, an object and telemetry; Floor has a
// relationship to Rooms with a property, and one to anything.
inline constexpr std::string_view kBuildingModels = R"([
  {"@id": "dtmi:test:Space;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "displayName": "Space",
   "contents": [{"@type": "Property", "name": "label", "schema": "string"}]},
  {"@id": "dtmi:test:Thermostat;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2",
   "contents": [{"@type": "Property", "name": "setPoint", "schema": "double"},
                {"@type": "Property", "name": "mode", "schema": "string"},
                {"@type": "Telemetry", "name": "current", "schema": "double"}]},
  {"@id": "dtmi:test:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "extends": "dtmi:test:Space;1",
   "contents": [
     {"@type": ["Property", "Temperature"], "name": "Temperature", "schema": "double", "unit": "degreeCelsius"},
     {"@type": "Property", "name": "Count", "schema": "integer"},
     {"@type": "Property", "name": "tags", "schema": {"@type": "Map",
        "mapKey": {"name": "key", "schema": "string"}, "mapValue": {"name": "value", "schema": "boolean"}}},
     {"@type": "Property", "name": "state", "schema": {"@type": "Enum", "valueSchema": "string",
        "enumValues": [{"name": "open", "enumValue": "o"}, {"name": "closed", "enumValue": "c"}]}},
     {"@type": "Property", "name": "size", "schema": {"@type": "Object",
        "fields": [{"name": "width", "schema": "double"}, {"name": "depth", "schema": "double"}]}},
     {"@type": "Telemetry", "name": "noise", "schema": "double"},
     {"@type": "Component", "name": "thermo", "schema": "dtmi:test:Thermostat;1"}]},
  {"@id": "dtmi:test:Floor;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "extends": "dtmi:test:Space;1",
   "contents": [
     {"@type": "Property", "name": "Level", "schema": "integer"},
     {"@type": "Relationship", "name": "contains", "target": "dtmi:test:Room;1",
      "properties": [{"@type": "Property", "name": "area", "schema": "double"}]},
     {"@type": "Relationship", "name": "above"}]}
])";

// The smallest twins of two of them.
inline constexpr std::string_view kRoom =
    R"({"$metadata": {"$model": "dtmi:test:Room;1"}, "thermo": {"$metadata": {}}})";
inline constexpr std::string_view kFloor = R"({"$metadata": {"$model": "dtmi:test:Floor;1"}})";

class World {
 public:
  explicit World(store::FaultInjection* faults = nullptr)
      : store(store::open_memory(clock, {.faults = faults})), service(*store, clock, random) {
    const auto opened = run(service.open());
    check(opened.has_value(), "the service opens");
  }

  template <class T>
  T run(Task<T> task) {
    return doppel::testing::run(executor, std::move(task));
  }

  // Runs one staged form in a transaction of its own.
  template <class T, class Stage>
  Result<T> commit(Stage stage) {
    return run(store::transact<T>(*store, std::move(stage)));
  }

  Status upload(std::string_view models = kBuildingModels) {
    return run(service.create_models(instance, array(models), false));
  }
  Result<DigitalTwin> put(std::string_view id, std::string_view body, Condition condition = {}) {
    return commit<DigitalTwin>([&](store::Transaction& tx) {
      return service.put_twin_if(tx, instance, DigitalTwinId(id), object(body), condition);
    });
  }
  Result<DigitalTwin> patch(std::string_view id, std::vector<PatchOperation> operations,
                            Condition condition = {}) {
    return commit<DigitalTwin>([&](store::Transaction& tx) {
      return service.patch_twin_if(tx, instance, DigitalTwinId(id), operations, condition);
    });
  }
  Status erase(std::string_view id, Condition condition = {}) {
    return done([&](store::Transaction& tx) {
      return service.delete_twin_if(tx, instance, DigitalTwinId(id), condition);
    });
  }
  Result<Relationship> relate(std::string_view source, std::string_view id, std::string_view body,
                              Condition condition = {}) {
    return commit<Relationship>([&](store::Transaction& tx) {
      return service.put_relationship_if(tx, instance, DigitalTwinId(source), RelationshipId(id),
                                         object(body), condition);
    });
  }
  Result<DigitalTwin> get(std::string_view id) {
    return run(service.get_existing_twin(instance, DigitalTwinId(id)));
  }

  // As commit(), for forms that yield nothing.
  template <class Stage>
  Status done(Stage stage) {
    const auto staged = [&](store::Transaction& tx) { return as_result(stage(tx)); };
    auto outcome = run(store::transact<bool>(*store, staged));
    if (!outcome) return fail(std::move(outcome.error()));
    return {};
  }

  static Task<Result<bool>> as_result(Task<Status> task) {
    auto status = co_await std::move(task);
    if (!status) co_return fail(std::move(status.error()));
    co_return true;
  }

  ManualClock clock;
  ManualExecutor executor{clock};
  SeededRandom random{7};
  std::unique_ptr<store::Store> store;
  TwinService service;
  const TwinsInstanceName instance{"building"};
};

inline PatchOperation add(std::string path, json::Value value) {
  return {.op = PatchOperation::Op::add, .path = std::move(path), .value = std::move(value)};
}
inline PatchOperation replace(std::string path, json::Value value) {
  return {.op = PatchOperation::Op::replace, .path = std::move(path), .value = std::move(value)};
}
inline PatchOperation remove(std::string path) {
  return {.op = PatchOperation::Op::remove, .path = std::move(path), .value = {}};
}

template <class T>
std::string_view name_of(const Result<T>& result) {
  return result ? "succeeded" : result.error().name();
}

}  // namespace doppel::twins::testing
