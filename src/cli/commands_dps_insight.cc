// doppel iot dps trace | explain, and the test call of an allocation function: what a provisioning
// service does, told step by step.
#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/clock.h"
#include "cli/attempt_text.h"
#include "cli/command.h"
#include "cli/dps_calls.h"
#include "cli/enrollment_document.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr auto kFollowInterval = std::chrono::milliseconds(500);
constexpr long kFollowMax_s = 86'400;

// ---- trace ----

std::string trace_path(const Arguments& args, std::string_view after) {
  std::string path =
      args.has("--registration-id") ? registration_path(args, "/trace") : std::string("/traces");
  std::string query;
  if (const auto top = args.find("--top")) query += "&top=" + percent_encode(*top);
  if (!after.empty()) query += fmt::format("&after={}", after);
  if (!query.empty()) query[0] = '?';
  return path + query;
}

std::string trace_text(const json::Value& answer) {
  std::string out;
  const json::Value* attempts = json::find(answer, "attempts");
  if (attempts == nullptr || !attempts->is_array() || attempts->get_array().empty()) {
    return "Nothing was tried since the server started, or it was long ago.\n";
  }
  for (const json::Value& attempt : attempts->get_array()) {
    out += (out.empty() ? "" : "\n") + attempt_text(attempt);
  }
  return out;
}

Result<std::chrono::seconds> time_limit(const Arguments& args) {
  const auto text = args.find("--timeout");
  if (!text) return std::chrono::seconds(kFollowMax_s);
  long seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size() || seconds < 0 ||
      seconds > kFollowMax_s) {
    return fail(Code::invalid_argument,
                fmt::format("--timeout takes seconds from 0 to {}", kFollowMax_s));
  }
  return std::chrono::seconds(seconds);
}

// Prints the attempts of an answer that have ended and were not printed before.
void print_news(const json::Value& answer, bool as_json_lines, std::set<std::int64_t>& printed) {
  const json::Value* attempts = json::find(answer, "attempts");
  if (attempts == nullptr || !attempts->is_array()) return;
  for (const json::Value& attempt : attempts->get_array()) {
    if (json::get_string_or(attempt, "outcome", "") == "running") continue;
    const json::Value* number = json::find(attempt, "number");
    if (number == nullptr || !printed.insert(json::to_int64(*number).value_or(0)).second) continue;
    if (as_json_lines) {
      std::cout << json::write(attempt) << std::endl;
    } else {
      std::cout << attempt_text(attempt) << std::endl;
    }
  }
}

Result<Output> follow(Session& session, const Arguments& args) {
  auto limit = time_limit(args);
  if (!limit) return fail(std::move(limit.error()));
  auto call = dps_call(session, args, "GET", "");
  if (!call) return fail(std::move(call.error()));
  const bool as_json_lines = args.get("--output") == "json";
  const SystemClock clock;
  const auto deadline = clock.steady() + *limit;
  std::set<std::int64_t> printed;
  for (std::string after;;) {
    call->path = trace_path(args, after);
    auto answer = session.send_json(*call);
    if (!answer) return fail(std::move(answer.error()));
    print_news(*answer, as_json_lines, printed);
    if (const json::Value* last = json::find(*answer, "last")) {
      // What was passed is never told again.
      after = json::write(*last);
      printed.erase(printed.begin(), printed.upper_bound(json::to_int64(*last).value_or(0)));
    }
    if (clock.steady() >= deadline) return Output{};
    std::this_thread::sleep_for(kFollowInterval);
  }
}

Result<Output> trace(Session& session, const Arguments& args) {
  if (args.has("--follow")) return follow(session, args);
  auto call = dps_call(session, args, "GET", trace_path(args, ""));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}

// ---- explain ----

Status lay_payload(json::Object& body, const Arguments& args) {
  const auto text = args.find("--payload");
  if (!text) return {};
  auto payload = parse_json_argument("--payload", *text);
  if (!payload) return fail(std::move(payload.error()));
  body["payload"] = *std::move(payload);
  return {};
}

Result<Output> explain(Session& session, const Arguments& args) {
  auto call = dps_call(session, args, "POST", registration_path(args, "/explain"));
  if (!call) return fail(std::move(call.error()));
  json::Object body;
  if (auto laid = lay_payload(body, args); !laid) return fail(std::move(laid.error()));
  if (const auto group = args.find("--enrollment-id")) body["enrollmentGroupId"] = *group;
  if (const auto token = args.find("--token")) body["token"] = *token;
  if (const auto path = args.find("--certificate-path")) {
    std::ifstream file(*path, std::ios::binary);
    if (!file) {
      return fail(Code::invalid_argument, fmt::format("--certificate-path: cannot read {}", *path));
    }
    // A chain, so it is sent as it is; the service says what is wrong with it.
    body["certificate"] = std::string(std::istreambuf_iterator<char>(file), {});
  }
  if (args.has("--call-webhook")) body["callWebhook"] = true;
  call->body = std::move(body);
  return session.send_json(*call);
}

// ---- test-webhook ----

Result<Output> test_webhook(Session& session, const Arguments& args, EnrollmentSort sort) {
  const bool is_group = sort == EnrollmentSort::group;
  const std::string id = is_group
                             ? args.get_or("--enrollment-id", session.profile().enrollment_group)
                             : args.get("--registration-id");
  auto call =
      dps_call(session, args, "POST",
               fmt::format("/{}/{}/testwebhook", is_group ? "enrollmentGroups" : "enrollments",
                           percent_encode(id)));
  if (!call) return fail(std::move(call.error()));
  json::Object body;
  if (auto laid = lay_payload(body, args); !laid) return fail(std::move(laid.error()));
  if (const auto device = args.find("--registration-id"); device && is_group) {
    body["registrationId"] = *device;
  }
  call->body = std::move(body);
  return session.send_json(*call);
}

std::string test_text(const json::Value& report) {
  const auto text = [&](std::string_view name) { return json::get_string_or(report, name, ""); };
  const json::Value* good = json::find(report, "isGood");
  const json::Value* took = json::find(report, "tookMs");
  const json::Value* status = json::find(report, "status");
  std::string out =
      fmt::format("{} {}\n", text("function").empty() ? "POST" : "built-in", text("webhookUrl"));
  if (status != nullptr) out += fmt::format("status   {}\n", json::write(*status));
  if (took != nullptr) out += fmt::format("time     {} ms\n", json::write(*took));
  if (!text("body").empty()) out += fmt::format("body     {}\n", text("body"));
  if (!text("iotHubHostName").empty()) out += fmt::format("hub      {}\n", text("iotHubHostName"));
  if (!text("digitalTwin").empty()) out += fmt::format("twin     {}\n", text("digitalTwin"));
  const bool is_good = good != nullptr && good->is_bool() && good->get_bool();
  out += fmt::format("verdict  {}\n",
                     is_good ? "good: a device would be assigned" : "NOT good: " + text("problem"));
  if (!text("note").empty()) out += fmt::format("note     {}\n", text("note"));
  return out;
}

Result<Output> test_group(Session& session, const Arguments& args) {
  return test_webhook(session, args, EnrollmentSort::group);
}
Result<Output> test_individual(Session& session, const Arguments& args) {
  return test_webhook(session, args, EnrollmentSort::individual);
}

}  // namespace

std::vector<Command> dps_insight_commands() {
  const Option payload{.names = "--payload",
                       .help = "Payload as of a device, JSON or a file that holds it"};
  return {
      {"iot dps trace",
       "Show the latest attempts to provision, step by step, refused ones too",
       {kDpsOption,
        kGroupOption,
        {.names = "--registration-id,--rid", .help = "Registration ID (default: all devices)"},
        {.names = "--top", .help = "At most so many attempts, the newest"},
        {.names = "--follow,-f",
         .help = "Go on, and print each attempt when it ends",
         .kind = Option::Kind::flag},
        {.names = "--timeout", .help = "With --follow: seconds until it stops by itself"}},
       trace,
       {},
       trace_text},
      {"iot dps explain",
       "Tell what would happen if a device registered now, without doing it",
       {kDpsOption,
        kGroupOption,
        kRegistrationOption,
        {.names = "--enrollment-id,--eid",
         .help = "Enrollment group whose key the device has, where several fit"},
        {.names = "--certificate-path,--cp",
         .help = "The device's certificate with its chain, PEM"},
        {.names = "--token", .help = "A SAS token of the device, to see what is wrong with it"},
        payload,
        {.names = "--call-webhook",
         .help = "Call the allocation function for an answer; it may have effects of its own",
         .kind = Option::Kind::flag}},
       explain,
       {},
       attempt_text},
      {"iot dps enrollment-group test-webhook",
       "Call the allocation function of a group as for a device, and judge its answer",
       {kDpsOption,
        kGroupOption,
        {.names = "--enrollment-id,--eid",
         .help = "Enrollment group (default: the one of the profile)"},
        {.names = "--registration-id,--rid",
         .help = "Registration ID to ask for (default: webhook-test)"},
        payload},
       test_group,
       {},
       test_text},
      {"iot dps enrollment test-webhook",
       "Call the allocation function of an individual enrollment, and judge its answer",
       {kDpsOption, kGroupOption, kRegistrationOption, payload},
       test_individual,
       {},
       test_text},
  };
}

}  // namespace doppel::cli
