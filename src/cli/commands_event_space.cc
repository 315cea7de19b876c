// doppel eventhubs namespace ...: the namespaces themselves.
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/eventhubs.h"

namespace doppel::cli {
namespace {

constexpr const char* kList = "doppel eventhubs namespace list";
const Option kName{.names = "--name,-n,--namespace-name",
                   .help = "Event namespace (default: the one of the profile)"};
const Option kNewName{
    .names = "--name,-n,--namespace-name", .help = "Event namespace", .is_required = true};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};

// What create and update have in common.
Result<json::Object> settings_of(const Arguments& args) {
  json::Object body;
  json::Object properties;
  json::Object sku;
  if (const auto name = args.find("--sku")) {
    sku["name"] = *name;
    sku["tier"] = *name;
  }
  if (auto added = add_number(args, "--capacity", sku, "capacity"); !added)
    return fail(std::move(added.error()));
  if (const auto inflate = args.find("--enable-auto-inflate")) {
    if (*inflate != "true" && *inflate != "false")
      return fail(Code::invalid_argument, "--enable-auto-inflate takes true or false");
    properties["isAutoInflateEnabled"] = *inflate == "true";
  }
  if (auto added =
          add_number(args, "--maximum-throughput-units", properties, "maximumThroughputUnits");
      !added)
    return fail(std::move(added.error()));
  if (const auto tls = args.find("--minimum-tls-version")) properties["minimumTlsVersion"] = *tls;
  if (args.has("--tags")) body["tags"] = tags_of(args);
  if (!sku.empty()) body["sku"] = std::move(sku);
  if (!properties.empty()) body["properties"] = std::move(properties);
  return body;
}

Result<Output> create(Session& session, const Arguments& args) {
  auto path = event_space_path(session, args, "--name");
  if (!path) return fail(std::move(path.error()));
  auto body = settings_of(args);
  if (!body) return fail(std::move(body.error()));
  (*body)["location"] = args.get_or("--location", "eastus");
  return send_flattened(session, {.method = "PUT", .path = *path, .body = std::move(*body)},
                        "doppel group list");
}

Result<Output> update(Session& session, const Arguments& args) {
  auto path = event_space_path(session, args, "--name");
  if (!path) return fail(std::move(path.error()));
  auto body = settings_of(args);
  if (!body) return fail(std::move(body.error()));
  if (body->empty())
    return fail(Code::invalid_argument,
                "nothing to change: give --tags, --sku, --capacity, --enable-auto-inflate, "
                "--maximum-throughput-units or --minimum-tls-version");
  // A capacity alone belongs to the SKU that is there, which a patch replaces as a whole.
  if (auto* sku = body->if_contains("sku"); sku != nullptr && json::find(*sku, "name") == nullptr) {
    auto before = session.send_json({.path = *path});
    if (!before) return fail(std::move(before.error()));
    if (const auto* kept = json::find(*before, "sku")) {
      for (const char* member : {"name", "tier"})
        sku->get_object()[member] = json::get_string_or(*kept, member, "");
    }
  }
  return send_flattened(session, {.method = "PATCH", .path = *path, .body = std::move(*body)},
                        kList);
}

Result<Output> show(Session& session, const Arguments& args) {
  auto path = event_space_path(session, args, "--name");
  if (!path) return fail(std::move(path.error()));
  return send_flattened(session, {.path = *path}, kList);
}

Result<Output> list(Session& session, const Arguments& args) {
  const std::string scope = args.has("--resource-group")
                                ? session.group_path(args)
                                : "/subscriptions/" + session.profile().subscription;
  return list_flattened(session, fmt::format("{}/providers/{}", scope, kEventSpaceType),
                        "doppel group list");
}

Result<Output> remove(Session& session, const Arguments& args) {
  auto path = event_space_path(session, args, "--name");
  if (!path) return fail(std::move(path.error()));
  return send_delete(session, *path, kList);
}

// az's name for the question whether a name is still free.
Result<Output> exists(Session& session, const Arguments& args) {
  return session.send_json(
      {.method = "POST",
       .path = fmt::format("/subscriptions/{}/providers/Microsoft.EventHub/checkNameAvailability",
                           session.profile().subscription),
       .body = json::Object{{"name", args.get("--name")}}});
}

}  // namespace

std::vector<Command> event_space_commands() {
  const std::vector<Option> settings = {
      {.names = "--sku", .help = "Basic, Standard or Premium (default: Standard)"},
      {.names = "--capacity", .help = "Throughput units (default: 1)"},
      {.names = "--enable-auto-inflate", .help = "true or false; kept, nothing is throttled here"},
      {.names = "--maximum-throughput-units", .help = "0 to 40; kept, nothing is throttled here"},
      {.names = "--minimum-tls-version", .help = "1.0, 1.1 or 1.2; the server wants 1.2 anyway"},
      {.names = "--tags",
       .help = "Pairs name=value, separated by blanks",
       .kind = Option::Kind::values}};
  const auto with_settings = [&](std::vector<Option> options) {
    options.insert(options.end(), settings.begin(), settings.end());
    return options;
  };
  const std::vector<std::string> columns = {"name", "location", "Sku=sku.name",
                                            "Endpoint=serviceBusEndpoint", "status"};
  return {
      {"eventhubs namespace create", "Create an event namespace",
       with_settings(
           {kNewName, kGroup, {.names = "--location,-l", .help = "Location (default: eastus)"}}),
       create, columns},
      {"eventhubs namespace show", "Show an event namespace", {kName, kGroup}, show, columns},
      {"eventhubs namespace list", "List the event namespaces", {kGroup}, list, columns},
      {"eventhubs namespace update", "Change an event namespace", with_settings({kName, kGroup}),
       update, columns},
      {"eventhubs namespace delete",
       "Delete an event namespace with its event hubs and all their events",
       {kNewName, kGroup},
       remove,
       {}},
      {"eventhubs namespace exists",
       "Ask whether a name is still free",
       {kNewName},
       exists,
       {"nameAvailable", "reason", "message"}},
  };
}

}  // namespace doppel::cli
