#include "provisioning/remote_hub.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/twin_text.h"
#include "security/sas.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kExcerptMax = 400;  // bytes of a refusal that the device is told

// The hub's own error text when it sent one: {"Message":"ErrorCode:...","ExceptionMessage":"..."},
// which is what Azure's service puts into errorMessage, JSON inside JSON (dps.md section 1.6).
Error refusal(const RemoteReply& reply) {
  std::string text = fmt::format("the linked hub answered with status {}", reply.status);
  if (const auto body = json::parse(reply.body); body && json::find_string(*body, "Message")) {
    text = json::write(*body).substr(0, kExcerptMax);
  }
  return Error{.code = errors::dps::kLinkedHubRefused.code,
               .message = std::move(text),
               .service = &errors::dps::kLinkedHubRefused};
}

// Nothing when the reply is a good one.
std::optional<Error> error_of(const Result<RemoteReply>& reply) {
  if (!reply) {
    if (reply.error().code == Code::cancelled) return reply.error();
    return Error{.code = Code::unavailable,
                 .message = "the linked hub cannot be reached: " + reply.error().message,
                 .service = &errors::dps::kUnavailable};
  }
  const int status = reply->status;
  if (status >= 200 && status < 300) return std::nullopt;
  if (status == 409) return fail(Code::already_exists, "the device exists").error();
  if (status == 412) return fail(Code::precondition_failed, "the device changed").error();
  if (status == 408 || status == 429 || status >= 500) {
    return Error{.code = Code::unavailable,
                 .message = fmt::format("the linked hub answered with status {}", status),
                 .service = &errors::dps::kUnavailable};
  }
  return refusal(*reply);
}

std::unexpected<Error> nonsense() {
  return fail(errors::dps::kLinkedHubRefused, "the linked hub's answer is not one of an IoT hub");
}

std::string_view type_text(hub::AuthenticationType type) {
  switch (type) {
    case hub::AuthenticationType::sas:
      return "sas";
    case hub::AuthenticationType::self_signed:
      return "selfSigned";
    case hub::AuthenticationType::certificate_authority:
      return "certificateAuthority";
    case hub::AuthenticationType::none:
      return "none";
  }
  return "none";
}

hub::AuthenticationType parse_type(std::string_view text) {
  for (const auto type : {hub::AuthenticationType::sas, hub::AuthenticationType::self_signed,
                          hub::AuthenticationType::certificate_authority}) {
    if (equal_ignoring_case(text, type_text(type))) return type;
  }
  return hub::AuthenticationType::none;
}

json::Value authentication_json(const hub::Authentication& authentication) {
  json::Object out;
  out["type"] = type_text(authentication.type);
  if (authentication.type == hub::AuthenticationType::sas) {
    out["symmetricKey"] = json::Object{{"primaryKey", authentication.primary_key},
                                       {"secondaryKey", authentication.secondary_key}};
  }
  if (authentication.type == hub::AuthenticationType::self_signed) {
    out["x509Thumbprint"] =
        json::Object{{"primaryThumbprint", authentication.primary_thumbprint},
                     {"secondaryThumbprint", authentication.secondary_thumbprint}};
  }
  return out;
}

hub::Authentication read_authentication(const json::Value& document) {
  hub::Authentication read;
  const json::Value* given = json::find(document, "authentication");
  if (given == nullptr) return read;
  read.type = parse_type(json::get_string_or(*given, "type", "sas"));
  if (const json::Value* keys = json::find(*given, "symmetricKey")) {
    read.primary_key = json::get_string_or(*keys, "primaryKey", "");
    read.secondary_key = json::get_string_or(*keys, "secondaryKey", "");
  }
  if (const json::Value* prints = json::find(*given, "x509Thumbprint")) {
    read.primary_thumbprint = json::get_string_or(*prints, "primaryThumbprint", "");
    read.secondary_thumbprint = json::get_string_or(*prints, "secondaryThumbprint", "");
  }
  return read;
}

Result<RemoteIdentity> read_identity(const std::string& body) {
  auto document = json::parse(body);
  if (!document || !document->is_object()) return nonsense();
  RemoteIdentity read;
  read.generation = GenerationId(json::get_string_or(*document, "generationId", ""));
  std::string_view etag = json::find_string(*document, "etag").value_or("");
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) {
    etag = etag.substr(1, etag.size() - 2);
  }
  read.etag = etag;
  read.status_reason = json::get_string_or(*document, "statusReason", "");
  read.authentication = read_authentication(*document);
  if (const json::Value* capabilities = json::find(*document, "capabilities")) {
    const json::Value* edge = json::find(*capabilities, "iotEdge");
    read.iot_edge = edge != nullptr && edge->is_bool() && edge->get_bool();
  }
  if (read.generation.empty() || read.etag.empty()) return nonsense();
  read.document = std::move(document->get_object());
  return read;
}

std::string device_path(const DeviceId& device) {
  return "/devices/" + percent_encode(device.view());
}
std::string twin_path(const DeviceId& device) { return "/twins/" + percent_encode(device.view()); }
std::string in_quotes(std::string_view etag) { return fmt::format("\"{}\"", etag); }

}  // namespace

Task<Result<Duration>> RemoteTransport::connect_time(std::string, RemoteTimeouts, std::stop_token) {
  co_return fail(Code::unsupported, "connections are not measured here");
}

hub::Identity RemoteIdentity::identity(const DeviceId& device) const {
  hub::Identity out;
  out.device_id = device;
  out.generation = generation;
  out.etag = Etag(etag);
  const bool is_disabled =
      json::get_string_or(json::Value(document), "status", "enabled") == "disabled";
  out.status = is_disabled ? hub::DeviceStatus::disabled : hub::DeviceStatus::enabled;
  out.status_reason = is_disabled ? status_reason : std::string();
  out.authentication = authentication;
  out.iot_edge = iot_edge;
  return out;
}

RemoteAddress address_of(const resources::LinkedHub& linked) {
  return {.authority = linked.authority, .key_name = linked.key_name, .key = linked.key};
}

std::string remote_name(const resources::LinkedHub& linked) { return to_lower(linked.host_name); }

bool is_usable(const resources::LinkedHub& linked) {
  return linked.hub.has_value() || (!linked.authority.empty() && !linked.key.empty());
}

bool same_credentials(const hub::Authentication& a, const hub::Authentication& b) {
  return a.type == b.type && a.primary_key == b.primary_key && a.secondary_key == b.secondary_key &&
         equal_ignoring_case(a.primary_thumbprint, b.primary_thumbprint) &&
         equal_ignoring_case(a.secondary_thumbprint, b.secondary_thumbprint);
}

Task<Result<RemoteReply>> RemoteHub::call(std::string method, std::string path,
                                          std::string if_match, std::string body) const {
  auto token = security::make_sas(address_.authority, address_.key, security::KeyForm::base64,
                                  address_.key_name, clock_.now() + kRemoteTokenLife);
  if (!token) co_return fail(errors::dps::kLinkedHubRefused, "the key of the link is not base64");
  RemoteRequest request;
  request.method = std::move(method);
  request.url =
      fmt::format("https://{}{}?api-version={}", address_.authority, path, kHubApiVersion);
  request.headers.emplace_back("Authorization", *std::move(token));
  if (!if_match.empty()) request.headers.emplace_back("If-Match", std::move(if_match));
  if (!body.empty()) {
    request.headers.emplace_back("Content-Type", "application/json; charset=utf-8");
  }
  request.body = std::move(body);
  auto reply = co_await transport_.send(std::move(request), kRemoteTimeouts, stop_);
  co_return reply;
}

Task<Result<std::optional<RemoteIdentity>>> RemoteHub::find(DeviceId device) const {
  auto reply = co_await call("GET", device_path(device), {}, {});
  if (reply && reply->status == 404) co_return std::nullopt;
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  auto read = read_identity(reply->body);
  if (!read) co_return fail(std::move(read.error()));
  co_return *std::move(read);
}

Task<Result<RemoteIdentity>> RemoteHub::create(hub::EnsureIdentity wanted,
                                               std::string reason) const {
  json::Object body;
  body["deviceId"] = wanted.device_id.str();
  body["status"] = wanted.status == hub::DeviceStatus::enabled ? "enabled" : "disabled";
  body["statusReason"] = std::move(reason);
  body["authentication"] = authentication_json(wanted.authentication);
  body["capabilities"] = json::Object{{"iotEdge", wanted.iot_edge}};
  auto reply = co_await call("PUT", device_path(wanted.device_id), {}, json::write(body));
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  co_return read_identity(reply->body);
}

Task<Result<RemoteIdentity>> RemoteHub::update(RemoteIdentity current, hub::EnsureIdentity wanted,
                                               std::string reason) const {
  json::Object body = std::move(current.document);
  if (!reason.empty()) body["statusReason"] = std::move(reason);
  body["authentication"] = authentication_json(wanted.authentication);
  json::Object capabilities;
  if (const auto* given = body.if_contains("capabilities"); given && given->is_object()) {
    capabilities = given->get_object();
  }
  capabilities["iotEdge"] = wanted.iot_edge;
  body["capabilities"] = std::move(capabilities);
  auto reply = co_await call("PUT", device_path(wanted.device_id), in_quotes(current.etag),
                             json::write(body));
  if (reply && reply->status == 404) {
    co_return fail(Code::precondition_failed, "the device was removed");
  }
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  co_return read_identity(reply->body);
}

Task<Status> RemoteHub::remove(DeviceId device, std::string etag) const {
  auto reply = co_await call("DELETE", device_path(device), in_quotes(etag), {});
  if (reply && reply->status == 404) co_return Status();
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  co_return Status();
}

Task<Result<std::optional<hub::DeviceTwin>>> RemoteHub::find_twin(DeviceId device) const {
  auto reply = co_await call("GET", twin_path(device), {}, {});
  if (reply && reply->status == 404) co_return std::nullopt;
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  const auto document = json::parse(reply->body);
  if (!document || !document->is_object()) co_return nonsense();
  auto read = read_twin(*document);
  if (!read) co_return nonsense();
  hub::DeviceTwin twin;
  twin.tags = std::move(read->tags);
  twin.desired = std::move(read->desired);
  co_return twin;
}

Task<Status> RemoteHub::replace_twin(DeviceId device, hub::InitialTwin twin) const {
  // Not PATCH: what the twin held before goes.
  auto reply =
      co_await call("PUT", twin_path(device), "\"*\"", json::write(json::Value(twin_json(twin))));
  if (reply && reply->status == 404) {
    co_return fail(Code::precondition_failed, "the device was removed");
  }
  if (auto error = error_of(reply)) co_return fail(*std::move(error));
  co_return Status();
}

}  // namespace doppel::provisioning
