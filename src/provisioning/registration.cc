#include "provisioning/registration.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"

namespace doppel::provisioning {
namespace {

constexpr std::int64_t kFormat = 1;

std::int64_t nanos(TimePoint time) { return time.time_since_epoch().count(); }

TimePoint read_time(const json::Value& stored, std::string_view name) {
  const json::Value* member = json::find(stored, name);
  return TimePoint(Duration(member != nullptr ? json::to_int64(*member).value_or(0) : 0));
}

}  // namespace

std::string encode(const Registration& r) {
  json::Object out;
  out["v"] = kFormat;
  out["id"] = r.id.str();
  out["group"] = r.group;
  if (r.attestation != AttestationType::symmetric_key) out["att"] = to_string(r.attestation);
  if (!r.tpm.empty()) out["tpm"] = r.tpm;
  out["hub"] = r.hub.str();
  if (r.is_remote) out["remote"] = true;
  out["host"] = r.assigned_hub;
  out["device"] = r.device_id.str();
  out["sub"] = r.substatus;
  out["op"] = r.operation_id;
  out["etag"] = r.etag;
  out["created"] = nanos(r.created);
  out["updated"] = nanos(r.updated);
  if (r.payload) out["payload"] = *r.payload;
  return json::write(out);
}

Result<Registration> decode_registration(std::string_view stored) {
  auto parsed = json::parse(stored);
  if (!parsed || !parsed->is_object()) {
    return fail(Code::internal, "a registration record cannot be read");
  }
  const json::Value* format = json::find(*parsed, "v");
  if (format == nullptr || json::to_int64(*format) != kFormat) {
    return fail(Code::internal, "a registration record has an unknown format");
  }
  const auto text = [&](std::string_view name) { return json::get_string_or(*parsed, name, ""); };
  Registration r;
  r.id = RegistrationId(text("id"));
  r.group = text("group");
  r.attestation = parse_attestation_type(text("att")).value_or(AttestationType::symmetric_key);
  r.tpm = text("tpm");
  r.hub = HubName(text("hub"));
  const json::Value* remote = json::find(*parsed, "remote");
  r.is_remote = remote != nullptr && remote->is_bool() && remote->get_bool();
  r.assigned_hub = text("host");
  r.device_id = DeviceId(text("device"));
  r.substatus = text("sub");
  r.operation_id = text("op");
  r.etag = text("etag");
  r.created = read_time(*parsed, "created");
  r.updated = read_time(*parsed, "updated");
  if (const json::Value* payload = json::find(*parsed, "payload")) r.payload = *payload;
  return r;
}

std::string shown_etag(const Registration& r) {
  return base64_encode(fmt::format("\"{}\"", r.etag));
}

json::Object state_json(const Registration& r) {
  json::Object out;
  out["registrationId"] = r.id.str();
  out["createdDateTimeUtc"] = to_iso8601(r.created);
  out["assignedHub"] = r.assigned_hub;
  out["deviceId"] = r.device_id.str();
  out["status"] = "assigned";
  out["substatus"] = r.substatus;
  out["lastUpdatedDateTimeUtc"] = to_iso8601(r.updated);
  out["etag"] = shown_etag(r);
  if (r.payload) out["payload"] = *r.payload;
  return out;
}

json::Object result_json(const Registration& r) {
  json::Object out = state_json(r);
  json::Object admitted;
  if (!r.group.empty()) admitted["enrollmentGroupId"] = r.group;
  // Captures show an empty object for individual certificates, and nothing for individual keys.
  if (!r.group.empty() || r.attestation == AttestationType::x509) {
    out[to_string(r.attestation)] = std::move(admitted);
  }
  return out;
}

}  // namespace doppel::provisioning
