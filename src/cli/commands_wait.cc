// doppel dt twin wait: for scripts that act on what a device or a function does to the twin graph.
#include <charconv>
#include <thread>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(5);
constexpr long kTimeoutDefault_s = 30, kTimeoutMax_s = 86'400;

Result<long> timeout_s(const Arguments& args) {
  const auto text = args.find("--timeout");
  if (!text) return kTimeoutDefault_s;
  long seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size() || seconds < 0 ||
      seconds > kTimeoutMax_s)
    return fail(Code::invalid_argument,
                fmt::format("--timeout takes seconds from 0 to {}", kTimeoutMax_s));
  return seconds;
}

// Asks again and again over one connection, so that what is seen is the server's time and not that
// of starting programs.
Result<Output> twin_wait(Session& session, const Arguments& args) {
  auto seconds = timeout_s(args);
  if (!seconds) return fail(std::move(seconds.error()));
  auto host = session.twins_host(args);
  if (!host) return fail(std::move(host.error()));
  const std::string id = args.get("--twin-id");
  const bool want_deleted = args.has("--deleted");
  const Session::Call call{.path = "/digitaltwins/" + percent_encode(id),
                           .api_version = kTwinsVersion,
                           .host = std::move(*host)};
  const SystemClock clock;
  const auto deadline = clock.steady() + std::chrono::seconds(*seconds);
  for (;;) {
    const auto response = session.send(call);
    if (!response && response.error().code != Code::not_found)
      return fail(response.error().code, response.error().message);
    if (response.has_value() != want_deleted)
      return Output(json::Value(json::Object{
          {"$dtId", id}, {"exists", response.has_value()}, {"seenAt", to_iso8601(clock.now())}}));
    if (clock.steady() >= deadline)
      return fail(Code::timeout,
                  fmt::format("the digital twin {} {} after {} s", id,
                              want_deleted ? "is still there" : "is still not there", *seconds));
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace

std::vector<Command> wait_commands() {
  return {
      {"dt twin wait",
       "Wait until a digital twin is there, or is gone",
       {{.names = "--dt-name,--dtn,-n",
         .help = "Digital Twins instance, by name or host name (default: the one of the profile)"},
        {.names = "--twin-id,-t", .help = "Digital twin ID", .is_required = true},
        {.names = "--exists", .help = "Until it is there (default)", .kind = Option::Kind::flag},
        {.names = "--deleted", .help = "Until it is gone", .kind = Option::Kind::flag},
        {.names = "--timeout", .help = "Seconds before giving up (default: 30)"}},
       twin_wait,
       {"$dtId", "exists", "seenAt"}}};
}

}  // namespace doppel::cli
