#include "cli/eventhubs.h"

#include <charconv>

#include <fmt/format.h>

namespace doppel::cli {
namespace {

Error explained(Error error, const std::string& shown_by) {
  if (error.code == Code::not_found && !shown_by.empty())
    error.message += fmt::format("\n`{}` shows what there is.", shown_by);
  return error;
}

}  // namespace

Result<std::string> event_space_path(Session& session, const Arguments& args,
                                     std::string_view option) {
  auto name = session.name_or_default(args, option, session.profile().event_space);
  if (!name) return name;
  return session.resource_path(args, kEventSpaceType, *name);
}

json::Value flattened(json::Value document) {
  if (!document.is_object()) return document;
  json::Object& object = document.get_object();
  const auto* held = object.if_contains("properties");
  if (held == nullptr || !held->is_object()) return document;
  const json::Object properties = held->get_object();
  object.stable_erase("properties");
  for (const auto& member : properties) object[member.key()] = member.value();
  return document;
}

Result<Output> send_flattened(Session& session, const Session::Call& call,
                              const std::string& shown_by) {
  auto answer = session.send_json(call);
  if (!answer) return fail(explained(std::move(answer.error()), shown_by));
  return Output(flattened(std::move(*answer)));
}

Result<Output> list_flattened(Session& session, const std::string& path,
                              const std::string& shown_by) {
  auto all = session.list_all({.path = path});
  if (!all) return fail(explained(std::move(all.error()), shown_by));
  for (auto& one : *all) one = flattened(std::move(one));
  return Output(json::Value(std::move(*all)));
}

Result<Output> send_delete(Session& session, const std::string& path, const std::string& shown_by) {
  auto done = session.send({.method = "DELETE", .path = path});
  if (!done) return fail(explained(std::move(done.error()), shown_by));
  return Output{};
}

Result<std::optional<std::int64_t>> number_of(const Arguments& args, std::string_view option) {
  const auto text = args.find(option);
  if (!text) return std::optional<std::int64_t>{};
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size())
    return fail(Code::invalid_argument,
                fmt::format("{} takes a whole number, not '{}'", option, *text));
  return std::optional(number);
}

Status add_number(const Arguments& args, std::string_view option, json::Object& object,
                  std::string_view member) {
  auto number = number_of(args, option);
  if (!number) return fail(std::move(number.error()));
  if (*number) object[member] = **number;
  return {};
}

json::Object tags_of(const Arguments& args) {
  json::Object tags;
  for (const auto& pair : args.all("--tags")) {
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    tags[pair.substr(0, equals)] = equals == pair.npos ? "" : pair.substr(equals + 1);
  }
  return tags;
}

}  // namespace doppel::cli
