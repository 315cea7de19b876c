#include "cli/enrollment_x509.h"

#include "cli/certificate_file.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kPrimary = "--certificate-path";
constexpr std::string_view kSecondary = "--secondary-certificate-path";
constexpr std::string_view kPrimaryName = "--root-ca-name";
constexpr std::string_view kSecondaryName = "--secondary-root-ca-name";

Result<json::Object> certificates(const Arguments& args) {
  json::Object slots;
  for (const auto& [option, slot] :
       {std::pair{kPrimary, "primary"}, std::pair{kSecondary, "secondary"}}) {
    const auto path = args.find(option);
    if (!path) continue;
    auto text = read_certificate_file(option, *path);
    if (!text) return fail(std::move(text.error()));
    slots[slot] = json::Object{{"certificate", *text}};
  }
  return slots;
}

json::Object references(const Arguments& args) {
  json::Object slots;
  if (const auto name = args.find(kPrimaryName)) slots["primary"] = *name;
  if (const auto name = args.find(kSecondaryName)) slots["secondary"] = *name;
  return slots;
}

}  // namespace

std::vector<Option> x509_options(bool is_group) {
  std::vector<Option> options = {
      {.names = "--certificate-path,--cp",
       .help = is_group ? "File with the CA certificate that signs the devices' certificates"
                        : "File with the device's certificate"},
      {.names = "--secondary-certificate-path,--scp", .help = "The next one, for roll-over"}};
  if (is_group) {
    options.push_back({.names = "--root-ca-name,--ca-name,--cn",
                       .help = "Name of a certificate of the DPS, in place of a file"});
    options.push_back({.names = "--secondary-root-ca-name,--secondary-ca-name,--scn",
                       .help = "The next one, for roll-over"});
  }
  return options;
}

Result<std::optional<json::Object>> x509_attestation(const Arguments& args, bool is_group) {
  auto held = certificates(args);
  if (!held) return fail(std::move(held.error()));
  auto named = is_group ? references(args) : json::Object();
  if (held->empty() && named.empty()) return std::nullopt;
  if (!held->empty() && !named.empty()) {
    return fail(
        Code::invalid_argument,
        "--certificate-path and --root-ca-name exclude each other: a group has certificates "
        "of its own, or refers to some of the DPS");
  }
  json::Object x509;
  if (!named.empty()) {
    x509["caReferences"] = std::move(named);
  } else {
    x509[is_group ? "signingCertificates" : "clientCertificates"] = *std::move(held);
  }
  return json::Object{{"type", "x509"}, {"x509", std::move(x509)}};
}

}  // namespace doppel::cli
