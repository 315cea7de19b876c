#include "provisioning/wire/device_api.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/wire/errors.h"

namespace doppel::provisioning {
namespace {

bool is_blank(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
}

// The body of a register or a look-up; only what the URL or the user name does not say counts.
struct Body {
  std::optional<json::Value> payload;
  std::optional<TpmKeys> tpm;
  std::optional<security::CertificateRequest> csr;
};

// A registration's keys of a TPM. What cannot be read is none: it proves nothing.
std::optional<TpmKeys> read_tpm(const json::Value& document) {
  const json::Value* tpm = json::find(document, "tpm");
  if (tpm == nullptr || !tpm->is_object()) return std::nullopt;
  auto endorsement = base64_decode(json::get_string_or(*tpm, "endorsementKey", ""));
  auto storage_root = base64_decode(json::get_string_or(*tpm, "storageRootKey", ""));
  if (!endorsement || !storage_root || endorsement->empty()) return std::nullopt;
  return TpmKeys{*std::move(endorsement), *std::move(storage_root)};
}

Result<security::CertificateRequest> read_csr(const json::Value& member, std::string_view id) {
  if (!json::is_string(member)) {
    return fail(errors::dps::kBadRequest, "csr must be base64 of the request's DER");
  }
  auto csr = security::CertificateRequest::parse(json::view(member.get_string()));
  if (!csr) return fail(errors::dps::kBadRequest, "csr: " + csr.error().message);
  if (id.size() > security::kCommonNameMax) {
    return fail(errors::dps::kBadRequest,
                "csr: a certificate cannot name a registration ID of more than 64 characters");
  }
  if (!equal_ignoring_case(csr->common_name().value_or(""), id)) {
    return fail(errors::dps::kBadRequest, "csr: its common name is not the registration ID");
  }
  return csr;
}

Result<Body> read_body(std::string_view body, std::string_view id) {
  if (body.size() > kMessageSizeMax) return fail(errors::dps::kTooLarge);
  if (is_blank(body)) return Body{};
  auto document = json::parse(body);
  if (!document) {
    return fail(errors::dps::kBadRequest, "the body is not JSON: " + document.error().message);
  }
  if (!document->is_object()) {
    return fail(errors::dps::kBadRequest, "the body must be a JSON object");
  }
  const json::Value* named = json::find(*document, "registrationId");
  if (named != nullptr && !named->is_null() &&
      (!json::is_string(*named) || !equal_ignoring_case(json::view(named->get_string()), id))) {
    return fail(errors::dps::kBadRequest, "the body names another registration ID");
  }
  Body read;
  read.tpm = read_tpm(*document);
  if (const json::Value* csr = json::find(*document, "csr"); csr != nullptr && !csr->is_null()) {
    auto request = read_csr(*csr, id);
    if (!request) return fail(std::move(request.error()));
    read.csr = *std::move(request);
  }
  const json::Value* payload = json::find(*document, "payload");
  if (payload != nullptr && !payload->is_null()) read.payload = *payload;
  return read;
}

std::string status_body(const OperationStatus& status) {
  json::Object body;
  body["operationId"] = status.operation_id;
  body["status"] = status.outcome ? to_string(status.outcome->status) : "assigning";
  if (status.outcome) body["registrationState"] = status.outcome->state;
  return json::write(body);
}

// Whose proof it is, for the guard against guessing.
std::string subject_of(const DeviceCall& call) {
  return fmt::format("{}/{}", call.instance ? std::string_view(call.instance->name) : "",
                     call.id.view());
}

DeviceAnswer answer(const OperationStatus& status) {
  return {.status = status.outcome ? 200 : 202,
          .body = status_body(status),
          .retry_after_s = status.outcome ? 0 : status.retry_after_s};
}

}  // namespace

bool is_api_version(std::string_view text) {
  constexpr std::string_view kFirstVersion = "2017-08-31";  // 2017-08-31-preview
  constexpr std::string_view kShape = "dddd-dd-dd";
  if (text.ends_with("-preview")) text.remove_suffix(std::string_view("-preview").size());
  const bool is_date = std::ranges::equal(text, kShape, [](char c, char shape) {
    return shape == 'd' ? c >= '0' && c <= '9' : c == shape;
  });
  const auto month = is_date ? text.substr(5, 2) : std::string_view();
  const auto day = is_date ? text.substr(8) : std::string_view();
  return is_date && text >= kFirstVersion && month >= "01" && month <= "12" && day >= "01" &&
         day <= "31";
}

DeviceAnswer DeviceApi::refuse(const DeviceCall& call, const Error& error) const {
  static metrics::Counter& refused = metrics::counter("doppel_provisioning_refused_total",
                                                      "Requests of devices that were refused");
  refused.add();
  if (service_error(error).code == Code::unauthenticated) {
    provisioning_.guess_guard().failed(call.peer, subject_of(call));
  }
  const ServiceError& service = service_error(error);
  log::warn("provisioning.refused", {{"tracking_id", call.tracking_id},
                                     {"registration_id", call.id.view()},
                                     {"transport", call.transport},
                                     {"status", service.http_status},
                                     {"reason", error.message}});
  return {.status = service.http_status,
          .body = error_body(error, call.tracking_id, clock_.now(), call.proof.certificates.get()),
          .retry_after_s = retry_after_s(error),
          .error_code = service.number};
}

// C's client wants both members, and no `status` beside them.
Task<DeviceAnswer> DeviceApi::challenge(DeviceCall call, Trail trail) {
  auto blob = co_await provisioning_.registrar().challenge(call.instance, call.id, *call.proof.tpm);
  if (!blob) {
    trail.note("tpm", Verdict::refused, "no challenge: {}", blob.error().message);
    co_return refuse(call, blob.error(), trail);
  }
  trail.note("tpm", Verdict::passed, "the TPM is challenged; it is to come again with a token");
  trail.finish("challenged");
  const ServiceError& required = errors::dps::kAuthorizationRequired;
  json::Object body;
  body["message"] = required.text;
  body["authenticationKey"] = base64_encode(*blob);
  body["keyName"] = "registration";
  body["errorCode"] = required.number;
  body["trackingId"] = call.tracking_id;
  body["timestampUtc"] = to_iso8601(clock_.now());
  co_return DeviceAnswer{.status = required.http_status, .body = json::write(body)};
}

Trail DeviceApi::begin_trail(const DeviceCall& call, std::string_view name) const {
  return provisioning_.traces().begin({.instance = call.instance->name,
                                       .registration_id = call.id.view(),
                                       .tracking_id = call.tracking_id,
                                       .call = name,
                                       .transport = call.transport,
                                       .peer = call.peer,
                                       .api_version = call.api_version});
}

DeviceAnswer DeviceApi::refuse(const DeviceCall& call, const Error& error,
                               const Trail& trail) const {
  trail.finish("refused", service_error(error).number, error.message);
  return refuse(call, error);
}

std::optional<Error> DeviceApi::check(const DeviceCall& call) const {
  if (!provisioning_.guess_guard().admits(call.peer, subject_of(call))) {
    return fail(errors::dps::kThrottled, "too many failed proofs from this address").error();
  }
  if (call.instance) return std::nullopt;
  return fail(errors::dps::kUnauthorized, "unknown ID scope").error();
}

void DeviceApi::accept_proof(const DeviceCall& call) const {
  provisioning_.guess_guard().proven(call.peer, subject_of(call));
}

DeviceAnswer DeviceApi::refuse_proof(const DeviceCall& call, const Error& error) const {
  return refuse(call, error, begin_trail(call, "connect"));
}

// What is wrong with a body is told only to those who have proven themselves.
Task<DeviceAnswer> DeviceApi::refuse_body(DeviceCall call, Error error, Trail trail) {
  auto proven = co_await provisioning_.registrar().prove(call.instance, call.id, call.proof);
  if (proven) {
    trail.set_proven(proven->enrollment->id);
    trail.note("proof", Verdict::passed, "by enrollment {}", proven->enrollment->id);
    trail.note("body", Verdict::refused, "{}", error.message);
  } else {
    trail.note("proof", Verdict::refused, "{}", proven.error().message);
  }
  co_return refuse(call, proven ? error : proven.error(), trail);
}

Task<DeviceAnswer> DeviceApi::register_device(DeviceCall call, std::string body) {
  if (auto refused = check(call)) co_return refuse(call, *refused);
  Trail trail = begin_trail(call, "register");
  auto read = read_body(body, call.id.view());
  if (!read) {
    co_return co_await refuse_body(std::move(call), std::move(read.error()), std::move(trail));
  }
  // Over AMQP they came in SASL; Node repeats them here, others do not.
  if (!call.proof.tpm) call.proof.tpm = std::move(read->tpm);
  if (call.may_be_challenged && call.proof.tpm && call.proof.sas_token.empty()) {
    co_return co_await challenge(std::move(call), std::move(trail));
  }
  RegisterRequest request{.instance = call.instance,
                          .id = call.id,
                          .proof = call.proof,
                          .payload = std::move(read->payload),
                          .csr = std::move(read->csr),
                          .api_version = call.api_version,
                          .tracking_id = call.tracking_id,
                          .trail = trail};
  auto status = co_await provisioning_.registrar().register_device(std::move(request));
  if (!status) co_return refuse(call, status.error(), trail);
  accept_proof(call);
  co_return answer(*status);
}

Task<DeviceAnswer> DeviceApi::poll(DeviceCall call, std::string operation_id) {
  if (auto refused = check(call)) co_return refuse(call, *refused);
  auto status = co_await provisioning_.registrar().poll(call.instance, call.id, call.proof,
                                                        std::move(operation_id));
  // Polls are many and say nothing new; a refused one is worth a trace.
  if (!status) co_return refuse(call, status.error(), begin_trail(call, "poll"));
  co_return answer(*status);
}

Task<DeviceAnswer> DeviceApi::look_up(DeviceCall call, std::string body) {
  if (auto refused = check(call)) co_return refuse(call, *refused);
  auto read = read_body(body, call.id.view());
  if (read && read->csr) {
    read = fail(errors::dps::kBadRequest, "a look-up takes no signing request");
  }
  if (!read) {
    Trail trail = begin_trail(call, "look-up");
    co_return co_await refuse_body(std::move(call), std::move(read.error()), std::move(trail));
  }
  auto state = co_await provisioning_.registrar().look_up(call.instance, call.id, call.proof);
  if (!state) co_return refuse(call, state.error(), begin_trail(call, "look-up"));
  co_return DeviceAnswer{.status = 200, .body = json::write(*state)};
}

}  // namespace doppel::provisioning
