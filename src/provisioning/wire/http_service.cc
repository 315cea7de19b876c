#include "provisioning/wire/http_service.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/wire/device_api.h"
#include "provisioning/wire/errors.h"
#include "provisioning/wire/http_operator.h"
#include "provisioning/wire/service_door.h"
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

// What the query text asks for. Registrations of a group are asked for without a body by az.
Result<Filter> read_filter(const http::Request& request) {
  if (request.body.empty()) return Filter();
  auto body = read_service_body(request);
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

// Kept alive by its routes.
class ServiceApi final : public std::enable_shared_from_this<ServiceApi> {
 public:
  ServiceApi(Provisioning& provisioning, ServiceDoor door)
      : provisioning_(provisioning), door_(std::move(door)) {}

  void add_routes(http::Router& router);

 private:
  struct Call;  // an authorized request
  using Method = Task<Result<http::Response>> (ServiceApi::*)(Call);
  void add(http::Router& router, std::string_view method, std::string_view pattern,
           EnrollmentKind kind, DpsRight right, Method call);

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
  ServiceDoor door_;
};

struct ServiceApi::Call {
  http::Request request;
  Instance instance;
  EnrollmentKind kind;

  std::string id() const { return std::string(request.param("id")); }
  std::string if_match() const { return std::string(request.headers.get_or("If-Match", "")); }
};

void ServiceApi::add(http::Router& router, std::string_view method, std::string_view pattern,
                     EnrollmentKind kind, DpsRight right, Method call) {
  // Not a coroutine itself: it makes the task of one, whose arguments are values.
  ServiceDoor::Handler handler = [self = shared_from_this(), kind, call](
                                     http::Request request, Instance instance, std::string) {
    return (self.get()->*call)(Call{std::move(request), std::move(instance), kind});
  };
  router.add(
      method, pattern,
      [self = shared_from_this(), right, handler = std::move(handler)](http::Request request) {
        return self->door_.handle(std::move(request), right, handler);
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
  auto body = read_service_body(call.request);
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
  auto body = read_service_body(call.request);
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
  if (!found && found.error().code == Code::not_found) {
    // Ours: a device that waits for approval has a state already.
    auto waiting = co_await provisioning_.approvals().find(call.instance, call.id());
    if (!waiting) co_return fail(std::move(waiting.error()));
    if (*waiting) co_return json_response(state_json(**waiting));
  }
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
  const ServiceDoor door(provisioning, std::move(bearer));
  std::make_shared<ServiceApi>(provisioning, door)->add_routes(router);
  register_operator_routes(router, provisioning, door);
}

void register_service_routes(http::Router& router, Provisioning& provisioning,
                             resources::Resources& resources) {
  register_service_routes(router, provisioning, [&resources](std::string_view header) {
    return resources.authenticate_bearer(header, resources::Audience::provisioning);
  });
}

}  // namespace doppel::provisioning
