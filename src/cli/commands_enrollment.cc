// doppel iot dps enrollment | enrollment-group ...
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/enrollment_document.h"
#include "cli/session.h"
#include "security/sas.h"
#include "security/tpm/public_area.h"

namespace doppel::cli {
namespace {

const Option kDps{.names = "--dps-name,-n", .help = "DPS (default: the one of the profile)"};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};

// What tells the two kinds apart: folder in the URL, member with the ID, option with the ID.
struct Kind {
  std::string_view folder;
  std::string_view id_member;
  std::string_view id_option;
  EnrollmentSort sort;
};
constexpr Kind kGroupKind{"enrollmentGroups", "enrollmentGroupId", "--enrollment-id",
                          EnrollmentSort::group};
constexpr Kind kIndividual{"enrollments", "registrationId", "--registration-id",
                           EnrollmentSort::individual};

Result<Session::Call> call_for(Session& session, const Arguments& args, const Kind& kind,
                               std::string_view method) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  const std::string id = kind.folder == kGroupKind.folder
                             ? args.get_or(kind.id_option, session.profile().enrollment_group)
                             : args.get(kind.id_option);
  return Session::Call{.method = std::string(method),
                       .path = fmt::format("/{}/{}", kind.folder, percent_encode(id)),
                       .api_version = kDpsVersion,
                       .host = std::move(*host)};
}

// A plain read hides the keys; --show-keys asks for them.
Result<Output> with_keys(Session& session, Session::Call call, const Arguments& args,
                         json::Value enrollment) {
  if (!args.has("--show-keys")) return Output(std::move(enrollment));
  call.method = "POST";
  call.path += "/attestationmechanism";
  call.body.reset();
  auto attestation = session.send_json(call);
  if (!attestation) return fail(std::move(attestation.error()));
  enrollment.as_object()["attestation"] = std::move(*attestation);
  return Output(std::move(enrollment));
}

// The ID of a new enrollment: as given, or what the SDKs call a TPM that was given none.
Result<std::string> new_id(const json::Object& enrollment, const Arguments& args,
                           const Kind& kind) {
  std::string id = args.get(kind.id_option);
  if (!id.empty()) return id;
  const json::Value whole(enrollment);
  const json::Value* attestation = json::find(whole, "attestation");
  const json::Value* tpm = attestation != nullptr ? json::find(*attestation, "tpm") : nullptr;
  const auto key = base64_decode(tpm != nullptr ? json::get_string_or(*tpm, "endorsementKey", "")
                                                : std::string());
  if (tpm == nullptr || !key) {
    return fail(Code::invalid_argument, fmt::format("{} is required", kind.id_option));
  }
  return security::tpm::default_registration_id(*key);
}

Result<Output> create(Session& session, const Arguments& args, const Kind& kind) {
  json::Object enrollment{{kind.id_member, ""}};
  if (auto applied = apply_enrollment_options(enrollment, args, kind.sort); !applied)
    return fail(std::move(applied.error()));
  auto id = new_id(enrollment, args, kind);
  if (!id) return fail(std::move(id.error()));
  auto call = call_for(session, args, kind, "PUT");
  if (!call) return fail(std::move(call.error()));
  call->path = fmt::format("/{}/{}", kind.folder, percent_encode(*id));
  enrollment[kind.id_member] = *std::move(id);
  call->body = std::move(enrollment);
  auto made = session.send_json(*call);
  if (!made) return fail(std::move(made.error()));
  return Output(std::move(*made));
}
Result<Output> show(Session& session, const Arguments& args, const Kind& kind) {
  auto call = call_for(session, args, kind, "GET");
  if (!call) return fail(std::move(call.error()));
  auto enrollment = session.send_json(*call);
  if (!enrollment) return fail(std::move(enrollment.error()));
  return with_keys(session, std::move(*call), args, std::move(*enrollment));
}
Result<Output> update(Session& session, const Arguments& args, const Kind& kind) {
  auto call = call_for(session, args, kind, "GET");
  if (!call) return fail(std::move(call.error()));
  auto enrollment = session.send_json(*call);
  if (!enrollment) return fail(std::move(enrollment.error()));
  if (auto applied = apply_enrollment_options(enrollment->as_object(), args, kind.sort); !applied)
    return fail(std::move(applied.error()));
  call->method = "PUT";
  call->if_match = args.get_or("--etag", json::get_string_or(*enrollment, "etag", "*"));
  call->body = std::move(*enrollment);
  auto written = session.send_json(*call);
  if (!written) return fail(std::move(written.error()));
  return Output(std::move(*written));
}
Result<Output> list(Session& session, const Arguments& args, const Kind& kind) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  auto all = session.query_all({.path = fmt::format("/{}/query", kind.folder),
                                .api_version = kDpsVersion,
                                .host = std::move(*host)});
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
}
Result<Output> remove(Session& session, const Arguments& args, const Kind& kind) {
  auto call = call_for(session, args, kind, "DELETE");
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  auto done = session.send(*call);
  if (!done) return fail(std::move(done.error()));
  return Output{};
}

Result<Output> compute_device_key(Session& session, const Arguments& args) {
  std::string key = args.get("--key");
  if (key.empty()) {
    auto call = call_for(session, args, kGroupKind, "POST");
    if (!call) return fail(std::move(call.error()));
    call->path += "/attestationmechanism";
    auto attestation = session.send_json(*call);
    if (!attestation) return fail(std::move(attestation.error()));
    const auto* keys = json::find(*attestation, "symmetricKey");
    key = keys != nullptr ? json::get_string_or(*keys, "primaryKey", "") : "";
  }
  auto derived = security::derive_device_key(key, args.get("--registration-id"));
  if (!derived) return fail(std::move(derived.error()));
  return Output(json::Value(*derived));
}

using Run = Result<Output> (*)(Session&, const Arguments&, const Kind&);
std::function<Result<Output>(Session&, const Arguments&)> with(Run run, const Kind& kind) {
  return [run, &kind](Session& session, const Arguments& args) { return run(session, args, kind); };
}

std::vector<Option> options_of(const Kind& kind, std::initializer_list<Option> more) {
  std::vector<Option> options(more);
  options.push_back(kDps);
  options.push_back(kGroup);
  for (Option& option : enrollment_options(kind.sort)) options.push_back(std::move(option));
  return options;
}

const Option kEtag{.names = "--etag,-e", .help = "Only if the etag is still this one"};
const Option kShowKeys{.names = "--show-keys,--keys",
                       .help = "Include the symmetric keys",
                       .kind = Option::Kind::flag};
const Option kRemoveCertificate{.names = "--remove-certificate,--rc",
                                .help = "Take the primary certificate away",
                                .kind = Option::Kind::flag};
const Option kRemoveSecondary{.names = "--remove-secondary-certificate,--rsc",
                              .help = "Take the secondary certificate away",
                              .kind = Option::Kind::flag};

std::vector<Command> group_enrollment_commands() {
  const Option group_id{.names = "--enrollment-id,--eid",
                        .help = "Enrollment group (default: the one of the profile)"};
  const Option new_group_id{.names = "--enrollment-id,--eid",
                            .help = "Name of the enrollment group",
                            .is_required = true};
  const Option group_attestation{
      .names = "--attestation-type,--at",
      .help = "symmetricKey or x509 (default: what the other options suggest)"};
  const std::vector<std::string> groups = {"enrollmentGroupId", "provisioningStatus",
                                           "allocationPolicy", "etag"};
  return {
      {"iot dps enrollment-group create",
       "Create an enrollment group: for devices whose key or certificate comes from the group's",
       options_of(kGroupKind, {new_group_id, group_attestation}), with(create, kGroupKind), groups},
      {"iot dps enrollment-group show",
       "Show an enrollment group",
       {kDps, kGroup, group_id, kShowKeys},
       with(show, kGroupKind),
       groups},
      {"iot dps enrollment-group update", "Change an enrollment group",
       options_of(kGroupKind, {group_id, kEtag, kRemoveCertificate, kRemoveSecondary}),
       with(update, kGroupKind), groups},
      {"iot dps enrollment-group list",
       "List the enrollment groups",
       {kDps, kGroup},
       with(list, kGroupKind),
       groups},
      {"iot dps enrollment-group delete",
       "Delete an enrollment group; its devices stay registered",
       {kDps, kGroup, new_group_id, kEtag},
       with(remove, kGroupKind),
       {}},
      {"iot dps enrollment-group compute-device-key",
       "Derive the key of one device from the group's",
       {kDps,
        kGroup,
        group_id,
        {.names = "--registration-id,--rid", .help = "Registration ID", .is_required = true},
        {.names = "--key,--symmetric-key", .help = "Group key (default: the group's primary key)"}},
       compute_device_key,
       {}},
  };
}

std::vector<Command> individual_enrollment_commands() {
  const Option registration{.names = "--registration-id,--rid,--enrollment-id,--eid",
                            .help = "Registration ID",
                            .is_required = true};
  const Option new_registration{
      .names = "--registration-id,--rid,--enrollment-id,--eid",
      .help = "Registration ID (default for a TPM: the one the SDKs make of its key)"};
  const Option attestation{
      .names = "--attestation-type,--at",
      .help = "symmetricKey, x509 or tpm (default: what the other options suggest)"};
  const std::vector<std::string> individuals = {"registrationId", "deviceId", "provisioningStatus",
                                                "allocationPolicy", "etag"};
  return {
      {"iot dps enrollment create",
       "Create an individual enrollment: for one device, by key, certificate or TPM",
       options_of(kIndividual, {new_registration, attestation}), with(create, kIndividual),
       individuals},
      {"iot dps enrollment show",
       "Show an individual enrollment",
       {kDps, kGroup, registration, kShowKeys},
       with(show, kIndividual),
       individuals},
      {"iot dps enrollment update", "Change an individual enrollment",
       options_of(kIndividual, {registration, kEtag, kRemoveCertificate, kRemoveSecondary}),
       with(update, kIndividual), individuals},
      {"iot dps enrollment list",
       "List the individual enrollments",
       {kDps, kGroup},
       with(list, kIndividual),
       individuals},
      {"iot dps enrollment delete",
       "Delete an individual enrollment",
       {kDps, kGroup, registration, kEtag},
       with(remove, kIndividual),
       {}},
  };
}

}  // namespace

std::vector<Command> enrollment_commands() {
  std::vector<Command> commands = group_enrollment_commands();
  for (Command& command : individual_enrollment_commands()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace doppel::cli
