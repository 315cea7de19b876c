// The handlers of the data plane, each a method of one object that all routes share.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "protocol/http/message.h"
#include "protocol/http/router.h"
#include "twins/twin_service.h"
#include "twins/wire/http_twins.h"

namespace doppel::twins::wire {

// Of one request that was admitted.
struct Call {
  TwinsInstanceName instance;
  std::string api_version;
  http::Request request;

  DigitalTwinId twin() const { return DigitalTwinId(request.param("id")); }
  RelationshipId relationship() const { return RelationshipId(request.param("relationship")); }
  std::string component() const { return std::string(request.param("component")); }
};

// Any thread; lives in the router.
class Routes {
 public:
  Routes(TwinService& service, Admission admit) : service_(service), admit_(std::move(admit)) {}

  static void add_all(http::Router& router, const std::shared_ptr<Routes>& routes);

 private:
  using Action = Task<http::Response> (Routes::*)(Call);

  // Admits the request and has `action` answer it.
  Task<http::Response> run(http::Request request, Need need, Action action);
  void note_version(const std::string& api_version, const http::Request& request);

  // http_models.cc
  Task<http::Response> add_models(Call call);
  Task<http::Response> list_models(Call call);
  Task<http::Response> get_model(Call call);
  Task<http::Response> patch_model(Call call);
  Task<http::Response> delete_model(Call call);
  Task<Result<json::Object>> model_data(const StoredModel& model, TwinsInstanceName instance,
                                        bool with_definition);

  // http_digital_twins.cc
  Task<http::Response> list_twins(Call call);
  Task<http::Response> get_twin(Call call);
  Task<http::Response> put_twin(Call call);
  Task<http::Response> patch_twin(Call call);
  Task<http::Response> delete_twin(Call call);
  Task<http::Response> get_component(Call call);
  Task<http::Response> patch_component(Call call);
  Task<http::Response> post_telemetry(Call call);

  // http_relationships.cc
  Task<http::Response> list_relationships(Call call);
  Task<http::Response> list_incoming(Call call);
  Task<http::Response> get_relationship(Call call);
  Task<http::Response> put_relationship(Call call);
  Task<http::Response> patch_relationship(Call call);
  Task<http::Response> delete_relationship(Call call);

  TwinService& service_;
  Admission admit_;
  std::mutex mutex_;
  std::set<std::string> unknown_versions_;  // logged; guarded by mutex_
};

// Runs a staged form that yields nothing in a transaction of its own.
Task<Status> transact_status(store::Store& store,
                             std::function<Task<Status>(store::Transaction&)> stage);

}  // namespace doppel::twins::wire
