// doppel iot dps enrollment | enrollment-group ...
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/enrollment_x509.h"
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
};
constexpr Kind kGroupKind{"enrollmentGroups", "enrollmentGroupId", "--enrollment-id"};
constexpr Kind kIndividual{"enrollments", "registrationId", "--registration-id"};

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

// Options that both `create` and `update` lay over an enrollment.
Status apply_options(json::Object& enrollment, const Arguments& args) {
  if (const auto status = args.find("--provisioning-status"))
    enrollment["provisioningStatus"] = *status;
  if (const auto policy = args.find("--allocation-policy"))
    enrollment["allocationPolicy"] = *policy;
  if (const auto device = args.find("--device-id")) enrollment["deviceId"] = *device;
  if (const auto hubs = args.all("--iot-hubs"); !hubs.empty()) {
    json::Array names;
    for (const auto& hub : hubs) names.push_back(json::Value(hub));
    enrollment["iotHubs"] = std::move(names);
  }
  if (const auto url = args.find("--webhook-url"))
    enrollment["customAllocationDefinition"] = json::Object{
        {"webhookUrl", *url}, {"apiVersion", args.get_or("--api-version", "2019-03-31")}};
  if (const auto policy = args.find("--reprovision-policy")) {
    const bool update = *policy != "never", migrate = *policy == "reprovisionandmigratedata";
    if (update && !migrate && *policy != "reprovisionandresetdata")
      return fail(
          Code::invalid_argument,
          "--reprovision-policy is reprovisionandmigratedata, reprovisionandresetdata or never");
    enrollment["reprovisionPolicy"] =
        json::Object{{"updateHubAssignment", update}, {"migrateDeviceData", migrate}};
  }
  const auto tags = args.find("--initial-twin-tags"),
             desired = args.find("--initial-twin-properties");
  if (tags || desired) {
    json::Object twin{{"tags", json::Object{}},
                      {"properties", json::Object{{"desired", json::Object{}}}}};
    if (tags) {
      auto parsed = parse_json_argument("--initial-twin-tags", *tags);
      if (!parsed) return fail(std::move(parsed.error()));
      twin["tags"] = std::move(*parsed);
    }
    if (desired) {
      auto parsed = parse_json_argument("--initial-twin-properties", *desired);
      if (!parsed) return fail(std::move(parsed.error()));
      twin["properties"] = json::Object{{"desired", std::move(*parsed)}};
    }
    enrollment["initialTwin"] = std::move(twin);
  }
  auto x509 = x509_attestation(args, enrollment.contains(kGroupKind.id_member));
  if (!x509) return fail(std::move(x509.error()));
  if (*x509) enrollment["attestation"] = **std::move(x509);
  if (const auto policy = args.find("--credential-policy"))
    enrollment["credentialPolicyName"] = *policy;
  json::Object keys;
  if (const auto key = args.find("--primary-key")) keys["primaryKey"] = *key;
  if (const auto key = args.find("--secondary-key")) keys["secondaryKey"] = *key;
  if (!keys.empty() || !enrollment.contains("attestation"))
    enrollment["attestation"] =
        json::Object{{"type", "symmetricKey"}, {"symmetricKey", std::move(keys)}};
  return {};
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

// attestation.tpm of the options. `id` stays as it is, or becomes what the SDKs call a TPM that was
// given no registration ID.
Result<json::Object> tpm_attestation(const Arguments& args, std::string& id) {
  const auto key = args.find("--endorsement-key");
  const auto bytes = key ? base64_decode(*key) : std::nullopt;
  if (!bytes)
    return fail(Code::invalid_argument,
                "tpm needs --endorsement-key, base64 of the TPM's TPM2B_PUBLIC");
  if (id.empty()) id = security::tpm::default_registration_id(*bytes);
  json::Object tpm{{"endorsementKey", *key}};
  if (const auto root = args.find("--storage-root-key")) tpm["storageRootKey"] = *root;
  return json::Object{{"type", "tpm"}, {"tpm", std::move(tpm)}};
}

Result<Output> create(Session& session, const Arguments& args, const Kind& kind) {
  std::string id = args.get(kind.id_option);
  json::Object enrollment;
  const auto type = args.get_or("--attestation-type", "symmetricKey");
  if (equal_ignoring_case(type, "tpm")) {
    auto attestation = tpm_attestation(args, id);
    if (!attestation) return fail(std::move(attestation.error()));
    enrollment["attestation"] = *std::move(attestation);
  } else if (equal_ignoring_case(type, "x509")) {
    if (!args.has("--certificate-path"))
      return fail(Code::invalid_argument, "x509 needs --certificate-path");
  } else if (!equal_ignoring_case(type, "symmetricKey")) {
    return fail(Code::unsupported, "--attestation-type is symmetricKey, x509 or tpm");
  }
  if (id.empty())
    return fail(Code::invalid_argument, fmt::format("{} is required", kind.id_option));
  auto call = call_for(session, args, kind, "PUT");
  if (!call) return fail(std::move(call.error()));
  call->path = fmt::format("/{}/{}", kind.folder, percent_encode(id));
  enrollment[kind.id_member] = id;
  if (auto applied = apply_options(enrollment, args); !applied)
    return fail(std::move(applied.error()));
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
  if (auto applied = apply_options(enrollment->as_object(), args); !applied)
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

std::vector<Option> common_options() {
  return {
      kDps,
      kGroup,
      {.names = "--primary-key,--pk", .help = "Primary key, base64 (default: generated)"},
      {.names = "--secondary-key,--sk", .help = "Secondary key, base64 (default: generated)"},
      {.names = "--provisioning-status,--ps", .help = "enabled or disabled"},
      {.names = "--allocation-policy,--ap", .help = "hashed, geoLatency, static or custom"},
      {.names = "--iot-hubs,--ih",
       .help = "Host names of linked hubs to choose from",
       .kind = Option::Kind::values},
      {.names = "--webhook-url,--wh", .help = "Allocation function, for the policy custom"},
      {.names = "--api-version,--av", .help = "API version of the allocation function's types"},
      {.names = "--reprovision-policy,--rp",
       .help = "reprovisionandmigratedata, reprovisionandresetdata or never"},
      {.names = "--initial-twin-tags,--tags", .help = "JSON"},
      {.names = "--initial-twin-properties,--props", .help = "JSON"},
      {.names = "--credential-policy",
       .help = "Issuer of certificates for devices that send a signing request: 'default', or a "
               "certificate of the DPS with a private key"}};
}

std::vector<Option> with_x509(bool is_group) {
  auto options = common_options();
  for (Option& one : x509_options(is_group)) options.push_back(std::move(one));
  return options;
}

std::vector<Option> plus(std::vector<Option> options, std::initializer_list<Option> more) {
  options.insert(options.begin(), more.begin(), more.end());
  return options;
}

}  // namespace

std::vector<Command> enrollment_commands() {
  const Option group_id{.names = "--enrollment-id,--eid",
                        .help = "Enrollment group (default: the one of the profile)"};
  const Option new_group_id{.names = "--enrollment-id,--eid",
                            .help = "Name of the enrollment group",
                            .is_required = true};
  const Option registration{.names = "--registration-id,--rid,--enrollment-id,--eid",
                            .help = "Registration ID",
                            .is_required = true};
  const Option new_registration{
      .names = "--registration-id,--rid,--enrollment-id,--eid",
      .help = "Registration ID (default for a TPM: the one the SDKs make of its key)"};
  const Option attestation{.names = "--attestation-type,--at",
                           .help = "symmetricKey (the default), x509 or tpm"};
  const Option endorsement{.names = "--endorsement-key,--ek",
                           .help = "Endorsement key of the TPM, base64 of its TPM2B_PUBLIC"};
  const Option storage_root{.names = "--storage-root-key,--srk",
                            .help = "Storage root key of the TPM; kept, never compared"};
  const Option device{.names = "--device-id,--did",
                      .help = "Device ID (default: the registration ID)"};
  const Option etag{.names = "--etag,-e", .help = "Only if the etag is still this one"};
  const Option show_keys{.names = "--show-keys,--keys",
                         .help = "Include the symmetric keys",
                         .kind = Option::Kind::flag};
  const std::vector<std::string> groups = {"enrollmentGroupId", "provisioningStatus",
                                           "allocationPolicy", "etag"};
  const std::vector<std::string> individuals = {"registrationId", "deviceId", "provisioningStatus",
                                                "allocationPolicy", "etag"};
  return {
      {"iot dps enrollment-group create", "Create an enrollment group",
       plus(with_x509(true), {new_group_id}), with(create, kGroupKind), groups},
      {"iot dps enrollment-group show",
       "Show an enrollment group",
       {kDps, kGroup, group_id, show_keys},
       with(show, kGroupKind),
       groups},
      {"iot dps enrollment-group update", "Change an enrollment group",
       plus(with_x509(true), {group_id, etag}), with(update, kGroupKind), groups},
      {"iot dps enrollment-group list",
       "List the enrollment groups",
       {kDps, kGroup},
       with(list, kGroupKind),
       groups},
      {"iot dps enrollment-group delete",
       "Delete an enrollment group; its devices stay registered",
       {kDps, kGroup, new_group_id, etag},
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
      {"iot dps enrollment create", "Create an individual enrollment",
       plus(with_x509(false), {new_registration, attestation, endorsement, storage_root, device}),
       with(create, kIndividual), individuals},
      {"iot dps enrollment show",
       "Show an individual enrollment",
       {kDps, kGroup, registration, show_keys},
       with(show, kIndividual),
       individuals},
      {"iot dps enrollment update", "Change an individual enrollment",
       plus(with_x509(false), {registration, device, etag}), with(update, kIndividual),
       individuals},
      {"iot dps enrollment list",
       "List the individual enrollments",
       {kDps, kGroup},
       with(list, kIndividual),
       individuals},
      {"iot dps enrollment delete",
       "Delete an individual enrollment",
       {kDps, kGroup, registration, etag},
       with(remove, kIndividual),
       {}},
  };
}

}  // namespace doppel::cli
