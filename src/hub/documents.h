// The JSON of the hub's public objects: devices, modules and device twins (iot-hub.md section 6).
// Names, order and odd spellings are Azure's: statusUpdatedTime in a device is statusUpdateTime in
// a twin.
#pragma once

#include <string>

#include "hub/api.h"
#include "hub/connections.h"
#include "json/value.h"

namespace doppel::hub {

// A twin with what is shown beside it.
struct TwinView {
  Identity identity;
  DeviceTwin twin;
  Presence presence;
};

json::Object device_document(const Identity& identity, const Presence& presence);
json::Object module_document(const Identity& identity, const Presence& presence);
json::Object twin_document(const TwinView& view);
// {"desired": {..., "$version"}, "reported": {..., "$version"}}, as devices read it: no $metadata.
std::string device_view(const DeviceTwin& twin);
// {"desired": ..., "reported": ...} with $metadata and $version.
json::Object twin_properties(const DeviceTwin& twin);

// base64 of the counter's 8 bytes: AAAAAAAAAAE= is 1.
std::string twin_etag(const DeviceTwin& twin);
// ISO 8601, or Azure's text for "never".
std::string time_text(TimePoint time);

// A device or module as a client PUTs it; IDs are in the path and not read here. Errors:
// ArgumentInvalid.
Result<Identity> parse_identity(const json::Value& body);

}  // namespace doppel::hub
