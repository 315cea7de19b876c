#include "resources/wire/arm.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "errors/arm.h"
#include "resources/types.h"

namespace doppel::resources::wire {
namespace {

constexpr std::size_t kNewVersionsMax =
    64;  // remembered, so that strange clients cannot fill memory
constexpr std::size_t kSegmentsMax = 24;
// The newest that was read when this was written; anything later is served as this.
constexpr std::string_view kNewestVersion = "2025-04-01";

const ServiceError& arm_error(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return errors::arm::kBadRequest;
    case Code::unauthenticated:
      return errors::arm::kInvalidAuthenticationToken;
    case Code::forbidden:
      return errors::arm::kAuthorizationFailed;
    case Code::not_found:
      return errors::arm::kResourceNotFound;
    case Code::already_exists:
      return errors::arm::kNameNotAvailable;
    case Code::precondition_failed:
      return errors::arm::kPreconditionFailed;
    case Code::conflict:
      return errors::arm::kConflict;
    case Code::too_large:
      return errors::arm::kRequestTooLarge;
    case Code::throttled:
      return errors::arm::kTooManyRequests;
    case Code::quota_exceeded:
      return errors::arm::kQuotaExceeded;
    case Code::unsupported:
      return errors::arm::kMethodNotAllowed;
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
    case Code::bad_gateway:
      return errors::arm::kServiceUnavailable;
    case Code::internal:
      return errors::arm::kInternalServerError;
  }
  return errors::arm::kInternalServerError;
}

Result<std::vector<std::string>> split_path(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    if (path.front() == '/') path.remove_prefix(1);
    const auto raw = path.substr(0, path.find('/'));
    path.remove_prefix(raw.size());
    if (raw.empty()) continue;
    auto segment = percent_decode(raw);
    // An encoded slash would be taken for a border once the segments are joined to an id.
    if (!segment || segment->find('/') != segment->npos || !is_valid_utf8(*segment))
      return fail(errors::arm::kNotFound);
    if (segments.size() == kSegmentsMax) return fail(errors::arm::kNotFound);
    segments.push_back(std::move(*segment));
  }
  return segments;
}

std::string join(const std::vector<std::string>& segments) {
  std::string path;
  for (const auto& segment : segments) path.append("/").append(segment);
  return path;
}

bool is_version(std::string_view text) {
  return text.size() >= 10 && text.size() <= 40 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.';
         });
}

}  // namespace

std::string base_url(const http::Request& request, const ResourceDefaults& defaults) {
  std::string host(request.headers.get_or("host", ""));
  const bool is_host = !host.empty() && host.size() <= 255 && std::ranges::all_of(host, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._:[]").find(c) != std::string_view::npos;
  });
  if (!is_host) {
    host = defaults.host_names.front();
    if (defaults.https_port != 443) host += ":" + std::to_string(defaults.https_port);
  }
  return "https://" + host;
}

http::Response json_response(int status, const json::Value& body) {
  return http::Response::json(status, json::write(body));
}

http::Response error_response(const Error& error) {
  const ServiceError& service = error.service != nullptr ? *error.service : arm_error(error.code);
  // What went wrong inside is for the log only.
  const bool is_inner = error.service == nullptr && service.http_status >= 500;
  const std::string message(is_inner || error.message.empty() ? service.text : error.message);
  return json_response(service.http_status,
                       {{"error", {{"code", service.name}, {"message", message}}}});
}

bool ArmCall::is(std::size_t index, std::string_view word) const {
  return index < segments.size() && equal_ignoring_case(segments[index], word);
}

Status Arm::check_api_version(const http::Request& request,
                              const std::vector<std::string>& segments) {
  const auto version = request.query_value("api-version");
  if (!version || version->empty()) return fail(errors::arm::kMissingApiVersionParameter);
  if (!is_version(*version))
    return fail(errors::arm::kInvalidParameter, "The api-version is not a date.");
  if (version->substr(0, 10) <= kNewestVersion) return {};
  const std::lock_guard lock(mutex_);
  std::string name(segments.size() > 5 ? to_lower(segments[5]).substr(0, 64) : "");
  name.append(" ").append(*version);
  if (new_versions_.size() < kNewVersionsMax && new_versions_.insert(std::move(name)).second)
    log::info("resources.newer_api_version",
              {{"api_version", *version}, {"served_as", kNewestVersion}});
  return {};
}

// Reading needs Reader; changing, and seeing keys, needs Contributor or Owner. Questions that are
// asked with POST change nothing.
Status Arm::check_rights(const ArmCall& call) const {
  const bool is_question = call.method() == "POST" && call.segments.back().starts_with("check");
  const bool is_reading = call.method() == "GET" || call.method() == "HEAD" || is_question;
  if (call.size() <= 1 || !call.is(0, "subscriptions")) return {};
  // Who holds a role on one group sees the subscription it is in; lists of a whole subscription
  // show what may be read, and no more.
  const bool is_overview = is_reading && (call.size() <= 3 || call.is(2, "providers"));
  const bool is_allowed = is_reading ? is_overview || call.principal.may_read(call.path)
                                     : call.principal.may_write(call.path);
  if (is_allowed) return {};
  return fail(errors::arm::kAuthorizationFailed,
              "The client '" + call.principal.client_id + "' with object id '" +
                  call.principal.object_id +
                  "' does not have authorization to perform this action over scope '" +
                  call.path.substr(0, 512) + "' or the scope is invalid.");
}

Result<ArmCall> Arm::open(http::Request& request) {
  const auto header = request.headers.get_or("authorization", "");
  auto principal = resources_.authenticate_bearer(header, Audience::management);
  if (!principal) {
    log::info("resources.refused", {{"tracking_id", request.tracking_id},
                                    {"path", request.path},
                                    {"reason", principal.error().message}});
    return fail(errors::arm::kInvalidAuthenticationToken);
  }
  auto segments = split_path(request.path);
  if (!segments) return fail(std::move(segments.error()));
  if (auto good = check_api_version(request, *segments); !good)
    return fail(std::move(good.error()));
  ArmCall call{.request = std::move(request),
               .segments = std::move(*segments),
               .principal = std::move(*principal),
               .path = {}};
  call.path = join(call.segments);
  if (auto allowed = check_rights(call); !allowed) return fail(std::move(allowed.error()));
  return call;
}

Task<http::Response> Arm::handle(http::Request request) {
  const std::string tracking_id = request.tracking_id;
  const std::string authority =
      base_url(request, resources_.defaults()) + "/" + resources_.defaults().tenant;
  auto call = open(request);
  Result<http::Response> outcome = fail(Code::internal, "");
  if (call) {
    outcome = co_await dispatch(std::move(*call));
  } else {
    outcome = fail(std::move(call.error()));
  }
  if (!outcome && outcome.error().service == nullptr) {
    log::warn("resources.failed",
              {{"tracking_id", tracking_id}, {"reason", outcome.error().message}});
  }
  http::Response response = outcome ? std::move(*outcome) : error_response(outcome.error());
  response.headers.set("x-ms-request-id", tracking_id);
  if (response.status == 401) {
    response.headers.set("WWW-Authenticate",
                         "Bearer authorization_uri=\"" + authority +
                             "\", error=\"invalid_token\", error_description=\"The access "
                             "token is missing, invalid or expired.\"");
  }
  if (response.status == 429 || response.status == 503) response.headers.set("Retry-After", "1");
  co_return response;
}

}  // namespace doppel::resources::wire
