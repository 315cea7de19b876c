#include "hub/documents.h"

#include <fmt/core.h>

#include "base/bytes.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/hub.h"
#include "hub/identity_rules.h"
#include "hub/twin_merge.h"

namespace doppel::hub {
namespace {

json::Value text_or_null(std::string_view text) {
  return text.empty() ? json::Value(nullptr) : json::Value(text);
}

json::Object thumbprints(const Authentication& authentication) {
  return {{"primaryThumbprint", text_or_null(authentication.primary_thumbprint)},
          {"secondaryThumbprint", text_or_null(authentication.secondary_thumbprint)}};
}

json::Object authentication_document(const Authentication& authentication) {
  const json::Object keys{{"primaryKey", text_or_null(authentication.primary_key)},
                          {"secondaryKey", text_or_null(authentication.secondary_key)}};
  return {{"symmetricKey", keys},
          {"x509Thumbprint", thumbprints(authentication)},
          {"type", to_string(authentication.type)}};
}

std::string_view connection_state(const Presence& presence) {
  return presence.connected ? "Connected" : "Disconnected";
}

void add_scopes(json::Object& document, const Identity& identity) {
  if (!identity.device_scope.empty()) document["deviceScope"] = identity.device_scope;
}

Result<AuthenticationType> parse_type(std::string_view text) {
  for (const auto type : {AuthenticationType::sas, AuthenticationType::self_signed,
                          AuthenticationType::certificate_authority, AuthenticationType::none})
    if (equal_ignoring_case(text, to_string(type))) return type;
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("'{}' is not a type of authentication.", text));
}

std::unexpected<Error> wrong_type(std::string_view member) {
  return fail(errors::hub::kArgumentInvalid, fmt::format("'{}' has the wrong type.", member));
}

// Copies a text member that may be absent or null.
Status read_text(const json::Value& object, std::string_view name, std::string& to) {
  const auto* member = json::find(object, name);
  if (member == nullptr || member->is_null()) return {};
  if (!json::is_string(*member)) return wrong_type(name);
  to = json::view(member->get_string());
  return {};
}

// A member that may be absent or null; null when it is. Anything but an object is refused.
Result<const json::Value*> read_object(const json::Value& object, std::string_view name) {
  const auto* member = json::find(object, name);
  if (member == nullptr || member->is_null()) return nullptr;
  if (!member->is_object()) return wrong_type(name);
  return member;
}

Result<Authentication> parse_authentication(const json::Value& body) {
  Authentication parsed;
  const auto authentication = read_object(body, "authentication");
  if (!authentication) return fail(authentication.error());
  if (*authentication == nullptr) return parsed;
  const auto keys = read_object(**authentication, "symmetricKey");
  if (!keys) return fail(keys.error());
  if (*keys != nullptr) {
    if (auto ok = read_text(**keys, "primaryKey", parsed.primary_key); !ok) return fail(ok.error());
    if (auto ok = read_text(**keys, "secondaryKey", parsed.secondary_key); !ok)
      return fail(ok.error());
  }
  const auto prints = read_object(**authentication, "x509Thumbprint");
  if (!prints) return fail(prints.error());
  if (*prints != nullptr) {
    if (auto ok = read_text(**prints, "primaryThumbprint", parsed.primary_thumbprint); !ok)
      return fail(ok.error());
    if (auto ok = read_text(**prints, "secondaryThumbprint", parsed.secondary_thumbprint); !ok)
      return fail(ok.error());
  }
  std::string type;
  if (auto ok = read_text(**authentication, "type", type); !ok) return fail(ok.error());
  if (type.empty()) {
    // Older clients name no type; a thumbprint says it.
    parsed.type = parsed.primary_thumbprint.empty() && parsed.secondary_thumbprint.empty()
                      ? AuthenticationType::sas
                      : AuthenticationType::self_signed;
    return parsed;
  }
  const auto named = parse_type(type);
  if (!named) return fail(named.error());
  parsed.type = *named;
  if (parsed.type != AuthenticationType::sas) {
    parsed.primary_key.clear();
    parsed.secondary_key.clear();
  }
  if (parsed.type != AuthenticationType::self_signed) {
    parsed.primary_thumbprint.clear();
    parsed.secondary_thumbprint.clear();
  }
  return parsed;
}

}  // namespace

std::string time_text(TimePoint time) {
  return time == TimePoint{} ? std::string(kNeverText) : to_iso8601(time);
}

std::string twin_etag(const DeviceTwin& twin) {
  std::string bytes;
  append_be(bytes, twin.etag);
  return base64_encode(bytes);
}

json::Object device_document(const Identity& identity, const Presence& presence) {
  json::Object document{
      {"deviceId", identity.device_id.view()},
      {"generationId", identity.generation.view()},
      {"etag", identity.etag.view()},
      {"connectionState", connection_state(presence)},
      {"status", to_string(identity.status)},
      {"statusReason", text_or_null(identity.status_reason)},
      {"connectionStateUpdatedTime", time_text(presence.state_changed)},
      {"statusUpdatedTime", time_text(identity.status_updated)},
      {"lastActivityTime", time_text(presence.last_activity)},
      {"cloudToDeviceMessageCount", 0},
      {"authentication", authentication_document(identity.authentication)},
      {"capabilities", json::Object{{"iotEdge", identity.iot_edge}}},
  };
  add_scopes(document, identity);
  return document;
}

json::Object module_document(const Identity& identity, const Presence& presence) {
  return {
      {"moduleId", identity.module_id.view()},
      {"managedBy", nullptr},
      {"deviceId", identity.device_id.view()},
      {"generationId", identity.generation.view()},
      {"etag", identity.etag.view()},
      {"connectionState", connection_state(presence)},
      {"connectionStateUpdatedTime", time_text(presence.state_changed)},
      {"lastActivityTime", time_text(presence.last_activity)},
      {"cloudToDeviceMessageCount", 0},
      {"authentication", authentication_document(identity.authentication)},
  };
}

json::Object twin_properties(const DeviceTwin& twin) {
  return {
      {"desired", shown_section(twin.desired, &twin.desired_metadata, twin.desired_version)},
      {"reported", shown_section(twin.reported, &twin.reported_metadata, twin.reported_version)}};
}

json::Object twin_document(const TwinView& view) {
  const auto& identity = view.identity;
  json::Object document{{"deviceId", identity.device_id.view()}};
  if (!identity.module_id.empty()) document["moduleId"] = identity.module_id.view();
  document["etag"] = twin_etag(view.twin);
  document["deviceEtag"] = identity.etag.view();
  document["status"] = to_string(identity.status);
  if (!identity.status_reason.empty()) document["statusReason"] = identity.status_reason;
  document["statusUpdateTime"] = time_text(identity.status_updated);
  document["connectionState"] = connection_state(view.presence);
  document["lastActivityTime"] = time_text(view.presence.last_activity);
  document["cloudToDeviceMessageCount"] = 0;
  document["authenticationType"] = to_string(identity.authentication.type);
  document["x509Thumbprint"] = thumbprints(identity.authentication);
  document["modelId"] = view.twin.model_id;
  document["version"] = view.twin.version;
  document["tags"] = view.twin.tags;
  document["properties"] = twin_properties(view.twin);
  if (identity.module_id.empty()) {
    document["capabilities"] = json::Object{{"iotEdge", identity.iot_edge}};
    add_scopes(document, identity);
  }
  return document;
}

std::string device_view(const DeviceTwin& twin) {
  std::string out = "{\"desired\":";
  json::write_to(out, shown_section(twin.desired, nullptr, twin.desired_version));
  out += ",\"reported\":";
  json::write_to(out, shown_section(twin.reported, nullptr, twin.reported_version));
  out += '}';
  return out;
}

Result<Identity> parse_identity(const json::Value& body) {
  if (!body.is_object())
    return fail(errors::hub::kDeserializationError, "The body must be a JSON object.");
  Identity identity;
  auto authentication = parse_authentication(body);
  if (!authentication) return fail(authentication.error());
  identity.authentication = std::move(*authentication);

  std::string status;
  if (auto ok = read_text(body, "status", status); !ok) return fail(ok.error());
  if (equal_ignoring_case(status, "disabled")) {
    identity.status = DeviceStatus::disabled;
  } else if (!status.empty() && !equal_ignoring_case(status, "enabled")) {
    return fail(errors::hub::kArgumentInvalid, fmt::format("'{}' is not a status.", status));
  }
  if (auto ok = read_text(body, "statusReason", identity.status_reason); !ok)
    return fail(ok.error());
  if (auto ok = read_text(body, "deviceScope", identity.device_scope); !ok) return fail(ok.error());
  const auto capabilities = read_object(body, "capabilities");
  if (!capabilities) return fail(capabilities.error());
  if (*capabilities != nullptr) {
    const auto* edge = json::find(**capabilities, "iotEdge");
    if (edge != nullptr && !edge->is_null()) {
      if (!edge->is_bool()) return wrong_type("iotEdge");
      identity.iot_edge = edge->get_bool();
    }
  }
  return identity;
}

}  // namespace doppel::hub
