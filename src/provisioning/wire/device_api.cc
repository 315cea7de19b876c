#include "provisioning/wire/device_api.h"

#include <algorithm>

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
Task<DeviceAnswer> DeviceApi::challenge(DeviceCall call) {
  auto blob = co_await provisioning_.registrar().challenge(call.instance, call.id, *call.proof.tpm);
  if (!blob) co_return refuse(call, blob.error());
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

// What is wrong with a body is told only to those who have proven themselves.
Task<DeviceAnswer> DeviceApi::refuse_body(DeviceCall call, Error error) {
  auto proven = co_await provisioning_.registrar().prove(call.instance, call.id, call.proof);
  co_return refuse(call, proven ? error : proven.error());
}

Task<DeviceAnswer> DeviceApi::register_device(DeviceCall call, std::string body) {
  if (!call.instance) {
    const Error unknown = fail(errors::dps::kUnauthorized, "unknown ID scope").error();
    co_return refuse(call, unknown);
  }
  auto read = read_body(body, call.id.view());
  if (!read) co_return co_await refuse_body(std::move(call), std::move(read.error()));
  // Over AMQP they came in SASL; Node repeats them here, others do not.
  if (!call.proof.tpm) call.proof.tpm = std::move(read->tpm);
  if (call.may_be_challenged && call.proof.tpm && call.proof.sas_token.empty()) {
    co_return co_await challenge(std::move(call));
  }
  RegisterRequest request{.instance = call.instance,
                          .id = call.id,
                          .proof = call.proof,
                          .payload = std::move(read->payload),
                          .csr = std::move(read->csr),
                          .api_version = call.api_version,
                          .tracking_id = call.tracking_id};
  auto status = co_await provisioning_.registrar().register_device(std::move(request));
  if (!status) co_return refuse(call, status.error());
  co_return answer(*status);
}

Task<DeviceAnswer> DeviceApi::poll(DeviceCall call, std::string operation_id) {
  if (!call.instance) {
    const Error unknown = fail(errors::dps::kUnauthorized, "unknown ID scope").error();
    co_return refuse(call, unknown);
  }
  auto status = co_await provisioning_.registrar().poll(call.instance, call.id, call.proof,
                                                        std::move(operation_id));
  if (!status) co_return refuse(call, status.error());
  co_return answer(*status);
}

Task<DeviceAnswer> DeviceApi::look_up(DeviceCall call, std::string body) {
  if (!call.instance) {
    const Error unknown = fail(errors::dps::kUnauthorized, "unknown ID scope").error();
    co_return refuse(call, unknown);
  }
  auto read = read_body(body, call.id.view());
  if (read && read->csr) {
    read = fail(errors::dps::kBadRequest, "a look-up takes no signing request");
  }
  if (!read) co_return co_await refuse_body(std::move(call), std::move(read.error()));
  auto state = co_await provisioning_.registrar().look_up(call.instance, call.id, call.proof);
  if (!state) co_return refuse(call, state.error());
  co_return DeviceAnswer{.status = 200, .body = json::write(*state)};
}

}  // namespace doppel::provisioning
