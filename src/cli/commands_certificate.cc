// doppel iot dps certificate ... and doppel iot hub certificate ...: CA certificates below which
// devices prove themselves. Both have the same commands; az names their options almost alike.
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/certificate_file.h"
#include "cli/command.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

// What tells the two kinds of owners apart.
struct Owner {
  std::string_view type;
  std::string_view option;  // that names it
  std::string_view words;   // of its commands
  std::string Profile::* fallback;
};
constexpr Owner kDps{"Microsoft.Devices/provisioningServices", "--dps-name", "iot dps certificate",
                     &Profile::dps};
constexpr Owner kHub{"Microsoft.Devices/IotHubs", "--hub-name", "iot hub certificate",
                     &Profile::hub};
constexpr std::string_view kName = "--certificate-name";

Result<std::string> folder(Session& session, const Arguments& args, const Owner& owner) {
  auto name = session.name_or_default(args, owner.option, session.profile().*owner.fallback);
  if (!name) return name;
  return session.resource_path(args, owner.type, *name) + "/certificates";
}

Result<Session::Call> call_for(Session& session, const Arguments& args, const Owner& owner,
                               std::string_view method) {
  auto path = folder(session, args, owner);
  if (!path) return fail(std::move(path.error()));
  return Session::Call{.method = std::string(method),
                       .path = *path + "/" + percent_encode(args.get(kName)),
                       .if_match = args.get("--etag")};
}

Result<Output> put(Session& session, const Arguments& args, const Owner& owner) {
  auto text = read_certificate_file("--path", args.get("--path"));
  if (!text) return fail(std::move(text.error()));
  auto call = call_for(session, args, owner, "PUT");
  if (!call) return fail(std::move(call.error()));
  json::Object properties{{"certificate", *text}};
  if (args.has("--verified")) properties["isVerified"] = true;
  if (const auto key = args.find("--private-key")) {
    auto pem = read_key_file("--private-key", *key);
    if (!pem) return fail(std::move(pem.error()));
    properties["privateKey"] = *pem;
  }
  call->body = json::Object{{"properties", std::move(properties)}};
  return session.send_json(*call);
}
Result<Output> show(Session& session, const Arguments& args, const Owner& owner) {
  auto call = call_for(session, args, owner, "GET");
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
// As az does: the list's envelope is left away.
Result<Output> list(Session& session, const Arguments& args, const Owner& owner) {
  auto path = folder(session, args, owner);
  if (!path) return fail(std::move(path.error()));
  return send_list(session, {.path = *path});
}
Result<Output> remove(Session& session, const Arguments& args, const Owner& owner) {
  auto call = call_for(session, args, owner, "DELETE");
  if (!call) return fail(std::move(call.error()));
  return send_quietly(session, *call);
}
Result<Output> generate(Session& session, const Arguments& args, const Owner& owner) {
  auto call = call_for(session, args, owner, "POST");
  if (!call) return fail(std::move(call.error()));
  call->path += "/generateVerificationCode";
  return session.send_json(*call);
}
Result<Output> verify(Session& session, const Arguments& args, const Owner& owner) {
  auto text = read_certificate_file("--path", args.get("--path"));
  if (!text) return fail(std::move(text.error()));
  auto call = call_for(session, args, owner, "POST");
  if (!call) return fail(std::move(call.error()));
  call->path += "/verify";
  call->body = json::Object{{"certificate", *text}};
  return session.send_json(*call);
}

using Run = Result<Output> (*)(Session&, const Arguments&, const Owner&);

void add_commands(std::vector<Command>& commands, const Owner& owner) {
  const bool is_hub = owner.type == kHub.type;
  const Option name{.names = std::string(kName) + ",--name,-n",
                    .help = "Name of the certificate",
                    .is_required = true};
  const Option of{.names = std::string(owner.option),
                  .help = is_hub ? "IoT hub (default: the one of the profile)"
                                 : "DPS (default: the one of the profile)"};
  const Option path{
      .names = "--path,-p", .help = "File with the certificate, PEM or DER", .is_required = true};
  const Option etag{.names = "--etag,-e",
                    .help = "The certificate's current etag; every change gives another",
                    .is_required = true};
  const Option verified{.names = "--verified,-v",
                        .help = "Vouch that whoever uploads it holds its key",
                        .kind = Option::Kind::flag};
  const auto add = [&](std::string_view verb, std::string summary, std::vector<Option> options,
                       Run run) {
    options.insert(options.begin(), {of, kGroupOption});
    const bool prints = run != remove;
    commands.push_back({fmt::format("{} {}", owner.words, verb), std::move(summary),
                        std::move(options),
                        [run, &owner](Session& session, const Arguments& args) {
                          return run(session, args, owner);
                        },
                        prints ? std::vector<std::string>{"name", "Subject=properties.subject",
                                                          "Verified=properties.isVerified",
                                                          "Expiry=properties.expiry", "etag"}
                               : std::vector<std::string>{}});
  };
  std::vector<Option> created{name, path, verified};
  std::vector<Option> updated{name, path, etag, verified};
  if (!is_hub) {
    const Option key{.names = "--private-key",
                     .help = "File with the certificate's key: devices can be issued certificates"};
    created.push_back(key);
    updated.push_back(key);
  }
  add("create", "Upload a CA certificate", std::move(created), put);
  add("update", "Replace a certificate by another", std::move(updated), put);
  add("show", "Show a certificate", {name}, show);
  add("list", "List the certificates", {}, list);
  add("delete", "Delete a certificate", {name, etag}, remove);
  add("generate-verification-code",
      "Make the code that a certificate signed by this one must have as its common name",
      {name, etag}, generate);
  add("verify", "Prove to hold the key, with a certificate it has signed", {name, path, etag},
      verify);
}

}  // namespace

std::vector<Command> certificate_commands() {
  std::vector<Command> commands;
  add_commands(commands, kDps);
  add_commands(commands, kHub);
  return commands;
}

}  // namespace doppel::cli
