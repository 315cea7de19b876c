#include "cli/enrollment_document.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/certificate_file.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

std::unexpected<Error> wrong(std::string text) {
  return fail(Code::invalid_argument, std::move(text));
}

json::Object& object_in(json::Object& parent, std::string_view name) {
  json::Value& member = parent[name];
  if (!member.is_object()) member = json::Object{};
  return member.get_object();
}

// ---- Attestation ----

constexpr std::string_view kKeyOptions[] = {"--primary-key", "--secondary-key"};
constexpr std::string_view kCertificateOptions[] = {
    "--certificate-path", "--secondary-certificate-path", "--remove-certificate",
    "--remove-secondary-certificate"};
constexpr std::string_view kCaOptions[] = {"--root-ca-name", "--secondary-root-ca-name"};
constexpr std::string_view kTpmOptions[] = {"--endorsement-key", "--storage-root-key"};

template <std::size_t N>
std::string_view first_given(const Arguments& args, const std::string_view (&options)[N]) {
  for (const std::string_view option : options) {
    if (args.has(option)) return option;
  }
  return {};
}

std::string_view type_suggested(const Arguments& args) {
  if (!first_given(args, kTpmOptions).empty()) return "tpm";
  if (!first_given(args, kCertificateOptions).empty()) return "x509";
  if (!first_given(args, kCaOptions).empty()) return "x509";
  return "symmetricKey";
}

Result<std::string> attestation_type(const json::Object& enrollment, const Arguments& args,
                                     EnrollmentSort sort) {
  std::string type(type_suggested(args));
  if (const json::Value* stored = enrollment.if_contains("attestation")) {
    return json::get_string_or(*stored, "type", type);
  }
  const auto given = args.find("--attestation-type");
  if (!given) return type;
  for (const std::string_view known : {"symmetricKey", "x509", "tpm"}) {
    if (!equal_ignoring_case(*given, known)) continue;
    if (sort == EnrollmentSort::group && known == "tpm") break;
    return std::string(known);
  }
  return wrong(sort == EnrollmentSort::group
                   ? "--attestation-type of a group is symmetricKey or x509"
                   : "--attestation-type is symmetricKey, x509 or tpm");
}

// Options of another attestation are a mistake, not something to leave aside.
Status check_options(const Arguments& args, std::string_view type) {
  const auto refuse = [&](std::string_view option, std::string_view wanted) -> Status {
    if (option.empty() || type == wanted) return {};
    return wrong(
        fmt::format("{} is for attestation {}, and this enrollment's is {}", option, wanted, type));
  };
  if (auto fine = refuse(first_given(args, kKeyOptions), "symmetricKey"); !fine) return fine;
  if (auto fine = refuse(first_given(args, kCertificateOptions), "x509"); !fine) return fine;
  if (auto fine = refuse(first_given(args, kCaOptions), "x509"); !fine) return fine;
  return refuse(first_given(args, kTpmOptions), "tpm");
}

Status lay_certificate(json::Object& pair, const Arguments& args, std::string_view slot,
                       std::string_view path_option, std::string_view remove_option) {
  if (const auto path = args.find(path_option)) {
    auto text = read_certificate_file(path_option, *path);
    if (!text) return fail(std::move(text.error()));
    pair[slot] = json::Object{{"certificate", *std::move(text)}};
  } else if (args.has(remove_option)) {
    pair.erase(slot);
  }
  return {};
}

Status lay_x509(json::Object& attestation, const Arguments& args, EnrollmentSort sort) {
  json::Object& x509 = object_in(attestation, "x509");
  const bool has_certificates = !first_given(args, kCertificateOptions).empty();
  const bool has_names = !first_given(args, kCaOptions).empty();
  if (has_certificates && has_names) {
    return wrong(
        "a group is for the devices of a signing certificate (--certificate-path) or of an "
        "uploaded one (--root-ca-name), not both");
  }
  if (has_certificates) {
    const std::string_view kind =
        sort == EnrollmentSort::group ? "signingCertificates" : "clientCertificates";
    if (sort == EnrollmentSort::group) x509.erase("caReferences");
    json::Object& pair = object_in(x509, kind);
    if (auto laid =
            lay_certificate(pair, args, "primary", "--certificate-path", "--remove-certificate");
        !laid) {
      return laid;
    }
    if (auto laid = lay_certificate(pair, args, "secondary", "--secondary-certificate-path",
                                    "--remove-secondary-certificate");
        !laid) {
      return laid;
    }
    if (!pair.contains("primary") && !pair.contains("secondary")) {
      return wrong("one certificate must stay: give --certificate-path");
    }
  }
  if (has_names) {
    x509.erase("signingCertificates");
    json::Object& names = object_in(x509, "caReferences");
    if (const auto name = args.find("--root-ca-name")) names["primary"] = *name;
    if (const auto name = args.find("--secondary-root-ca-name")) names["secondary"] = *name;
  }
  if (x509.empty()) {
    return wrong(sort == EnrollmentSort::group
                     ? "attestation x509 needs --certificate-path or --root-ca-name"
                     : "attestation x509 needs --certificate-path");
  }
  return {};
}

Status lay_attestation(json::Object& enrollment, const Arguments& args, EnrollmentSort sort) {
  auto type = attestation_type(enrollment, args, sort);
  if (!type) return fail(std::move(type.error()));
  if (auto fine = check_options(args, *type); !fine) return fine;
  json::Object& attestation = object_in(enrollment, "attestation");
  attestation["type"] = *type;
  if (*type == "x509") return lay_x509(attestation, args, sort);
  if (*type == "tpm") {
    json::Object& tpm = object_in(attestation, "tpm");
    if (const auto key = args.find("--endorsement-key")) tpm["endorsementKey"] = *key;
    if (const auto key = args.find("--storage-root-key")) tpm["storageRootKey"] = *key;
    const json::Value* endorsement = tpm.if_contains("endorsementKey");
    if (endorsement == nullptr || !json::is_string(*endorsement) ||
        !base64_decode(json::view(endorsement->get_string()))) {
      return wrong("attestation tpm needs --endorsement-key, base64 of the TPM's TPM2B_PUBLIC");
    }
    return {};
  }
  json::Object& keys = object_in(attestation, "symmetricKey");
  if (const auto key = args.find("--primary-key")) keys["primaryKey"] = *key;
  if (const auto key = args.find("--secondary-key")) keys["secondaryKey"] = *key;
  return {};
}

// ---- Everything else ----

Status lay_reprovision(json::Object& enrollment, const Arguments& args) {
  const auto policy = args.find("--reprovision-policy");
  if (!policy) return {};
  const bool migrate = equal_ignoring_case(*policy, "reprovisionandmigratedata");
  const bool reset = equal_ignoring_case(*policy, "reprovisionandresetdata");
  if (!migrate && !reset && !equal_ignoring_case(*policy, "never")) {
    return wrong(
        "--reprovision-policy is reprovisionandmigratedata, reprovisionandresetdata or never");
  }
  enrollment["reprovisionPolicy"] =
      json::Object{{"updateHubAssignment", migrate || reset}, {"migrateDeviceData", migrate}};
  return {};
}

Status lay_twin(json::Object& enrollment, const Arguments& args) {
  const auto tags = args.find("--initial-twin-tags");
  const auto desired = args.find("--initial-twin-properties");
  if (!tags && !desired) return {};
  json::Object& twin = object_in(enrollment, "initialTwin");
  if (tags) {
    auto parsed = parse_json_argument("--initial-twin-tags", *tags);
    if (!parsed) return fail(std::move(parsed.error()));
    twin["tags"] = *std::move(parsed);
  }
  if (desired) {
    auto parsed = parse_json_argument("--initial-twin-properties", *desired);
    if (!parsed) return fail(std::move(parsed.error()));
    twin["properties"] = json::Object{{"desired", *std::move(parsed)}};
  }
  return {};
}

void lay_allocation(json::Object& enrollment, const Arguments& args) {
  if (const auto policy = args.find("--allocation-policy")) {
    enrollment["allocationPolicy"] = *policy;
  }
  if (const auto hubs = args.all("--iot-hubs"); !hubs.empty()) {
    json::Array names;
    for (const auto& hub : hubs) names.emplace_back(hub);
    enrollment["iotHubs"] = std::move(names);
  }
  // As az does: one host name stands for the policy static.
  if (const auto hub = args.find("--iot-hub-host-name")) {
    enrollment["iotHubs"] = json::Array{json::Value(*hub)};
    enrollment["allocationPolicy"] = "static";
  }
  if (args.has("--webhook-url") || args.has("--api-version")) {
    json::Object& definition = object_in(enrollment, "customAllocationDefinition");
    if (const auto url = args.find("--webhook-url")) definition["webhookUrl"] = *url;
    if (const auto version = args.find("--api-version")) definition["apiVersion"] = *version;
    if (!definition.contains("apiVersion")) definition["apiVersion"] = "2019-03-31";
  }
}

Status lay_edge(json::Object& enrollment, const Arguments& args) {
  const auto edge = args.find("--edge-enabled");
  if (!edge) return {};
  const bool is_on = equal_ignoring_case(*edge, "true");
  if (!is_on && !equal_ignoring_case(*edge, "false")) {
    return wrong("--edge-enabled is true or false");
  }
  object_in(enrollment, "capabilities")["iotEdge"] = is_on;
  return {};
}

}  // namespace

std::vector<Option> enrollment_options(EnrollmentSort sort) {
  using enum Option::Kind;
  const bool is_group = sort == EnrollmentSort::group;
  std::vector<Option> options = {
      {.names = "--primary-key,--pk", .help = "Primary key, base64 (default: generated)"},
      {.names = "--secondary-key,--sk", .help = "Secondary key, base64 (default: generated)"},
      {.names = "--certificate-path,--cp",
       .help = is_group ? "File with the certificate that signs the devices' certificates"
                        : "File with the device's certificate, PEM or DER"},
      {.names = "--secondary-certificate-path,--scp",
       .help = "File with a second one that is as good, for the roll-over"},
      {.names = "--provisioning-status,--ps", .help = "enabled or disabled"},
      {.names = "--allocation-policy,--ap", .help = "hashed, geoLatency, static or custom"},
      {.names = "--iot-hubs,--ih",
       .help = "Host names of linked hubs to choose from",
       .kind = values},
      {.names = "--iot-hub-host-name,--hn",
       .help = "The one hub for static allocation; short for --iot-hubs with --allocation-policy"},
      {.names = "--webhook-url,--wh", .help = "Allocation function, for the policy custom"},
      {.names = "--api-version,--av", .help = "API version of the allocation function's types"},
      {.names = "--reprovision-policy,--rp",
       .help = "reprovisionandmigratedata, reprovisionandresetdata or never"},
      {.names = "--edge-enabled,--ee", .help = "Whether devices are IoT Edge devices: true, false"},
      {.names = "--initial-twin-tags,--tags", .help = "JSON, or a file that holds it"},
      {.names = "--initial-twin-properties,--props", .help = "JSON, or a file that holds it"},
      {.names = "--credential-policy,--credential-policy-name",
       .help = "Issuer of certificates for devices that send a signing request: 'default', or a "
               "certificate of the DPS with a private key"}};
  if (is_group) {
    options.push_back({.names = "--root-ca-name,--ca-name,--cn",
                       .help = "Name of an uploaded, verified CA certificate"});
    options.push_back({.names = "--secondary-root-ca-name,--secondary-ca-name,--scn",
                       .help = "Name of a second one, for the roll-over"});
    options.push_back({.names = "--approval",
                       .help = "required: new devices wait until a person lets them in "
                               "(`iot dps registration approve`); none (default)"});
  } else {
    options.push_back({.names = "--device-id,--did",
                       .help = "Device ID in the hub (default: the registration ID)"});
    options.push_back(
        {.names = "--endorsement-key,--ek", .help = "Endorsement key of the device's TPM, base64"});
    options.push_back(
        {.names = "--storage-root-key,--srk", .help = "Storage root key of the TPM, base64"});
    options.push_back({.names = "--device-information,--device-info,--info",
                       .help = "JSON that is kept with the enrollment"});
  }
  return options;
}

Status apply_enrollment_options(json::Object& enrollment, const Arguments& args,
                                EnrollmentSort sort) {
  if (const auto status = args.find("--provisioning-status")) {
    enrollment["provisioningStatus"] = *status;
  }
  if (const auto device = args.find("--device-id")) enrollment["deviceId"] = *device;
  if (const auto approval = args.find("--approval")) enrollment["approval"] = *approval;
  if (const auto policy = args.find("--credential-policy")) {
    enrollment["credentialPolicyName"] = *policy;
  }
  if (const auto text = args.find("--device-information")) {
    auto parsed = parse_json_argument("--device-information", *text);
    if (!parsed) return fail(std::move(parsed.error()));
    enrollment["optionalDeviceInformation"] = *std::move(parsed);
  }
  lay_allocation(enrollment, args);
  if (auto laid = lay_reprovision(enrollment, args); !laid) return laid;
  if (auto laid = lay_twin(enrollment, args); !laid) return laid;
  if (auto laid = lay_edge(enrollment, args); !laid) return laid;
  return lay_attestation(enrollment, args, sort);
}

}  // namespace doppel::cli
