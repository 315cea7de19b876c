// Azure's connection strings: "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." and kin.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::resources {

inline constexpr std::string_view kMaskedKey = "****";

struct ConnectionString {
  std::string
      host;  // of HostName or Endpoint: without scheme and path, with a port if it was given
  std::string key_name;  // SharedAccessKeyName
  std::string key;       // SharedAccessKey
  std::string entity;    // EntityPath
  bool is_masked() const { return key == kMaskedKey; }
};

// Names compare without case; unknown ones are passed over. Errors: invalid_argument.
Result<ConnectionString> parse_connection_string(std::string_view text);

// The same text with the value of SharedAccessKey, AccountKey and SharedAccessSignature replaced by
// "****".
std::string mask_connection_string(std::string_view text);

// "LocalHost:8443" -> "localhost". Keeps the brackets of an IPv6 address.
std::string host_without_port(std::string_view host);

}  // namespace doppel::resources
