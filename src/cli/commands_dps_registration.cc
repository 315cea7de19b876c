// doppel iot dps registration ...: what devices were assigned, who waits, and taking it back.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/dps_calls.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

Result<Output> show(Session& session, const Arguments& args) {
  auto call = dps_call(session, args, "GET", registration_path(args));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}

Result<Output> list_waiting(Session& session, const Arguments& args) {
  auto call = dps_call(session, args, "GET", "/approvals?state=pending");
  if (!call) return fail(std::move(call.error()));
  auto all = session.query_all(*call, "GET");
  if (!all) return fail(std::move(all.error()));
  const auto group = args.find("--enrollment-id");
  json::Array waiting;
  for (auto& state : *all) {
    const json::Value* approval = json::find(state, "approval");
    if (group &&
        (approval == nullptr ||
         !equal_ignoring_case(json::get_string_or(*approval, "enrollmentGroupId", ""), *group))) {
      continue;
    }
    waiting.push_back(std::move(state));
  }
  return Output(json::Value(std::move(waiting)));
}

Result<Output> list(Session& session, const Arguments& args) {
  if (args.has("--pending")) return list_waiting(session, args);
  const std::string group = args.get_or("--enrollment-id", session.profile().enrollment_group);
  auto call = dps_call(session, args, "POST",
                       fmt::format("/registrations/{}/query", percent_encode(group)));
  if (!call) return fail(std::move(call.error()));
  auto all = session.query_all(*call);
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
}

Result<Output> remove(Session& session, const Arguments& args) {
  const bool whole = args.has("--deprovision");
  auto call = dps_call(session, args, whole ? "POST" : "DELETE",
                       registration_path(args, whole ? "/deprovision" : ""));
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  if (!whole) return send_quietly(session, *call);
  return session.send_json(*call);
}

Result<Output> decide(Session& session, const Arguments& args, std::string_view verb) {
  auto call = dps_call(session, args, "POST", registration_path(args, verb));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> approve(Session& session, const Arguments& args) {
  return decide(session, args, "/approve");
}
Result<Output> reject(Session& session, const Arguments& args) {
  return decide(session, args, "/reject");
}

}  // namespace

std::vector<Command> dps_registration_commands() {
  const std::vector<std::string> states = {"registrationId", "status",   "Approval=approval.state",
                                           "assignedHub",    "deviceId", "lastUpdatedDateTimeUtc"};
  const std::vector<std::string> decided = {"registrationId", "State=approval.state",
                                            "Group=approval.enrollmentGroupId",
                                            "By=approval.decidedBy", "When=approval.decidedUtc"};
  return {
      {"iot dps registration show",
       "Show what became of a registration",
       {kDpsOption, kGroupOption, kRegistrationOption},
       show,
       states},
      {"iot dps registration list",
       "List the registrations of an enrollment group, or the devices that wait for approval",
       {kDpsOption,
        kGroupOption,
        {.names = "--enrollment-id,--eid",
         .help = "Enrollment group (default: the one of the profile; with --pending: all)"},
        {.names = "--pending",
         .help = "Devices that wait until a person lets them in",
         .kind = Option::Kind::flag}},
       list,
       states},
      {"iot dps registration delete",
       "Forget a registration; the device can register anew",
       {kDpsOption,
        kGroupOption,
        kRegistrationOption,
        kEtagOption,
        {.names = "--deprovision",
         .help = "Take everything back in one go: the device in its hub with its twin, and its "
                 "digital twin, too",
         .kind = Option::Kind::flag}},
       remove,
       {"registrationId", "deviceId", "assignedHub", "identityRemoved", "digitalTwinsRemoved"}},
      {"iot dps registration approve",
       "Let a device in that waits for approval, or that was rejected",
       {kDpsOption, kGroupOption, kRegistrationOption},
       approve,
       decided},
      {"iot dps registration reject",
       "Turn a device away that waits for approval",
       {kDpsOption, kGroupOption, kRegistrationOption},
       reject,
       decided},
  };
}

}  // namespace doppel::cli
