#include "net/certificates.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace doppel::net {
namespace {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPointer = std::unique_ptr<BIO, Free<BIO_free>>;
using X509Pointer = std::unique_ptr<X509, Free<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using NamePointer = std::unique_ptr<X509_NAME, Free<X509_NAME_free>>;
using ExtensionPointer = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using GeneralNamesPointer = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;

constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr std::size_t kHostNameBytesMax = 253;      // RFC 1035
constexpr auto kBackdated = std::chrono::hours(1);  // for clients whose clock is slow
constexpr unsigned kRsaBits = 2048;

struct Names {
  std::set<std::string> dns;  // lower case
  std::set<std::string> ips;  // as written
};

std::string ip_bytes(const std::string& text) {
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
  return {};
}

// The name that a wildcard stands below.
std::string base_of(const std::string& dns) { return dns.starts_with("*.") ? dns.substr(2) : dns; }

bool is_dns_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > kHostNameBytesMax || name.front() == '.' || name.back() == '.')
    return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

Result<Names> collect_names(const std::vector<std::string>& host_names) {
  if (host_names.size() > kHostNamesMax) return fail(Code::invalid_argument, "too many host names");
  Names names{.dns = {"localhost", "*.localhost"}, .ips = {"127.0.0.1", "::1"}};
  std::array<char, 256> machine{};
  if (::gethostname(machine.data(), machine.size() - 1) == 0) {
    if (auto name = to_lower(machine.data()); is_dns_name(name)) names.dns.insert(std::move(name));
  }
  for (const auto& host : host_names) {
    if (!ip_bytes(host).empty()) {
      names.ips.insert(host);
    } else if (auto name = to_lower(host); is_dns_name(name)) {
      names.dns.insert(std::move(name));
    } else {
      return fail(Code::invalid_argument, "neither a DNS name nor an IP address: " + host);
    }
  }
  return names;
}

Result<std::string> read_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (!file) {
    const Code code = errno == ENOENT ? Code::not_found : Code::unavailable;
    return fail(code, path.string() + ": " + std::strerror(errno));
  }
  std::string text(kFileBytesMax, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

// In one step, synced: a crash leaves the old file or the new one.
Status write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  auto fresh = path;
  fresh += ".new";
  ::unlink(fresh.c_str());
  const auto failed = [&] {
    return fail(Code::unavailable, path.string() + ": " + std::strerror(errno));
  };
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return failed();
  const bool is_written = ::write(fd, text.data(), text.size()) == std::ssize(text) &&
                          ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  if (::close(fd) != 0 || !is_written) return failed();
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failed();
  return {};
}

template <class Write>
std::string to_pem(Write write) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  check(write(bio.get()) == 1, "OpenSSL writes PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string to_pem(X509* certificate) {
  return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string to_pem(EVP_PKEY* key) {
  return to_pem([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

X509Pointer certificate_from(std::string_view pem) {
  const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Pointer(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

KeyPointer key_from(std::string_view pem) {
  const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return KeyPointer(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

GENERAL_NAME* general_name(int type, std::string_view bytes) {
  GENERAL_NAME* const name = GENERAL_NAME_new();
  ASN1_STRING* const value =
      type == GEN_DNS ? ASN1_IA5STRING_new() : static_cast<ASN1_STRING*>(ASN1_OCTET_STRING_new());
  ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size()));
  GENERAL_NAME_set0_value(name, type, value);
  return name;
}

void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPointer extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  check(extension != nullptr, "OpenSSL knows the extension");
  X509_add_ext(certificate, extension.get(), -1);
}

void add_alternative_names(X509* certificate, const Names& names) {
  const GeneralNamesPointer all(GENERAL_NAMES_new());
  for (const auto& dns : names.dns) sk_GENERAL_NAME_push(all.get(), general_name(GEN_DNS, dns));
  for (const auto& ip : names.ips)
    sk_GENERAL_NAME_push(all.get(), general_name(GEN_IPADD, ip_bytes(ip)));
  check(X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, 0) == 1,
        "OpenSSL takes the names");
}

// An address and its mask, as name constraints have them (RFC 5280 section 4.2.1.10).
std::string ip_range(const std::string& address, std::size_t prefix_bytes) {
  std::string bytes = ip_bytes(address);
  std::string mask(bytes.size(), '\0');
  std::fill_n(mask.begin(), prefix_bytes, '\xff');
  return bytes + mask;
}

void permit(NAME_CONSTRAINTS* constraints, int type, std::string_view bytes) {
  GENERAL_SUBTREE* const subtree = GENERAL_SUBTREE_new();
  GENERAL_NAME_free(subtree->base);
  subtree->base = general_name(type, bytes);
  sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, subtree);
}

// Whoever trusts this CA trusts it for these names only. "localhost" covers what is below it too.
void add_name_constraints(X509* certificate, const Names& names) {
  NAME_CONSTRAINTS* const constraints = NAME_CONSTRAINTS_new();
  constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
  std::set<std::string> bases;
  for (const auto& dns : names.dns) bases.insert(base_of(dns));
  for (const auto& base : bases) permit(constraints, GEN_DNS, base);
  permit(constraints, GEN_IPADD, ip_range("127.0.0.0", 1));
  for (const auto& ip : names.ips) {
    if (!ip.starts_with("127.")) permit(constraints, GEN_IPADD, ip_range(ip, ip_bytes(ip).size()));
  }
  const int added = X509_add1_ext_i2d(certificate, NID_name_constraints, constraints, 1, 0);
  NAME_CONSTRAINTS_free(constraints);
  check(added == 1, "OpenSSL takes the name constraints");
}

X509Pointer blank_certificate(EVP_PKEY* key, const std::string& common_name, TimePoint now,
                              std::chrono::seconds lifetime, Random& random) {
  X509Pointer certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  std::string serial = random.bytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);  // positive, never short
  BIGNUM* const number =
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), 16, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), to_unix_seconds(now - kBackdated));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), to_unix_seconds(now + lifetime));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const auto add = [&](const char* field, const std::string& text) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text.data()),
                               static_cast<int>(text.size()), -1, 0);
  };
  add("O", "Doppel");
  add("CN", common_name);
  return certificate;
}

struct Issuer {
  X509Pointer certificate;
  KeyPointer key;
};

Issuer make_ca(const Names& names, TimePoint now, Random& random) {
  KeyPointer key(EVP_EC_gen("P-256"));
  check(key != nullptr, "OpenSSL makes an EC key");
  // The names stand in the subject too, so that two CAs of one machine can be told apart.
  auto certificate = blank_certificate(key.get(), "Doppel CA " + hex_encode(random.bytes(4)), now,
                                       kCaLifetime, random);
  X509* const raw = certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(raw, raw, NID_ext_key_usage, "serverAuth");
  add_extension(raw, raw, NID_subject_key_identifier, "hash");
  add_name_constraints(raw, names);
  check(X509_sign(raw, key.get(), EVP_sha256()) > 0, "OpenSSL signs");
  return {.certificate = std::move(certificate), .key = std::move(key)};
}

CertifiedKey make_server(EVP_PKEY* key, const Issuer& ca, const Names& names, TimePoint now,
                         Random& random) {
  // Not a host name: verifiers that look into the subject would match it against the constraints.
  const auto certificate = blank_certificate(key, "Doppel server", now, kServerLifetime, random);
  X509* const raw = certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(ca.certificate.get()));
  const bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
  add_extension(raw, ca.certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(raw, ca.certificate.get(), NID_key_usage,
                is_rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature");
  add_extension(raw, ca.certificate.get(), NID_ext_key_usage, "serverAuth");
  add_extension(raw, ca.certificate.get(), NID_subject_key_identifier, "hash");
  add_extension(raw, ca.certificate.get(), NID_authority_key_identifier, "keyid:always");
  add_alternative_names(raw, names);
  check(X509_sign(raw, ca.key.get(), EVP_sha256()) > 0, "OpenSSL signs");
  return {.chain_pem = to_pem(raw), .key_pem = to_pem(key)};
}

// Judging what is there.

bool lasts_past(X509* certificate, TimePoint time) {
  auto seconds = static_cast<time_t>(to_unix_seconds(time));
  return X509_cmp_time(X509_get0_notAfter(certificate), &seconds) > 0;
}

Names names_in(X509* certificate) {
  Names names;
  const GeneralNamesPointer all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all.get(), i), &type));
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<std::size_t>(ASN1_STRING_length(value)));
    if (type == GEN_DNS) names.dns.insert(text);
    if (type == GEN_IPADD) names.ips.insert(text);
  }
  return names;
}

// Whether one permitted subtree covers a name (RFC 5280 section 4.2.1.10).
bool covers(const GENERAL_SUBTREE& subtree, int type, const std::string& wanted) {
  int base_type = 0;
  const auto* value =
      static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(subtree.base, &base_type));
  if (base_type != type) return false;
  const std::string base(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<std::size_t>(ASN1_STRING_length(value)));
  if (type == GEN_DNS) return wanted == base || wanted.ends_with('.' + base);
  if (base.size() != 2 * wanted.size()) return false;  // the other address family
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const char mask = base[wanted.size() + i];
    if ((wanted[i] & mask) != (base[i] & mask)) return false;
  }
  return true;
}

// Whether the CA may vouch for all these names.
bool permits(const Issuer& ca, const Names& names) {
  const std::unique_ptr<NAME_CONSTRAINTS, Free<NAME_CONSTRAINTS_free>> constraints(
      static_cast<NAME_CONSTRAINTS*>(
          X509_get_ext_d2i(ca.certificate.get(), NID_name_constraints, nullptr, nullptr)));
  if (!constraints) return false;
  const auto is_covered = [&](int type, const std::string& wanted) {
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); ++i) {
      if (covers(*sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i), type, wanted))
        return true;
    }
    return false;
  };
  return std::all_of(names.dns.begin(), names.dns.end(),
                     [&](const auto& dns) { return is_covered(GEN_DNS, base_of(dns)); }) &&
         std::all_of(names.ips.begin(), names.ips.end(),
                     [&](const auto& ip) { return is_covered(GEN_IPADD, ip_bytes(ip)); });
}

bool has_names(X509* certificate, const Names& wanted) {
  Names bytes{.dns = wanted.dns, .ips = {}};
  for (const auto& ip : wanted.ips) bytes.ips.insert(ip_bytes(ip));
  const Names found = names_in(certificate);
  return found.dns == bytes.dns && found.ips == bytes.ips;
}

// Nothing without an error: the file is not there.
Result<std::optional<std::string>> read_if_there(const std::filesystem::path& path) {
  auto text = read_file(path);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Code::not_found) return std::optional<std::string>();
  return fail(text.error());
}

struct Pair {
  X509Pointer certificate;
  KeyPointer key;
  CertifiedKey text;
};

// A certificate and its key; null members when they are not there. A key may be alone: a start that
// was cut short leaves one. Errors: as ensure_certificates.
Result<Pair> read_pair(const std::filesystem::path& directory, const std::string& name) {
  const auto chain = read_if_there(directory / (name + ".pem"));
  if (!chain) return fail(chain.error());
  const auto key = read_if_there(directory / (name + ".key.pem"));
  if (!key) return fail(key.error());
  if (!*key) return Pair{};
  if (!*chain) {
    Pair alone{.certificate = nullptr, .key = key_from(**key), .text = {}};
    ERR_clear_error();
    return alone;
  }
  Pair pair{.certificate = certificate_from(**chain),
            .key = key_from(**key),
            .text = {.chain_pem = **chain, .key_pem = **key}};
  if (!pair.certificate || !pair.key ||
      X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::invalid_argument,
                (directory / (name + ".pem")).string() +
                    " and its key are damaged or do not belong together; delete both to have new "
                    "ones made");
  }
  return pair;
}

// The key goes first: a crash in between leaves a pair that read_pair names, never a silent mix.
Status write_pair(const std::filesystem::path& directory, const std::string& name,
                  const CertifiedKey& pair) {
  ::unlink((directory / (name + ".pem")).c_str());
  if (auto done = write_file(directory / (name + ".key.pem"), pair.key_pem, 0600); !done)
    return done;
  return write_file(directory / (name + ".pem"), pair.chain_pem, 0644);
}

Result<CertifiedKey> ensure_server(const std::filesystem::path& directory, const std::string& name,
                                   const char* key_type, const Issuer& ca, const Names& names,
                                   TimePoint now, Random& random, bool& is_new) {
  auto old = read_pair(directory, name);
  if (!old) return fail(old.error());
  if (old->certificate && lasts_past(old->certificate.get(), now + kRenewBefore) &&
      has_names(old->certificate.get(), names) &&
      X509_verify(old->certificate.get(), ca.key.get()) == 1)
    return old->text;
  ERR_clear_error();
  // An RSA key takes longest of all that happens at a first start: keep it.
  KeyPointer key = std::move(old->key);
  if (!key) {
    key.reset(key_type == std::string_view("RSA") ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-256"));
  }
  check(key != nullptr, "OpenSSL makes a key");
  auto fresh = make_server(key.get(), ca, names, now, random);
  if (auto done = write_pair(directory, name, fresh); !done) return fail(done.error());
  is_new = true;
  return fresh;
}

NewCa judge_ca(const Issuer& ca, const Names& names, TimePoint now) {
  if (!ca.certificate) return NewCa::there_was_none;
  if (!permits(ca, names)) return NewCa::names_changed;
  return lasts_past(ca.certificate.get(), now + kServerLifetime) ? NewCa::no : NewCa::near_its_end;
}

}  // namespace

Result<Certificates> ensure_certificates(const std::filesystem::path& directory,
                                         const std::vector<std::string>& host_names, TimePoint now,
                                         Random& random) {
  ERR_clear_error();
  const auto names = collect_names(host_names);
  if (!names) return fail(names.error());
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(Code::unavailable, directory.string() + ": " + error.message());
  Certificates made;
  made.ca_file = directory / "ca.pem";
  auto old_ca = read_pair(directory, "ca");
  if (!old_ca) return fail(old_ca.error());
  Issuer ca{.certificate = std::move(old_ca->certificate), .key = std::move(old_ca->key)};
  made.new_ca = judge_ca(ca, *names, now);
  if (made.new_ca != NewCa::no) {
    ca = make_ca(*names, now, random);
    const CertifiedKey pair{.chain_pem = to_pem(ca.certificate.get()),
                            .key_pem = to_pem(ca.key.get())};
    if (auto done = write_pair(directory, "ca", pair); !done) return fail(done.error());
  }
  made.ca_pem = to_pem(ca.certificate.get());
  const std::array<std::pair<const char*, const char*>, 2> wanted = {
      std::pair("server-ec", "EC"), std::pair("server-rsa", "RSA")};
  for (const auto& [name, key_type] : wanted) {
    auto identity =
        ensure_server(directory, name, key_type, ca, *names, now, random, made.are_servers_new);
    if (!identity) return fail(identity.error());
    made.identities.push_back(std::move(*identity));
  }
  return made;
}

}  // namespace doppel::net
