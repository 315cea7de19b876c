// doppel eventhubs ...: what is in an event namespace. Event hubs, consumer groups and the two
// kinds of authorization rules have the same commands, made from one table.
#include <memory>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/eventhubs.h"

namespace doppel::cli {
namespace {

// One kind of resource in a namespace or in an event hub.
struct Kind {
  std::string words;    // before the verb: "eventhubs eventhub consumer-group"
  std::string what;     // in sentences, with its article
  std::string segment;  // of its ARM path: "consumergroups"
  bool is_in_event_hub = false;
  Option name;
  std::vector<Option> settings;  // of create and update
  // From the settings to what is PUT into "properties"; `before`: what is there, empty on create.
  Result<json::Object> (*properties)(const Arguments&, json::Object before);
  std::vector<std::string> columns;
  std::string on_delete;  // what goes with it

  std::string name_option() const { return name.names.substr(0, name.names.find(',')); }
};

// ---- What is put ----

Result<json::Object> event_hub_properties(const Arguments& args, json::Object properties) {
  for (const auto& [option, member] :
       {std::pair{"--partition-count", "partitionCount"},
        std::pair{"--message-retention", "messageRetentionInDays"}}) {
    if (auto added = add_number(args, option, properties, member); !added)
      return fail(std::move(added.error()));
  }
  json::Object description;
  for (const auto& [option, member] : {std::pair{"--retention-time", "retentionTimeInHours"},
                                       std::pair{"--retention-size", "retentionSizeInBytes"}}) {
    if (auto added = add_number(args, option, description, member); !added)
      return fail(std::move(added.error()));
  }
  if (args.has("--message-retention") && args.has("--retention-time"))
    return fail(Code::invalid_argument,
                "give --message-retention (days) or --retention-time (hours), not both");
  if (const auto policy = args.find("--cleanup-policy")) description["cleanupPolicy"] = *policy;
  if (!description.empty()) properties["retentionDescription"] = std::move(description);
  if (const auto status = args.find("--status")) properties["status"] = *status;
  return properties;
}

Result<json::Object> group_properties(const Arguments& args, json::Object properties) {
  if (const auto text = args.find("--user-metadata")) properties["userMetadata"] = *text;
  return properties;
}

Result<json::Object> rule_properties(const Arguments& args, json::Object properties) {
  json::Array rights;
  for (const auto& right : args.all("--rights")) rights.emplace_back(right);
  properties["rights"] = std::move(rights);
  return properties;
}

// ---- The commands ----

Option space_option() {
  return {.names = "--namespace-name", .help = "Event namespace (default: the one of the profile)"};
}
Option group_option() {
  return {.names = "--resource-group,-g",
          .help = "Resource group (default: the one of the profile)"};
}
Option event_hub_option() {
  return {.names = "--eventhub-name", .help = "Event hub", .is_required = true};
}

std::vector<Option> place_options(const Kind& kind) {
  std::vector<Option> options = {space_option(), group_option()};
  if (kind.is_in_event_hub) options.push_back(event_hub_option());
  return options;
}

Result<std::string> folder_path(const Kind& kind, Session& session, const Arguments& args) {
  auto path = event_space_path(session, args, "--namespace-name");
  if (!path) return path;
  if (kind.is_in_event_hub) *path += "/eventhubs/" + percent_encode(args.get("--eventhub-name"));
  return *path + "/" + kind.segment;
}
Result<std::string> path_of(const Kind& kind, Session& session, const Arguments& args) {
  auto path = folder_path(kind, session, args);
  if (!path) return path;
  return *path + "/" + percent_encode(args.get(kind.name_option()));
}

// The command that lists what is beside the resource, or the folder that should hold it.
std::string shown_by(const Kind& kind, const Arguments& args) {
  std::string text = "doppel " + kind.words + " list";
  if (const auto space = args.find("--namespace-name")) text += " --namespace-name " + *space;
  if (kind.is_in_event_hub) text += " --eventhub-name " + args.get("--eventhub-name");
  return text;
}
std::string folder_shown_by(const Kind& kind, const Arguments& args) {
  if (!kind.is_in_event_hub) return "doppel eventhubs namespace list";
  const auto space = args.find("--namespace-name");
  return "doppel eventhubs eventhub list" + (space ? " --namespace-name " + *space : "");
}

Result<Output> create(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  auto properties = kind.properties(args, {});
  if (!properties) return fail(std::move(properties.error()));
  return send_flattened(session,
                        {.method = "PUT",
                         .path = *path,
                         .body = json::Object{{"properties", std::move(*properties)}}},
                        folder_shown_by(kind, args));
}

// Reads, changes and puts back, as az does: what is not there is not made by accident.
Result<Output> update(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  auto before = send_flattened(session, {.path = *path}, shown_by(kind, args));
  if (!before) return before;
  json::Object kept;
  for (const char* member :
       {"partitionCount", "messageRetentionInDays", "retentionDescription", "userMetadata"}) {
    if (const auto* value = json::find(**before, member)) kept[member] = *value;
  }
  auto properties = kind.properties(args, std::move(kept));
  if (!properties) return fail(std::move(properties.error()));
  return send_flattened(session,
                        {.method = "PUT",
                         .path = *path,
                         .body = json::Object{{"properties", std::move(*properties)}}},
                        "");
}

Result<Output> show(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  return send_flattened(session, {.path = *path}, shown_by(kind, args));
}

Result<Output> list(const Kind& kind, Session& session, const Arguments& args) {
  auto path = folder_path(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  return list_flattened(session, *path, folder_shown_by(kind, args));
}

Result<Output> remove(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  return send_delete(session, *path, shown_by(kind, args));
}

Result<Output> keys_list(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  return send_flattened(session, {.method = "POST", .path = *path + "/listKeys"},
                        shown_by(kind, args));
}

Result<Output> keys_renew(const Kind& kind, Session& session, const Arguments& args) {
  auto path = path_of(kind, session, args);
  if (!path) return fail(std::move(path.error()));
  // az has had both spellings.
  std::string which = args.get("--key");
  if (equal_ignoring_case(which, "primary")) which = "PrimaryKey";
  if (equal_ignoring_case(which, "secondary")) which = "SecondaryKey";
  json::Object body{{"keyType", which}};
  if (const auto key = args.find("--key-value")) body["key"] = *key;
  return send_flattened(
      session, {.method = "POST", .path = *path + "/regenerateKeys", .body = std::move(body)},
      shown_by(kind, args));
}

using Action = Result<Output> (*)(const Kind&, Session&, const Arguments&);

// The kind is kept by the command itself.
auto bound(const std::shared_ptr<const Kind>& kind, Action action) {
  return [kind, action](Session& session, const Arguments& args) {
    return action(*kind, session, args);
  };
}

void add_commands(std::vector<Command>& commands, Kind described) {
  const auto kind = std::make_shared<const Kind>(std::move(described));
  const auto options = [&](bool with_name, bool with_settings) {
    auto all = place_options(*kind);
    if (with_name) all.insert(all.begin(), kind->name);
    if (with_settings) all.insert(all.end(), kind->settings.begin(), kind->settings.end());
    return all;
  };
  commands.push_back({kind->words + " create", "Create " + kind->what, options(true, true),
                      bound(kind, create), kind->columns});
  commands.push_back({kind->words + " show", "Show " + kind->what, options(true, false),
                      bound(kind, show), kind->columns});
  commands.push_back({kind->words + " list", "List what there is", options(false, false),
                      bound(kind, list), kind->columns});
  commands.push_back({kind->words + " update", "Change " + kind->what, options(true, true),
                      bound(kind, update), kind->columns});
  commands.push_back({kind->words + " delete",
                      "Delete " + kind->what + kind->on_delete,
                      options(true, false),
                      bound(kind, remove),
                      {}});
  if (kind->segment != "authorizationRules") return;

  const std::vector<std::string> columns = {"keyName", "primaryKey", "primaryConnectionString"};
  commands.push_back({kind->words + " keys list", "Show the keys and connection strings",
                      options(true, false), bound(kind, keys_list), columns});
  auto renewing = options(true, false);
  renewing.push_back({.names = "--key", .help = "PrimaryKey or SecondaryKey", .is_required = true});
  renewing.push_back({.names = "--key-value", .help = "The new key (default: generated)"});
  commands.push_back({kind->words + " keys renew", "Replace a key; clients with the old one stop",
                      std::move(renewing), bound(kind, keys_renew), columns});
}

Kind rule_kind(std::string words, std::string of_what, bool is_in_event_hub) {
  return {.words = std::move(words),
          .what = "an authorization rule of an event " + std::move(of_what),
          .segment = "authorizationRules",
          .is_in_event_hub = is_in_event_hub,
          .name = {.names = "--authorization-rule-name,-n,--name",
                   .help = "Authorization rule",
                   .is_required = true},
          .settings = {{.names = "--rights",
                        .help = "Listen, Send and Manage, separated by blanks; Manage needs both "
                                "others",
                        .kind = Option::Kind::values,
                        .is_required = true}},
          .properties = rule_properties,
          .columns = {"name", "rights"},
          .on_delete = "; its keys open nothing any more"};
}

}  // namespace

std::vector<Command> eventhub_commands() {
  std::vector<Command> commands;
  add_commands(
      commands,
      {.words = "eventhubs eventhub",
       .what = "an event hub",
       .segment = "eventhubs",
       .name = {.names = "--name,-n,--eventhub-name", .help = "Event hub", .is_required = true},
       .settings = {{.names = "--partition-count",
                     .help = "1 to 32, fixed from then on (default: 4)"},
                    {.names = "--message-retention", .help = "Days that events are kept"},
                    {.names = "--retention-time,--retention-time-in-hours",
                     .help = "Hours that events are kept"},
                    {.names = "--retention-size",
                     .help = "Bytes of events that each partition keeps (0: no limit)"},
                    {.names = "--cleanup-policy", .help = "Delete"},
                    {.names = "--status", .help = "Active"}},
       .properties = event_hub_properties,
       .columns = {"name", "Partitions=partitionCount",
                   "RetentionHours=retentionDescription.retentionTimeInHours", "status"},
       .on_delete = " with all its events"});
  add_commands(commands, {.words = "eventhubs eventhub consumer-group",
                          .what = "a consumer group",
                          .segment = "consumergroups",
                          .is_in_event_hub = true,
                          .name = {.names = "--consumer-group-name,-n,--name",
                                   .help = "Consumer group",
                                   .is_required = true},
                          .settings = {{.names = "--user-metadata", .help = "Any text"}},
                          .properties = group_properties,
                          .columns = {"name", "createdAt", "userMetadata"},
                          .on_delete = ""});
  add_commands(commands, rule_kind("eventhubs namespace authorization-rule", "namespace", false));
  add_commands(commands, rule_kind("eventhubs eventhub authorization-rule", "hub", true));
  return commands;
}

}  // namespace doppel::cli
