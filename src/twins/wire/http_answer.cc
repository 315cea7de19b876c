#include "twins/wire/http_answer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <errors/twins.h>
#include <fmt/core.h>

#include "base/encoding.h"
#include "twins/names.h"

namespace doppel::twins::wire {
namespace {

// Deep enough for five nested schemas of DTDL, or any value of them.
constexpr std::size_t kBodyDepthMax = 64;
constexpr std::string_view kRetryAfterS = "5";  // as the service's gateway says

// What clients see of errors that come from below the service.
const ServiceError& service_error(const Error& error) {
  if (error.service != nullptr) return *error.service;
  namespace e = errors::twins;
  switch (error.code) {
    case Code::invalid_argument:
    case Code::unsupported:
      return e::kInvalidArgument;
    case Code::unauthenticated:
      return e::kUnauthorized;
    case Code::forbidden:
      return e::kForbidden;
    case Code::not_found:
      return e::kSubDomainNotFound;
    case Code::already_exists:
    case Code::conflict:
      return e::kWriteConflict;
    case Code::precondition_failed:
      return e::kPreconditionFailed;
    case Code::too_large:
    case Code::quota_exceeded:
      return e::kLimitExceeded;
    case Code::throttled:
      return e::kTooManyRequests;
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
    case Code::bad_gateway:
      return e::kServiceUnavailable;
    case Code::internal:
      return e::kInternalError;
  }
  return e::kInternalError;
}

http::Response gateway_answer(const ServiceError& error, json::Object body) {
  auto response = http::Response::json(error.http_status, json::write(body));
  response.headers.set("Content-Type", "application/json");
  if (error.http_status == 401)
    response.headers.set("WWW-Authenticate", "Bearer realm=\"\", error=\"invalid_token\"");
  else
    response.headers.set("Retry-After", kRetryAfterS);
  return response;
}

}  // namespace

http::Response answer(const Error& error) {
  const auto& service = service_error(error);
  const std::string_view message =
      error.message.empty() ? service.text : std::string_view(error.message);
  if (service.http_status == 401)
    return gateway_answer(service, json::Object{{"statusCode", 401}, {"message", service.text}});
  if (service.http_status == 429)
    return gateway_answer(
        service, json::Object{{"error", json::Object{{"statusCode", 429}, {"message", message}}}});
  const auto line_end = message.find('\n');
  json::Object inner;
  inner["code"] = service.name;
  inner["message"] = message.substr(0, line_end);
  json::Array details;
  for (auto rest = line_end; rest != std::string_view::npos;) {
    const auto begin = rest + 1;
    rest = message.find('\n', begin);
    const auto line = message.substr(begin, rest == std::string_view::npos ? rest : rest - begin);
    details.push_back(json::Object{{"code", service.name}, {"message", line}});
  }
  if (!details.empty()) inner["details"] = std::move(details);
  auto response = http::Response::json(service.http_status,
                                       json::write(json::Object{{"error", std::move(inner)}}));
  response.headers.set("x-ms-error-code", service.name);
  return response;
}

http::Response answer(int status, const json::Value& body, std::string_view etag) {
  auto response = http::Response::json(status, json::write(body));
  if (!etag.empty()) response.headers.set("ETag", etag);
  return response;
}

http::Response no_content(std::string_view etag) {
  auto response = http::Response::empty(204);
  if (!etag.empty()) response.headers.set("ETag", etag);
  return response;
}

Result<json::Value> parse_body(const http::Request& request, std::size_t bytes_max) {
  if (request.body.size() > bytes_max)
    return fail(errors::twins::kLimitExceeded, fmt::format("The body has {} bytes; {} are allowed.",
                                                           request.body.size(), bytes_max));
  auto value = json::parse(request.body, {.depth_max = kBodyDepthMax, .size_max = bytes_max});
  if (!value)
    return fail(errors::twins::kInvalidArgument,
                fmt::format("The body is not valid JSON: {}.", value.error().message));
  return value;
}

namespace {

std::unexpected<Error> bad_patch(std::string_view problem) {
  return fail(errors::twins::kJsonPatchInvalid,
              fmt::format("The JSON Patch provided is invalid: {}.", problem));
}

Result<PatchOperation> parse_operation(const json::Value& value) {
  if (!value.is_object()) return bad_patch("an operation is not an object");
  const auto op = json::find_string(value, "op");
  const auto path = json::find_string(value, "path");
  const auto* operand = json::find(value, "value");
  if (!op) return bad_patch("an operation has no op");
  if (!path) return bad_patch("an operation has no path");
  PatchOperation out{.op = PatchOperation::Op::remove, .path = std::string(*path), .value = {}};
  if (*op == "remove") return out;
  if (*op != "add" && *op != "replace")
    return bad_patch(
        fmt::format("the operation {} is not supported; add, replace and remove are", *op));
  if (operand == nullptr) return bad_patch(fmt::format("the operation on {} has no value", *path));
  out.op = *op == "add" ? PatchOperation::Op::add : PatchOperation::Op::replace;
  out.value = *operand;
  return out;
}

}  // namespace

Result<std::vector<PatchOperation>> parse_patch(const http::Request& request,
                                                std::size_t bytes_max) {
  auto body = parse_body(request, bytes_max);
  if (!body) return fail(std::move(body.error()));
  if (!body->is_array()) return bad_patch("it is not an array");
  if (body->get_array().empty()) return bad_patch("it has no operations");
  std::vector<PatchOperation> out;
  for (const auto& entry : body->get_array()) {
    auto operation = parse_operation(entry);
    if (!operation) return fail(std::move(operation.error()));
    out.push_back(std::move(*operation));
  }
  return out;
}

Result<Condition> read_condition(const http::Request& request) {
  Condition condition;
  condition.if_match = request.headers.get_or("If-Match", "");
  const auto none_match = request.headers.find("If-None-Match");
  if (!none_match || none_match->empty()) return condition;
  if (*none_match != "*")
    return fail(errors::twins::kInvalidArgument, "If-None-Match can only be *.");
  condition.only_if_absent = true;
  return condition;
}

Result<ConditionalObject> read_conditional_object(const http::Request& request,
                                                  std::size_t bytes_max, std::string_view refusal) {
  auto condition = read_condition(request);
  if (!condition) return fail(std::move(condition.error()));
  auto body = parse_body(request, bytes_max);
  if (!body) return fail(std::move(body.error()));
  if (!body->is_object()) return fail(errors::twins::kInvalidArgument, std::string(refusal));
  return ConditionalObject{.condition = std::move(*condition),
                           .body = std::move(body->get_object())};
}

Result<ConditionalPatch> read_conditional_patch(const http::Request& request,
                                                std::size_t bytes_max) {
  auto condition = read_condition(request);
  if (!condition) return fail(std::move(condition.error()));
  auto operations = parse_patch(request, bytes_max);
  if (!operations) return fail(std::move(operations.error()));
  return ConditionalPatch{.condition = std::move(*condition), .operations = std::move(*operations)};
}

bool has_update_times(std::string_view api_version) { return api_version > "2021-06-30-preview"; }

void strip_update_times(json::Object& document) {
  const auto strip = [](json::Object& section) {
    auto* metadata = section.if_contains(names::kMetadata);
    if (metadata == nullptr || !metadata->is_object()) return;
    auto& members = metadata->get_object();
    if (const auto found = members.find(names::kLastUpdateTime); found != members.end())
      members.stable_erase(found);
  };
  strip(document);
  for (auto& [name, value] : document)
    if (std::string_view(name) != names::kMetadata && is_component(value))
      strip(value.get_object());
}

Result<std::size_t> page_size(const http::Request& request, std::size_t page_max) {
  auto text = request.headers.find("max-items-per-page");
  if (!text) text = request.query_value(kPageSizeQuery);
  if (!text) return page_max;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size() || number == 0)
    return fail(errors::twins::kInvalidArgument,
                "max-items-per-page must be a number greater than 0.");
  return std::min<std::size_t>(number, page_max);
}

std::string link(std::string_view path,
                 const std::vector<std::pair<std::string_view, std::string>>& query) {
  std::string out(path);
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    out += separator;
    out += name;
    out += '=';
    out += percent_encode(value);
    separator = '&';
  }
  return out;
}

}  // namespace doppel::twins::wire
