// The instance's own log of what happened to its digital twins: staged into the commit that makes
// it happen, read by event routes, property history and whoever wants to know what a twin was like
// before it was replaced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "events/api.h"
#include "json/value.h"
#include "store/transaction.h"
#include "twins/api.h"

namespace doppel::twins {

inline constexpr std::string_view kChangesLog = "changes";
// One twin's events are in one partition, in order. Fixed: another number would split them.
inline constexpr std::uint32_t kChangesPartitions = 4;

events::LogName changes_log(const TwinsInstanceName& instance);

// Attributes of CloudEvents 1.0, as Azure puts them into application properties on Event Hubs.
// `source` is not kept: it is the host name that the instance has when the event is sent on.
inline constexpr std::string_view kEventType = "cloudEvents:type";
inline constexpr std::string_view kEventSubject = "cloudEvents:subject";
inline constexpr std::string_view kEventTime = "cloudEvents:time";
inline constexpr std::string_view kEventId = "cloudEvents:id";
inline constexpr std::string_view kEventSpecVersion = "cloudEvents:specversion";
inline constexpr std::string_view kEventDataSchema = "cloudEvents:dataschema";
// Annotation: the document before a PUT replaced it. For us; never sent on.
inline constexpr std::string_view kEventPrevious = "doppel-previous";

inline constexpr std::string_view kTwinCreated = "Microsoft.DigitalTwins.Twin.Create";
inline constexpr std::string_view kTwinUpdated = "Microsoft.DigitalTwins.Twin.Update";
inline constexpr std::string_view kTwinDeleted = "Microsoft.DigitalTwins.Twin.Delete";
inline constexpr std::string_view kRelationshipCreated =
    "Microsoft.DigitalTwins.Relationship.Create";
inline constexpr std::string_view kRelationshipUpdated =
    "Microsoft.DigitalTwins.Relationship.Update";
inline constexpr std::string_view kRelationshipDeleted =
    "Microsoft.DigitalTwins.Relationship.Delete";
inline constexpr std::string_view kTelemetry =
    "microsoft.iot.telemetry";  // lower case, unlike the others

struct Change {
  std::string_view type;
  DigitalTwinId twin;   // whose partition it goes to; of a relationship, its source
  std::string subject;  // the twin's id, "<twin>/relationships/<id>", or of telemetry the component
  std::string id;       // unique
  std::string time;     // ISO 8601, seven fraction digits
  std::string data;     // JSON text
  std::string data_schema;  // of telemetry: the model
  std::string previous;     // JSON text; empty: none
};
void stage(store::Transaction& tx, const TwinsInstanceName& instance, const Change& change);

// {"modelId": ..., "patch": [...]}, the data of an update.
std::string update_data(const Dtmi& model, const json::Array& patch);
json::Array to_json(const std::vector<PatchOperation>& patch);

}  // namespace doppel::twins
