// doppel iot hub monitor-events: prints what arrives at a hub's built-in endpoint, live.
#include <iostream>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "cli/command.h"
#include "cli/eventhubs.h"
#include "cli/live_events.h"
#include "cli/monitored_event.h"
#include "cli/output.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kHubType = "Microsoft.Devices/IotHubs";
constexpr std::string_view kPolicy = "iothubowner";
constexpr std::int64_t kTimeoutDefaultS = 300;  // as az
constexpr std::int64_t kTimeoutMaxS = 365 * 24 * 3600;

// Host, entity, partitions and key of the hub's built-in endpoint, from the resource manager.
Result<EventMonitorOptions> built_in_endpoint(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--hub-name", session.profile().hub);
  if (!name) return fail(std::move(name.error()));
  const std::string path = session.resource_path(args, kHubType, *name);
  auto hub = session.send_json({.path = path});
  if (!hub && hub.error().code == Code::not_found)
    hub.error().message += "\n`doppel iot hub list` shows what there is.";
  if (!hub) return fail(std::move(hub.error()));
  auto key = session.send_json(
      {.method = "POST", .path = fmt::format("{}/IotHubKeys/{}/listkeys", path, kPolicy)});
  if (!key) return fail(std::move(key.error()));

  const auto* properties = json::find(*hub, "properties");
  const auto* endpoints =
      properties == nullptr ? nullptr : json::find(*properties, "eventHubEndpoints");
  const auto* events = endpoints == nullptr ? nullptr : json::find(*endpoints, "events");
  const auto* partitions = events == nullptr ? nullptr : json::find(*events, "partitionIds");
  if (partitions == nullptr || !partitions->is_array() || partitions->get_array().empty())
    return fail(Code::bad_gateway, "the hub's document names no built-in endpoint");
  EventMonitorOptions options;
  options.host = json::get_string_or(*properties, "hostName", "");
  options.entity = json::get_string_or(*events, "path", "");
  options.consumer_group = args.get_or("--consumer-group", "$Default");
  for (const auto& id : partitions->get_array())
    options.partitions.emplace_back(json::view(id.as_string()));
  options.key_name = kPolicy;
  options.key = json::get_string_or(*key, "primaryKey", "");
  return options;
}

Result<Output> monitor(Session& session, const Arguments& args) {
  auto format = event_format(args);
  if (!format) return fail(std::move(format.error()));
  const SystemClock clock;
  auto from_ms = number_of(args, "--enqueued-time");
  if (!from_ms) return fail(std::move(from_ms.error()));
  auto timeout_s = number_of(args, "--timeout");
  if (!timeout_s) return fail(std::move(timeout_s.error()));
  const std::int64_t timeout = timeout_s->value_or(kTimeoutDefaultS);
  if (timeout < 0 || timeout > kTimeoutMaxS)
    return fail(Code::invalid_argument,
                fmt::format("--timeout takes seconds from 0 (none) to {}", kTimeoutMaxS));
  if (*from_ms && **from_ms < 0)
    return fail(Code::invalid_argument, "--enqueued-time takes milliseconds since 1970-01-01");
  auto endpoint = built_in_endpoint(session, args);
  if (!endpoint) return fail(std::move(endpoint.error()));
  endpoint->from = *from_ms ? TimePoint(std::chrono::milliseconds(**from_ms)) : clock.now();

  const EventFilter filter{.device = args.get("--device-id"), .module = args.get("--module-id")};
  const auto on_ready = [&filter] {
    std::cerr << "Starting event monitor,"
              << (filter.device.empty() ? "" : " filtering on device: " + filter.device + ",")
              << " use ctrl-c to stop...\n";
  };
  const auto on_event = [&](const amqp::MessageView& event) {
    if (!filter.lets_pass(event)) return true;
    std::cout << as_json(monitored_event(event, *format)) << std::flush;
    return std::cout.good();  // the reader of a pipe may have seen enough
  };
  auto watched = watch_events(
      session.profile(), {.events = std::move(*endpoint), .timeout = std::chrono::seconds(timeout)},
      on_ready, on_event);
  if (!watched) return fail(std::move(watched.error()));
  return Output{};
}

}  // namespace

std::vector<Command> monitor_commands() {
  return {
      {"iot hub monitor-events",
       "Print the events of a hub's built-in endpoint as they arrive",
       {{.names = "--hub-name,-n,--name", .help = "IoT hub (default: the one of the profile)"},
        {.names = "--resource-group,-g",
         .help = "Resource group (default: the one of the profile)"},
        {.names = "--device-id,-d", .help = "Only this device; '*' stands for any text"},
        {.names = "--module-id,-m", .help = "Only this module; '*' stands for any text"},
        {.names = "--consumer-group,--cg,-c", .help = "Consumer group (default: $Default)"},
        {.names = "--enqueued-time,--et",
         .help = "From this time on, in milliseconds since 1970 (default: now)"},
        {.names = "--content-type,--ct",
         .help = "Show payloads as this type, e.g. application/json (default: the event's own)"},
        {.names = "--properties,-p",
         .help = "Show these too: anno, sys, app, all",
         .kind = Option::Kind::values},
        {.names = "--timeout,-t",
         .help = "End after so many seconds without an event; 0: never (default: 300)"}},
       monitor,
       {}},
  };
}

}  // namespace doppel::cli
