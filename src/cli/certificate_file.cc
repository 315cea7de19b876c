#include "cli/certificate_file.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "security/certificate.h"

namespace doppel::cli {
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;

Result<std::string> read_file(std::string_view option, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (!file) return fail(Code::not_found, fmt::format("{}: {} cannot be read", option, path));
  std::string content(kFileBytesMax, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), file.get()));
  return content;
}

}  // namespace

Result<std::string> read_key_file(std::string_view option, const std::string& path) {
  return read_file(option, path);
}

Result<std::string> read_certificate_file(std::string_view option, const std::string& path) {
  auto content = read_file(option, path);
  if (!content) return content;
  const bool is_der = content->starts_with('\x30');
  auto certificate =
      is_der ? security::Certificate::from_der(*content) : security::Certificate::parse(*content);
  if (!certificate) {
    return fail(Code::invalid_argument,
                fmt::format("{}: {}: {}", option, path, certificate.error().message));
  }
  return certificate->pem();
}

}  // namespace doppel::cli
