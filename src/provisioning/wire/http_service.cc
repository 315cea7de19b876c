#include "provisioning/wire/http_service.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "errors/dps.h"
#include "provisioning/wire/device_api.h"
#include "provisioning/wire/errors.h"
#include "query/dps_query.h"
#include "query/row.h"

namespace doppel::provisioning {
namespace {

using resources::DpsRight;

// Spelled in lower case on the wire: .NET looks these up in a case-sensitive dictionary.
constexpr std::string_view kItemTypeHeader = "x-ms-item-type";
constexpr std::string_view kContinuationHeader = "x-ms-continuation";
constexpr std::string_view kMaxItemCountHeader = "x-ms-max-item-count";

http::Response json_response(const json::Value& body) {
  return http::Response::json(200, json::write(body));
}

Result<json::Value> read_body(const http::Request& request) {
  if (request.body.size() > kMessageSizeMax) return fail(errors::dps::kTooLarge);
  const auto type = request.headers.find("Content-Type");
  if (type && !to_lower(*type).contains("json")) return fail(errors::dps::kNotJson);
  auto body = json::parse(request.body);
  if (!body) return fail(errors::dps::kBadRequest, "the body is not JSON: " + body.error().message);
  return body;
}

// What the query text asks for. Registrations of a group are asked for without a body by az.
Result<Filter> read_filter(const http::Request& request) {
  if (request.body.empty()) return Filter();
  auto body = read_body(request);
  if (!body) return fail(std::move(body.error()));
  const auto text = json::find_string(*body, "query");
  if (!text) return fail(errors::dps::kBadRequest, "the body needs a query");
  auto parsed = query::parse_dps_query(*text);
  if (!parsed) return fail(errors::dps::kBadRequest, parsed.error().message);
  auto shared = std::make_shared<const query::DpsQuery>(*std::move(parsed));
  return Filter([shared](const json::Value& shown) {
    const query::JsonRow row(shown);
    return shared->matches(row);
  });
}

Result<PageRequest> read_page_request(const http::Request& request) {
  PageRequest page;
  auto filter = read_filter(request);
  if (!filter) return fail(std::move(filter.error()));
  page.filter = *std::move(filter);
  page.continuation = request.headers.get_or(kContinuationHeader, "");
  const auto count = request.headers.get_or(kMaxItemCountHeader, "");
  if (!count.empty()) {
    const auto read = std::from_chars(count.data(), count.data() + count.size(), page.items_max);
    if (read.ec != std::errc() || read.ptr != count.data() + count.size() || page.items_max == 0) {
      return fail(errors::dps::kBadRequest, "x-ms-max-item-count must be a positive number");
    }
  }
  return page;
}

http::Response page_response(const Page& page, std::string_view item_type) {
  auto response = http::Response::json(200, json::write(page.items));
  response.headers.set(kItemTypeHeader, item_type);
  response.headers.set(kMaxItemCountHeader, std::to_string(page.items.size()));
  // Left out on the last page: Node takes an empty one for "there is more" and loops.
  if (!page.continuation.empty()) response.headers.set(kContinuationHeader, page.continuation);
  return response;
}

std::vector<std::string> path_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0) {
      const auto raw = path.substr(0, end);
      segments.push_back(percent_decode(raw).value_or(std::string(raw)));
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return segments;
}

bool is_named(const resources::Dps& instance, std::string_view host) {
  for (const auto& name : instance.host_names) {
    if (equal_ignoring_case(name, host)) return true;
  }
  return false;
}

bool is_write(DpsRight right) {
  switch (right) {
    case DpsRight::enrollment_write:
    case DpsRight::registration_status_write:
      return true;
    case DpsRight::service_config:
    case DpsRight::enrollment_read:
    case DpsRight::device_connect:
    case DpsRight::registration_status_read:
      return false;
  }
  return true;
}

// Kept alive by its routes.
class ServiceApi final : public std::enable_shared_from_this<ServiceApi> {
 public:
  ServiceApi(Provisioning& provisioning, BearerCheck bearer)
      : provisioning_(provisioning), clock_(provisioning.clock()), bearer_(std::move(bearer)) {}

  void add_routes(http::Router& router);

 private:
  struct Call;  // an authorized request
  using Method = Task<Result<http::Response>> (ServiceApi::*)(Call);
  void add(http::Router& router, std::string_view method, std::string_view pattern,
           EnrollmentKind kind, DpsRight right, Method call);
  Task<http::Response> handle(http::Request request, EnrollmentKind kind, DpsRight right,
                              Method call);
  Result<Instance> authorize(const http::Request& request, DpsRight right) const;
  Result<Instance> authorize_sas(const http::Request& request, std::string_view header,
                                 DpsRight right) const;

  Task<Result<http::Response>> get(Call call);
  Task<Result<http::Response>> put(Call call);
  Task<Result<http::Response>> remove(Call call);
  Task<Result<http::Response>> bulk(Call call);
  Task<Result<http::Response>> query(Call call);
  Task<Result<http::Response>> attestation(Call call);
  Task<Result<http::Response>> get_registration(Call call);
  Task<Result<http::Response>> remove_registration(Call call);
  Task<Result<http::Response>> query_registrations(Call call);
  Task<Result<http::Response>> query_all_registrations(Call call);

  Provisioning& provisioning_;
  const Clock& clock_;
  BearerCheck bearer_;
};

struct ServiceApi::Call {
  http::Request request;
  Instance instance;
  EnrollmentKind kind;

  std::string id() const { return std::string(request.param("id")); }
  std::string if_match() const { return std::string(request.headers.get_or("If-Match", "")); }
};

// ---- Who may ---------------------------------------------------------------------------------

Result<Instance> ServiceApi::authorize_sas(const http::Request& request, std::string_view header,
                                           DpsRight right) const {
  auto token = security::parse_sas(header);
  if (!token) return fail(errors::dps::kUnauthorized, token.error().message);
  auto granted = security::sas_resource(token->resource);
  Instance instance = provisioning_.find_by_host(request.host());
  if (!instance) instance = provisioning_.find_by_host(granted.host);
  if (!instance) return fail(errors::dps::kUnauthorized, "no instance has the host name");
  if (!is_named(*instance, granted.host)) {
    return fail(errors::dps::kUnauthorized, "the token is for another host");
  }
  auto policy = resources::verify_policy(instance->policies, *token, security::KeyForm::base64,
                                         right, clock_.now());
  if (!policy) {
    return policy.error().code == Code::forbidden
               ? fail(errors::dps::kForbidden, policy.error().message)
               : fail(errors::dps::kUnauthorized, policy.error().message);
  }
  // Paths and IDs are compared without case here, so tokens are, too.
  auto segments = path_segments(request.path);
  for (std::string& segment : segments) segment = to_lower(segment);
  for (std::string& segment : granted.segments) segment = to_lower(segment);
  const std::vector<std::string_view> path(segments.begin(), segments.end());
  if (!security::covers(granted, path)) {
    return fail(errors::dps::kUnauthorized, "the token is for another path");
  }
  return instance;
}

Result<Instance> ServiceApi::authorize(const http::Request& request, DpsRight right) const {
  const auto header = request.headers.get_or("Authorization", "");
  if (!starts_with_ignoring_case(header, "Bearer ")) return authorize_sas(request, header, right);
  Instance instance = provisioning_.find_by_host(request.host());
  if (!instance) return fail(errors::dps::kUnauthorized, "no instance has the host name");
  auto principal = bearer_(header);
  if (!principal) return fail(errors::dps::kUnauthorized, principal.error().message);
  const bool may =
      is_write(right) ? principal->may_write(instance->id) : principal->may_read(instance->id);
  if (!may) return fail(errors::dps::kForbidden, "the principal has no role for it");
  return instance;
}

Task<http::Response> ServiceApi::handle(http::Request request, EnrollmentKind kind, DpsRight right,
                                        Method method) {
  const std::string tracking_id = request.tracking_id;
  const std::string path = request.path;
  Result<http::Response> response = fail(Code::internal, "");
  auto instance = authorize(request, right);
  if (!instance) {
    response = fail(std::move(instance.error()));
  } else if (auto taken = provisioning_.throttle().take(**instance, Metered::service_operation);
             !taken) {
    response = fail(std::move(taken.error()));
  } else if (!is_api_version(request.query_value("api-version").value_or(""))) {
    response = fail(errors::dps::kBadRequest, "the query must name an api-version");
  } else {
    Call call{std::move(request), *std::move(instance), kind};
    response = co_await (this->*method)(std::move(call));
  }
  if (!response) {
    const Error error = std::move(response.error());  // `response` is replaced below
    const ServiceError& service = service_error(error);
    if (service.http_status == 401 || service.http_status >= 500) {
      log::warn("provisioning.service_refused", {{"tracking_id", tracking_id},
                                                 {"path", path},
                                                 {"status", service.http_status},
                                                 {"reason", error.message}});
    }
    response =
        http::Response::json(service.http_status, error_body(error, tracking_id, clock_.now()));
    response->headers.set(kErrorCodeHeader, std::to_string(service.number));
    if (const int after = retry_after_s(error); after > 0) {
      response->headers.set("Retry-After", std::to_string(after));
    }
  }
  response->headers.set("x-ms-request-id", tracking_id);
  co_return *std::move(response);
}

void ServiceApi::add(http::Router& router, std::string_view method, std::string_view pattern,
                     EnrollmentKind kind, DpsRight right, Method call) {
  router.add(method, pattern,
             [self = shared_from_this(), kind, right, call](http::Request request) {
               return self->handle(std::move(request), kind, right, call);
             });
}

void ServiceApi::add_routes(http::Router& router) {
  for (const auto kind : {EnrollmentKind::individual, EnrollmentKind::group}) {
    const std::string all =
        kind == EnrollmentKind::individual ? "/enrollments" : "/enrollmentGroups";
    const std::string one = all + "/{id}";
    add(router, "GET", one, kind, DpsRight::enrollment_read, &ServiceApi::get);
    add(router, "PUT", one, kind, DpsRight::enrollment_write, &ServiceApi::put);
    add(router, "DELETE", one, kind, DpsRight::enrollment_write, &ServiceApi::remove);
    add(router, "POST", all, kind, DpsRight::enrollment_write, &ServiceApi::bulk);
    add(router, "POST", all + "/query", kind, DpsRight::enrollment_read, &ServiceApi::query);
    // Secrets are for those who may change them.
    add(router, "POST", one + "/attestationmechanism", kind, DpsRight::enrollment_write,
        &ServiceApi::attestation);
  }
  const auto any = EnrollmentKind::individual;
  add(router, "GET", "/registrations/{id}", any, DpsRight::registration_status_read,
      &ServiceApi::get_registration);
  add(router, "DELETE", "/registrations/{id}", any, DpsRight::registration_status_write,
      &ServiceApi::remove_registration);
  add(router, "POST", "/registrations/{id}/query", any, DpsRight::registration_status_read,
      &ServiceApi::query_registrations);
  // Ours: Azure has no list of all. A group called "query" is asked for by its own path.
  add(router, "POST", "/registrations/query", any, DpsRight::registration_status_read,
      &ServiceApi::query_all_registrations);
}

// ---- What they may -----------------------------------------------------------------------------

Task<Result<http::Response>> ServiceApi::get(Call call) {
  auto shown = co_await provisioning_.enrollments().get(call.instance, call.kind, call.id());
  if (!shown) co_return fail(std::move(shown.error()));
  co_return json_response(*shown);
}

Task<Result<http::Response>> ServiceApi::put(Call call) {
  auto body = read_body(call.request);
  if (!body) co_return fail(std::move(body.error()));
  auto made = co_await provisioning_.enrollments().put(call.instance, call.kind, call.id(),
                                                       *std::move(body), call.if_match());
  if (!made) co_return fail(std::move(made.error()));
  co_return json_response(*made);
}

Task<Result<http::Response>> ServiceApi::remove(Call call) {
  auto removed = co_await provisioning_.enrollments().remove(call.instance, call.kind, call.id(),
                                                             call.if_match());
  if (!removed) co_return fail(std::move(removed.error()));
  co_return http::Response::empty(204);
}

Task<Result<http::Response>> ServiceApi::bulk(Call call) {
  auto body = read_body(call.request);
  if (!body) co_return fail(std::move(body.error()));
  auto result =
      co_await provisioning_.enrollments().bulk(call.instance, call.kind, *std::move(body));
  if (!result) co_return fail(std::move(result.error()));
  co_return json_response(*result);
}

Task<Result<http::Response>> ServiceApi::query(Call call) {
  auto wanted = read_page_request(call.request);
  if (!wanted) co_return fail(std::move(wanted.error()));
  auto page =
      co_await provisioning_.enrollments().query(call.instance, call.kind, *std::move(wanted));
  if (!page) co_return fail(std::move(page.error()));
  co_return page_response(
      *page, call.kind == EnrollmentKind::individual ? "Enrollment" : "EnrollmentGroup");
}

Task<Result<http::Response>> ServiceApi::attestation(Call call) {
  auto enrollment = co_await provisioning_.enrollments().find(call.instance, call.kind, call.id());
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  co_return json_response(attestation_json(**enrollment, ShowKeys::show));
}

Task<Result<http::Response>> ServiceApi::get_registration(Call call) {
  auto found = co_await provisioning_.enrollments().get_registration(call.instance, call.id());
  if (!found) co_return fail(std::move(found.error()));
  co_return json_response(state_json(*found));
}

Task<Result<http::Response>> ServiceApi::remove_registration(Call call) {
  auto removed = co_await provisioning_.enrollments().remove_registration(call.instance, call.id(),
                                                                          call.if_match());
  if (!removed) co_return fail(std::move(removed.error()));
  co_return http::Response::empty(204);
}

Task<Result<http::Response>> ServiceApi::query_registrations(Call call) {
  auto wanted = read_page_request(call.request);
  if (!wanted) co_return fail(std::move(wanted.error()));
  auto page = co_await provisioning_.enrollments().query_registrations(call.instance, call.id(),
                                                                       *std::move(wanted));
  if (!page) co_return fail(std::move(page.error()));
  co_return page_response(*page, "DeviceRegistration");
}

Task<Result<http::Response>> ServiceApi::query_all_registrations(Call call) {
  auto wanted = read_page_request(call.request);
  if (!wanted) co_return fail(std::move(wanted.error()));
  auto page = co_await provisioning_.enrollments().query_all_registrations(call.instance,
                                                                           *std::move(wanted));
  if (!page) co_return fail(std::move(page.error()));
  co_return page_response(*page, "DeviceRegistration");
}

}  // namespace

void register_service_routes(http::Router& router, Provisioning& provisioning, BearerCheck bearer) {
  std::make_shared<ServiceApi>(provisioning, std::move(bearer))->add_routes(router);
}

void register_service_routes(http::Router& router, Provisioning& provisioning,
                             resources::Resources& resources) {
  register_service_routes(router, provisioning, [&resources](std::string_view header) {
    return resources.authenticate_bearer(header, resources::Audience::provisioning);
  });
}

}  // namespace doppel::provisioning
