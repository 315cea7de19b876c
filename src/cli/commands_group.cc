// doppel group ...
#include <iostream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

const Option kName{.names = "--name,-n,--resource-group,-g",
                   .help = "Name of the resource group",
                   .is_required = true};

std::string path_of(const Session& session, const Arguments& args) {
  return fmt::format("/subscriptions/{}/resourcegroups/{}", session.profile().subscription,
                     percent_encode(args.get("--name")));
}

Result<Output> create(Session& session, const Arguments& args) {
  return session.send_json(
      {.method = "PUT",
       .path = path_of(session, args),
       .body = json::Object{{"location", args.get_or("--location", "eastus")}}});
}
Result<Output> show(Session& session, const Arguments& args) {
  return session.send_json({.path = path_of(session, args)});
}
Result<Output> list(Session& session, const Arguments&) {
  auto all = session.list_all(
      {.path = fmt::format("/subscriptions/{}/resourcegroups", session.profile().subscription)});
  if (!all) return fail(std::move(all.error()));
  return json::Value(std::move(*all));
}
// Asks, as az does; a script has to say --yes.
Status confirm(const Arguments& args) {
  if (args.has("--yes")) return {};
  const std::string name = args.get("--name");
  if (::isatty(STDIN_FILENO) == 0)
    return fail(Code::cancelled,
                fmt::format("this removes everything in '{}'; say so with --yes", name));
  std::cerr << fmt::format("Remove everything in '{}'? (y/n): ", name) << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::cancelled, "nothing was removed");
}
Result<Output> remove(Session& session, const Arguments& args) {
  if (auto sure = confirm(args); !sure) return fail(std::move(sure.error()));
  auto done = session.send({.method = "DELETE", .path = path_of(session, args)});
  if (!done) return fail(std::move(done.error()));
  return Output{};
}

}  // namespace

std::vector<Command> group_commands() {
  const std::vector<std::string> columns = {"name", "location", "properties.provisioningState"};
  return {
      {"group create",
       "Create a resource group",
       {kName, {.names = "--location,-l", .help = "Location (default: eastus)"}},
       create,
       columns},
      {"group show", "Show a resource group", {kName}, show, columns},
      {"group list", "List the resource groups", {}, list, columns},
      {"group delete",
       "Delete a resource group and everything in it",
       {kName, {.names = "--yes,-y", .help = "Do not ask", .kind = Option::Kind::flag}},
       remove,
       {}},
  };
}

}  // namespace doppel::cli
