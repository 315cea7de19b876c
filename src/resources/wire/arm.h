// What the handlers of the management API share: who asks, what is asked for, how errors look.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "protocol/http/message.h"
#include "resources/api.h"
#include "resources/wire/routes.h"

namespace doppel::resources::wire {

// The address a client used, "https://localhost:8443", for links that must lead back here.
std::string base_url(const http::Request& request, const ResourceDefaults& defaults);

http::Response json_response(int status, const json::Value& body);
// {"error":{"code","message"}} with the status of the error; one exhaustive switch for inner codes.
http::Response error_response(const Error& error);

// A request taken apart, its sender proven.
struct ArmCall {
  http::Request request;
  std::vector<std::string> segments;  // of the path, decoded; at least {"subscriptions"}
  Principal principal;
  std::string path;  // the decoded segments joined: the scope that roles are checked against

  bool is(std::size_t index, std::string_view word) const;  // compared without case
  std::size_t size() const { return segments.size(); }
  const std::string& method() const { return request.method; }
};

// One for each register_routes. Handlers run on any connection's executor.
class Arm {
 public:
  Arm(Resources& resources, WireHooks hooks) : resources_(resources), hooks_(std::move(hooks)) {}

  // Any method on /subscriptions, /tenants and below; answers everything, errors included.
  Task<http::Response> handle(http::Request request);

 private:
  Result<ArmCall> open(http::Request& request);
  Status check_api_version(const http::Request& request, const std::vector<std::string>& segments);
  Status check_rights(const ArmCall& call) const;

  Task<Result<http::Response>> dispatch(ArmCall call);
  Result<http::Response> subscription(const ArmCall& call) const;
  Result<http::Response> provider(const ArmCall& call) const;
  Result<http::Response> list_resources(const ArmCall& call) const;
  Result<http::Response> list_documents(const ArmCall& call, std::string_view prefix,
                                        std::string_view type) const;
  Result<http::Response> collection(const ArmCall& call) const;
  Task<Result<http::Response>> document(ArmCall call);
  Task<Result<http::Response>> put_document(ArmCall call, ResourceId id);
  Task<Result<http::Response>> delete_document(ArmCall call, ResourceId id);

  // actions.cc: POST, and the GETs that are no documents.
  Task<Result<http::Response>> action(ArmCall call);
  Result<http::Response> list_keys(const ArmCall& call) const;
  Result<http::Response> rule_keys(const ResourceId& rule) const;
  Task<Result<http::Response>> regenerate_keys(ArmCall call);
  Task<Result<http::Response>> certificate_action(ArmCall call);
  Result<http::Response> site_keys(const ArmCall& call) const;
  Result<http::Response> name_availability(const ArmCall& call) const;
  Task<Result<http::Response>> hub_stats(ArmCall call);
  std::optional<http::Response> constant_answer(const ArmCall& call) const;

  Result<http::Response> settings(const ResourceId& id) const;

  Resources& resources_;
  WireHooks hooks_;
  std::mutex mutex_;
  std::set<std::string> new_versions_;  // api-versions that were logged
};

// identity.cc: OIDC discovery, tokens, cloud metadata; open to everybody.
void register_identity_routes(http::Router& router, Resources& resources);

}  // namespace doppel::resources::wire
