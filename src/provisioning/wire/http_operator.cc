#include "provisioning/wire/http_operator.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

using resources::DpsRight;

// A number of the query; `fallback` when it is not there. Errors: BadRequest.
Result<std::uint64_t> query_number(const http::Request& request, std::string_view name,
                                   std::uint64_t fallback) {
  const auto text = request.query_value(name);
  if (!text) return fallback;
  std::uint64_t value = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
  if (text->empty() || read.ec != std::errc() || read.ptr != text->data() + text->size()) {
    return fail(errors::dps::kBadRequest, fmt::format("{} must be a number", name));
  }
  return value;
}

// A body that may be left out. Errors: those of read_service_body; BadRequest.
Result<json::Value> optional_body(const http::Request& request) {
  if (request.body.empty()) return json::Value(json::Object{});
  auto body = read_service_body(request);
  if (body && !body->is_object()) {
    return fail(errors::dps::kBadRequest, "the body must be a JSON object");
  }
  return body;
}

std::optional<json::Value> payload_of(const json::Value& body) {
  const json::Value* payload = json::find(body, "payload");
  if (payload == nullptr || payload->is_null()) return std::nullopt;
  return *payload;
}

bool is_true(const json::Value& body, std::string_view name) {
  const json::Value* flag = json::find(body, name);
  return flag != nullptr && flag->is_bool() && flag->get_bool();
}

// Kept alive by its routes.
class OperatorApi final : public std::enable_shared_from_this<OperatorApi> {
 public:
  OperatorApi(Provisioning& provisioning, ServiceDoor door)
      : provisioning_(provisioning), door_(std::move(door)) {}

  void add_routes(http::Router& router);

 private:
  struct Call;
  using Method = Task<Result<http::Response>> (OperatorApi::*)(Call);
  void add(http::Router& router, std::string_view method, std::string_view pattern, DpsRight right,
           Method call);

  Task<Result<http::Response>> trace(Call call);
  Task<Result<http::Response>> list_approvals(Call call);
  Task<Result<http::Response>> approve(Call call);
  Task<Result<http::Response>> reject(Call call);
  Task<Result<http::Response>> decide(Call call, ApprovalState decision);
  Task<Result<http::Response>> explain(Call call);
  Task<Result<http::Response>> deprovision(Call call);
  Task<Result<http::Response>> test_group(Call call);
  Task<Result<http::Response>> test_individual(Call call);
  Task<Result<http::Response>> test_webhook(Call call, EnrollmentKind kind);

  Provisioning& provisioning_;
  ServiceDoor door_;
};

struct OperatorApi::Call {
  http::Request request;
  Instance instance;
  std::string caller;

  std::string id() const { return std::string(request.param("id")); }
};

void OperatorApi::add(http::Router& router, std::string_view method, std::string_view pattern,
                      DpsRight right, Method call) {
  // Not a coroutine itself: it makes the task of one, whose arguments are values.
  ServiceDoor::Handler handler = [self = shared_from_this(), call](
                                     http::Request request, Instance instance, std::string caller) {
    return (self.get()->*call)(Call{std::move(request), std::move(instance), std::move(caller)});
  };
  router.add(
      method, pattern,
      [self = shared_from_this(), right, handler = std::move(handler)](http::Request request) {
        return self->door_.handle(std::move(request), right, handler);
      });
}

void OperatorApi::add_routes(http::Router& router) {
  add(router, "GET", "/registrations/{id}/trace", DpsRight::registration_status_read,
      &OperatorApi::trace);
  add(router, "GET", "/traces", DpsRight::registration_status_read, &OperatorApi::trace);
  add(router, "GET", "/approvals", DpsRight::registration_status_read,
      &OperatorApi::list_approvals);
  add(router, "POST", "/registrations/{id}/approve", DpsRight::registration_status_write,
      &OperatorApi::approve);
  add(router, "POST", "/registrations/{id}/reject", DpsRight::registration_status_write,
      &OperatorApi::reject);
  add(router, "POST", "/registrations/{id}/deprovision", DpsRight::registration_status_write,
      &OperatorApi::deprovision);
  // These may call functions in the outside world, so reading is not enough.
  add(router, "POST", "/registrations/{id}/explain", DpsRight::enrollment_write,
      &OperatorApi::explain);
  add(router, "POST", "/enrollmentGroups/{id}/testwebhook", DpsRight::enrollment_write,
      &OperatorApi::test_group);
  add(router, "POST", "/enrollments/{id}/testwebhook", DpsRight::enrollment_write,
      &OperatorApi::test_individual);
}

// Of one registration ID or, without one, of all: the newest attempts, oldest first.
Task<Result<http::Response>> OperatorApi::trace(Call call) {
  const std::string id = call.id();
  const std::uint64_t usual = id.empty() ? 100 : kTracesListedMax;
  auto after = query_number(call.request, "after", 0);
  if (!after) co_return fail(std::move(after.error()));
  auto count = query_number(call.request, "top", usual);
  if (!count) co_return fail(std::move(count.error()));
  const auto items_max =
      static_cast<std::size_t>(std::min<std::uint64_t>(*count, kTracesListedMax));
  json::Array attempts;
  std::uint64_t last = *after;
  bool is_passing = true;
  for (const AttemptRecord& attempt :
       provisioning_.traces().find(call.instance->name, id, *after, items_max)) {
    attempts.push_back(to_json(attempt));
    // Not past one that still runs, so that who follows sees how it ends.
    is_passing = is_passing && attempt.end.has_value();
    if (is_passing) last = attempt.number;
  }
  json::Object body;
  if (!id.empty()) body["registrationId"] = id;
  body["attempts"] = std::move(attempts);
  body["last"] = static_cast<std::int64_t>(last);
  co_return http::Response::json(200, json::write(body));
}

// In pages, like Azure's queries.
Task<Result<http::Response>> OperatorApi::list_approvals(Call call) {
  std::optional<ApprovalState> state;
  if (const auto text = call.request.query_value("state")) {
    state = parse_approval_state(*text);
    if (!state) {
      co_return fail(errors::dps::kBadRequest, "state must be pending, approved or rejected");
    }
  }
  PageRequest wanted;
  wanted.continuation = call.request.headers.get_or("x-ms-continuation", "");
  auto page = co_await provisioning_.approvals().list(call.instance, state, std::move(wanted));
  if (!page) co_return fail(std::move(page.error()));
  auto response = http::Response::json(200, json::write(page->items));
  if (!page->continuation.empty()) {
    response.headers.set("x-ms-continuation", page->continuation);
  }
  co_return response;
}

Task<Result<http::Response>> OperatorApi::approve(Call call) {
  return decide(std::move(call), ApprovalState::approved);
}
Task<Result<http::Response>> OperatorApi::reject(Call call) {
  return decide(std::move(call), ApprovalState::rejected);
}
Task<Result<http::Response>> OperatorApi::decide(Call call, ApprovalState decision) {
  auto decided =
      co_await provisioning_.approvals().decide(call.instance, call.id(), decision, call.caller);
  if (!decided) co_return fail(std::move(decided.error()));
  co_return http::Response::json(200, json::write(state_json(*decided)));
}

Task<Result<http::Response>> OperatorApi::explain(Call call) {
  auto body = optional_body(call.request);
  if (!body) co_return fail(std::move(body.error()));
  ExplainRequest wanted{.instance = call.instance,
                        .id = RegistrationId(call.id()),
                        .proof = {},
                        .group = json::get_string_or(*body, "enrollmentGroupId", ""),
                        .payload = payload_of(*body),
                        .calls_webhook = is_true(*body, "callWebhook"),
                        .tracking_id = call.request.tracking_id};
  wanted.proof.sas_token = json::get_string_or(*body, "token", "");
  if (const auto pem = json::find_string(*body, "certificate"); pem && !pem->empty()) {
    auto chain = security::Certificate::parse_chain(*pem, security::kPresentedMax + 1);
    if (!chain) {
      co_return fail(errors::dps::kBadRequest, "certificate: " + chain.error().message);
    }
    security::PresentedChain shown{.leaf = chain->front()};
    shown.others.assign(std::next(chain->begin()), chain->end());
    wanted.proof.certificates = std::make_shared<const security::PresentedChain>(std::move(shown));
  }
  auto explained = co_await provisioning_.registrar().explain(std::move(wanted));
  if (!explained) co_return fail(std::move(explained.error()));
  co_return http::Response::json(200, json::write(to_json(*explained)));
}

Task<Result<http::Response>> OperatorApi::deprovision(Call call) {
  auto report = co_await provisioning_.operator_tools().deprovision(
      call.instance, call.id(), std::string(call.request.headers.get_or("If-Match", "")),
      call.request.stop);
  if (!report) co_return fail(std::move(report.error()));
  co_return http::Response::json(200, json::write(*report));
}

Task<Result<http::Response>> OperatorApi::test_group(Call call) {
  return test_webhook(std::move(call), EnrollmentKind::group);
}
Task<Result<http::Response>> OperatorApi::test_individual(Call call) {
  return test_webhook(std::move(call), EnrollmentKind::individual);
}
Task<Result<http::Response>> OperatorApi::test_webhook(Call call, EnrollmentKind kind) {
  auto body = optional_body(call.request);
  if (!body) co_return fail(std::move(body.error()));
  Operator::TestRequest wanted{
      .registration_id = json::get_string_or(*body, "registrationId", "webhook-test"),
      .payload = payload_of(*body)};
  auto report = co_await provisioning_.operator_tools().test_webhook(
      call.instance, kind, call.id(), std::move(wanted), call.request.stop);
  if (!report) co_return fail(std::move(report.error()));
  co_return http::Response::json(200, json::write(*report));
}

}  // namespace

void register_operator_routes(http::Router& router, Provisioning& provisioning, ServiceDoor door) {
  std::make_shared<OperatorApi>(provisioning, std::move(door))->add_routes(router);
}

}  // namespace doppel::provisioning
