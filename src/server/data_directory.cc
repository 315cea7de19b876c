#include "server/data_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <sys/stat.h>

#include "net/tls.h"

namespace doppel::server {
namespace {

Result<std::string> read_file(const std::string& path, std::string_view option) {
  std::ifstream file(path);
  if (!file) return fail(Code::invalid_argument, fmt::format("{}: cannot read {}", option, path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool has_store(const std::string& data_dir) {
  std::error_code error;
  const bool is_empty = std::filesystem::is_empty(store_directory(data_dir), error);
  return !error && !is_empty;
}

}  // namespace

std::string store_directory(const std::string& data_dir) { return data_dir + "/store"; }

Status ensure_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  // One with something in it may be somebody's (/tmp, a home); what is secret has modes of its own.
  if (!error && !std::filesystem::is_empty(path, error) && !error) return {};
  if (error)
    return fail(Code::unavailable,
                fmt::format("cannot make the data directory {}: {}; name another with --data-dir",
                            path, error.message()));
  if (::chmod(path.c_str(), S_IRWXU) != 0)
    return fail(Code::unavailable, fmt::format("cannot make the data directory {} private: {}",
                                               path, std::strerror(errno)));
  return {};
}

Result<security::MasterKey> read_master_key(const ServeOptions& options, Random& random) {
  if (!options.key_file.empty()) return security::MasterKey::read_file(options.key_file);
  const std::string path = options.data_dir + "/master.key";
  // A new key would open nothing of a store that is already there, and would look like the right
  // one to whoever comes to help.
  std::error_code error;
  if (!std::filesystem::exists(path, error) && has_store(options.data_dir)) {
    return fail(Code::invalid_argument,
                fmt::format("{} is missing, and the data in {} is sealed with it: give the key "
                            "with --key-file, or restore master.key",
                            path, store_directory(options.data_dir)));
  }
  return security::MasterKey::ensure_file(path, random);
}

namespace {

// Further instances are called after themselves and the server (hub2.plant.example), so what is
// below a name is the server's too. Not below an address or a top-level name: clients refuse that.
std::vector<std::string> certificate_names(std::vector<std::string> names) {
  const auto count = names.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = names[i];
    if (name.empty()) continue;
    const bool is_address =
        name.find(':') != std::string::npos || (name.back() >= '0' && name.back() <= '9');
    if (is_address || name.starts_with("*.") || name.find('.') == std::string::npos) continue;
    if (std::ranges::find(names, "*." + name) == names.end()) names.push_back("*." + name);
  }
  return names;
}

}  // namespace

Result<ServerIdentity> read_identity(const ServeOptions& options, const Clock& clock,
                                     Random& random) {
  if (options.tls_cert.empty() != options.tls_key.empty())
    return fail(Code::invalid_argument,
                "--tls-cert and --tls-key belong together: give both or neither");
  if (!options.tls_cert.empty()) {
    auto chain = read_file(options.tls_cert, "--tls-cert");
    if (!chain) return fail(std::move(chain.error()));
    auto key = read_file(options.tls_key, "--tls-key");
    if (!key) return fail(std::move(key.error()));
    ServerIdentity identity{.identities = {}, .ca_file = options.tls_cert, .ca_pem = {}};
    identity.identities.push_back({.chain_pem = std::move(*chain), .key_pem = std::move(*key)});
    // The listeners would find out too, but no longer know the files.
    if (auto usable = net::TlsContext::server({.identities = identity.identities}); !usable)
      return fail(usable.error().code,
                  fmt::format("--tls-cert {}, --tls-key {}: {}", options.tls_cert, options.tls_key,
                              usable.error().message));
    return identity;
  }
  auto made = net::ensure_certificates(options.data_dir + "/certificates",
                                       certificate_names(options.host_names), clock.now(), random);
  if (!made) return fail(std::move(made.error()));
  return ServerIdentity{.identities = std::move(made->identities),
                        .ca_file = made->ca_file.string(),
                        .ca_pem = std::move(made->ca_pem),
                        .new_ca = made->new_ca};
}

Result<std::string> read_trusted_cas(const ServeOptions& options) {
  if (options.trusted_ca.empty()) return std::string();
  auto pem = read_file(options.trusted_ca, "--trusted-ca");
  if (!pem) return pem;
  if (auto good = net::TlsContext::client({.ca_pem = {}, .more_ca_pem = *pem}); !good) {
    return fail(good.error().code,
                fmt::format("--trusted-ca {}: {}", options.trusted_ca, good.error().message));
  }
  return pem;
}

}  // namespace doppel::server
