// doppel iot dps policy ... and connection-string show: who may use the service API.
#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/dps_calls.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Devices/provisioningServices";
constexpr std::string_view kOwnerPolicy = "provisioningserviceowner";

Result<std::string> path_of(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--dps-name", session.profile().dps);
  if (!name) return name;
  return session.resource_path(args, kType, *name);
}

Result<json::Array> read_policies(Session& session, const std::string& path) {
  auto answer = session.send_json({.method = "POST", .path = path + "/listkeys"});
  if (!answer) return fail(std::move(answer.error()));
  const json::Value* list = json::find(*answer, "value");
  if (list == nullptr || !list->is_array()) {
    return fail(Code::bad_gateway, "the answer to a list of keys has no `value`");
  }
  return list->get_array();
}

json::Array::iterator find_policy(json::Array& policies, std::string_view name) {
  return std::ranges::find_if(policies, [&](const json::Value& policy) {
    return equal_ignoring_case(json::get_string_or(policy, "keyName", ""), name);
  });
}

std::unexpected<Error> no_policy(std::string_view name) {
  return fail(Code::not_found,
              fmt::format("there is no policy {}; `doppel iot dps policy list` shows them", name));
}

// The whole resource is written back, as az does; the etag keeps two at once apart.
Status write_policies(Session& session, const std::string& path, json::Array policies) {
  auto dps = session.send_json({.path = path});
  if (!dps) return fail(std::move(dps.error()));
  if (!dps->is_object() || !(*dps).get_object()["properties"].is_object()) {
    return fail(Code::bad_gateway, "the resource has no properties");
  }
  dps->get_object()["properties"].get_object()["authorizationPolicies"] = std::move(policies);
  const std::string etag = json::get_string_or(*dps, "etag", "");
  auto written =
      session.send_json({.method = "PUT", .path = path, .body = *std::move(dps), .if_match = etag});
  if (!written) return fail(std::move(written.error()));
  return {};
}

Result<Output> list(Session& session, const Arguments& args) {
  auto path = path_of(session, args);
  if (!path) return fail(std::move(path.error()));
  auto policies = read_policies(session, *path);
  if (!policies) return fail(std::move(policies.error()));
  return Output(json::Value(*std::move(policies)));
}

Result<json::Value> read_policy(Session& session, const std::string& path, std::string_view name) {
  auto policies = read_policies(session, path);
  if (!policies) return fail(std::move(policies.error()));
  const auto at = find_policy(*policies, name);
  if (at == policies->end()) return no_policy(name);
  return std::move(*at);
}

Result<Output> show(Session& session, const Arguments& args) {
  auto path = path_of(session, args);
  if (!path) return fail(std::move(path.error()));
  auto policy = read_policy(session, *path, args.get("--policy-name"));
  if (!policy) return fail(std::move(policy.error()));
  return Output(*std::move(policy));
}

// "ServiceConfig EnrollmentRead", as typed, in the spelling of the service: "A, B".
std::string rights_text(const Arguments& args) {
  std::string rights;
  for (const std::string& right : args.all("--rights")) {
    rights += (rights.empty() ? "" : ", ") + right;
  }
  return rights;
}

void lay_options(json::Value& policy, const Arguments& args) {
  json::Object& members = policy.get_object();
  if (const std::string rights = rights_text(args); !rights.empty()) members["rights"] = rights;
  if (const auto key = args.find("--primary-key")) members["primaryKey"] = *key;
  if (const auto key = args.find("--secondary-key")) members["secondaryKey"] = *key;
}

Result<Output> change(Session& session, const Arguments& args, bool is_new) {
  auto path = path_of(session, args);
  if (!path) return fail(std::move(path.error()));
  auto policies = read_policies(session, *path);
  if (!policies) return fail(std::move(policies.error()));
  const std::string name = args.get("--policy-name");
  auto at = find_policy(*policies, name);
  if (is_new && at != policies->end()) {
    return fail(Code::already_exists,
                fmt::format("there is a policy {} already; `update` changes it", name));
  }
  if (!is_new && at == policies->end()) return no_policy(name);
  if (is_new) {
    policies->push_back(json::Object{{"keyName", name}});
    at = std::prev(policies->end());
  }
  lay_options(*at, args);
  if (auto written = write_policies(session, *path, *std::move(policies)); !written) {
    return fail(std::move(written.error()));
  }
  return show(session, args);
}
Result<Output> create(Session& session, const Arguments& args) {
  return change(session, args, true);
}
Result<Output> update(Session& session, const Arguments& args) {
  return change(session, args, false);
}

Result<Output> remove(Session& session, const Arguments& args) {
  auto path = path_of(session, args);
  if (!path) return fail(std::move(path.error()));
  auto policies = read_policies(session, *path);
  if (!policies) return fail(std::move(policies.error()));
  const auto at = find_policy(*policies, args.get("--policy-name"));
  if (at == policies->end()) return no_policy(args.get("--policy-name"));
  if (policies->size() == 1) {
    return fail(Code::invalid_argument, "the last policy stays: without one nobody gets in by key");
  }
  policies->erase(at);
  if (auto written = write_policies(session, *path, *std::move(policies)); !written) {
    return fail(std::move(written.error()));
  }
  return Output{};
}

Result<Output> connection_string(Session& session, const Arguments& args) {
  auto path = path_of(session, args);
  if (!path) return fail(std::move(path.error()));
  auto dps = session.send_json({.path = *path});
  if (!dps) return fail(std::move(dps.error()));
  auto policy = read_policy(session, *path, args.get_or("--policy-name", kOwnerPolicy));
  if (!policy) return fail(std::move(policy.error()));
  const std::string type = to_lower(args.get_or("--key-type", "primary"));
  if (type != "primary" && type != "secondary") {
    return fail(Code::invalid_argument, "--key-type is primary or secondary");
  }
  const json::Value* properties = json::find(*dps, "properties");
  const std::string host = properties == nullptr
                               ? ""
                               : json::get_string_or(*properties, "serviceOperationsHostName", "");
  return Output(json::Value(json::Object{
      {"connectionString",
       fmt::format(
           "HostName={};SharedAccessKeyName={};SharedAccessKey={}", host,
           json::get_string_or(*policy, "keyName", ""),
           json::get_string_or(*policy, type == "primary" ? "primaryKey" : "secondaryKey", ""))}}));
}

}  // namespace

std::vector<Command> dps_policy_commands() {
  const Option name{.names = "--policy-name,--pn", .help = "Policy", .is_required = true};
  const Option rights{.names = "--rights,-r",
                      .help =
                          "ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, "
                          "RegistrationStatusRead, RegistrationStatusWrite",
                      .kind = Option::Kind::values};
  Option needed_rights = rights;
  needed_rights.is_required = true;
  const Option primary{.names = "--primary-key", .help = "Primary key, base64"};
  const Option secondary{.names = "--secondary-key", .help = "Secondary key, base64"};
  const std::vector<std::string> columns = {"keyName", "rights"};
  return {
      {"iot dps policy list",
       "List the shared access policies with their keys",
       {kDpsOption, kGroupOption},
       list,
       columns},
      {"iot dps policy show",
       "Show a shared access policy with its keys",
       {kDpsOption, kGroupOption, name},
       show,
       columns},
      {"iot dps policy create",
       "Create a shared access policy",
       {kDpsOption, kGroupOption, name, needed_rights, primary, secondary},
       create,
       columns},
      {"iot dps policy update",
       "Change the rights or keys of a shared access policy",
       {kDpsOption, kGroupOption, name, rights, primary, secondary},
       update,
       columns},
      {"iot dps policy delete",
       "Delete a shared access policy; its tokens are worth nothing at once",
       {kDpsOption, kGroupOption, name},
       remove,
       {}},
      {"iot dps connection-string show",
       "Show a connection string for service clients",
       {kDpsOption,
        kGroupOption,
        {.names = "--policy-name,--pn", .help = "Policy (default: provisioningserviceowner)"},
        {.names = "--key-type,--kt", .help = "primary (default) or secondary"}},
       connection_string,
       {"connectionString"}},
  };
}

}  // namespace doppel::cli
