#include "twins/wire/routes.h"

#include <algorithm>
#include <array>

#include <errors/twins.h>

#include "base/encoding.h"
#include "base/log.h"
#include "twins/limits.h"
#include "twins/wire/http_answer.h"

namespace doppel::twins::wire {
namespace {

// Published api-versions; any other is served like the newest.
constexpr std::array<std::string_view, 6> kVersions{"2020-10-31", "2021-06-30-preview",
                                                    "2022-05-31", "2023-02-27-preview",
                                                    "2023-06-30", "2023-10-31"};
// IoT Hub's, where it shares a path (docs/wire/one-address.md).
constexpr std::array<std::string_view, 11> kHubVersions{
    "2018-06-30", "2019-10-01",         "2020-03-13",         "2020-05-31-preview",
    "2020-09-30", "2021-04-12",         "2021-04-12-preview", "2022-09-30",
    "2024-03-31", "2019-07-01-preview", "2020-03-01"};
constexpr std::size_t kNotedVersionsMax = 32;

}  // namespace

bool is_twins_request(const http::Request& request) {
  const auto version = request.query_value("api-version").value_or("");
  if (std::ranges::find(kVersions, version) != kVersions.end()) return true;
  if (std::ranges::find(kHubVersions, version) != kHubVersions.end()) return false;
  return !starts_with_ignoring_case(request.headers.get_or("Authorization", ""),
                                    "SharedAccessSignature");
}

Task<http::Response> Routes::run(http::Request request, Need need, Action action) {
  auto instance = admit_(request, need);
  if (!instance) co_return answer(instance.error());
  const auto version = request.query_value("api-version");
  if (!version || version->empty()) {
    const Error error = fail(errors::twins::kUnsupportedApiVersion).error();
    co_return answer(error);
  }
  Call call{.instance = std::move(*instance), .api_version = std::string(*version), .request = {}};
  note_version(call.api_version, request);
  call.request = std::move(request);
  co_return co_await (this->*action)(std::move(call));
}

void Routes::note_version(const std::string& api_version, const http::Request& request) {
  if (std::ranges::find(kVersions, api_version) != kVersions.end()) return;
  const std::lock_guard lock(mutex_);
  if (unknown_versions_.size() >= kNotedVersionsMax ||
      !unknown_versions_.insert(api_version).second)
    return;
  log::info("twins.unknown_api_version",
            {{"api_version", api_version}, {"tracking_id", request.tracking_id}});
}

void Routes::add_all(http::Router& router, const std::shared_ptr<Routes>& routes) {
  const auto add = [&](std::string_view method, std::string_view pattern, Need need,
                       Action action) {
    router.add(
        method, pattern,
        [routes, need, action](http::Request request) {
          return routes->run(std::move(request), need, action);
        },
        is_twins_request);
  };
  add("POST", "/models", Need::write, &Routes::add_models);
  router.set_body_bytes_max("POST", "/models", kModelsBodyBytesMax);
  add("GET", "/models", Need::read, &Routes::list_models);
  add("GET", "/models/{id}", Need::read, &Routes::get_model);
  add("PATCH", "/models/{id}", Need::write, &Routes::patch_model);
  add("DELETE", "/models/{id}", Need::write, &Routes::delete_model);

  add("GET", "/digitaltwins", Need::read, &Routes::list_twins);
  add("GET", "/digitaltwins/{id}", Need::read, &Routes::get_twin);
  add("PUT", "/digitaltwins/{id}", Need::write, &Routes::put_twin);
  add("PATCH", "/digitaltwins/{id}", Need::write, &Routes::patch_twin);
  add("DELETE", "/digitaltwins/{id}", Need::write, &Routes::delete_twin);
  add("GET", "/digitaltwins/{id}/components/{component}", Need::read, &Routes::get_component);
  add("PATCH", "/digitaltwins/{id}/components/{component}", Need::write, &Routes::patch_component);
  add("POST", "/digitaltwins/{id}/telemetry", Need::write, &Routes::post_telemetry);
  add("POST", "/digitaltwins/{id}/components/{component}/telemetry", Need::write,
      &Routes::post_telemetry);

  add("GET", "/digitaltwins/{id}/relationships", Need::read, &Routes::list_relationships);
  add("GET", "/digitaltwins/{id}/incomingrelationships", Need::read, &Routes::list_incoming);
  add("GET", "/digitaltwins/{id}/relationships/{relationship}", Need::read,
      &Routes::get_relationship);
  add("PUT", "/digitaltwins/{id}/relationships/{relationship}", Need::write,
      &Routes::put_relationship);
  add("PATCH", "/digitaltwins/{id}/relationships/{relationship}", Need::write,
      &Routes::patch_relationship);
  add("DELETE", "/digitaltwins/{id}/relationships/{relationship}", Need::write,
      &Routes::delete_relationship);
}

void register_routes(http::Router& router, TwinService& service, Admission admit) {
  Routes::add_all(router, std::make_shared<Routes>(service, std::move(admit)));
}

namespace {

Task<Result<bool>> as_result(Task<Status> task) {
  auto status = co_await std::move(task);
  if (!status) co_return fail(std::move(status.error()));
  co_return true;
}

}  // namespace

Task<Status> transact_status(store::Store& store,
                             std::function<Task<Status>(store::Transaction&)> stage) {
  const std::function<Task<Result<bool>>(store::Transaction&)> staged =
      [&stage](store::Transaction& tx) { return as_result(stage(tx)); };
  auto outcome = co_await store::transact<bool>(store, staged);
  if (!outcome) co_return fail(std::move(outcome.error()));
  co_return Status{};
}

}  // namespace doppel::twins::wire
