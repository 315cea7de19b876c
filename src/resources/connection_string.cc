#include "resources/connection_string.h"

#include "base/encoding.h"
#include "security/sas.h"

namespace doppel::resources {
namespace {

// Calls visit(name, value) for each pair; a value may itself contain '='. False when a part has no
// '='.
template <class Visit>
bool for_each_pair(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(';'));
    text.remove_prefix(part.size());
    if (text.starts_with(';')) text.remove_prefix(1);
    if (part.empty()) continue;
    const auto equals = part.find('=');
    if (equals == part.npos) return false;
    visit(part.substr(0, equals), part.substr(equals + 1));
  }
  return true;
}

std::string host_of_endpoint(std::string_view endpoint) {
  if (const auto scheme = endpoint.find("://"); scheme != endpoint.npos)
    endpoint.remove_prefix(scheme + 3);
  return std::string(endpoint.substr(0, endpoint.find('/')));
}

}  // namespace

Result<ConnectionString> parse_connection_string(std::string_view text) {
  ConnectionString parsed;
  const bool well_formed = for_each_pair(text, [&](std::string_view name, std::string_view value) {
    if (equal_ignoring_case(name, "HostName")) parsed.host = value;
    if (equal_ignoring_case(name, "Endpoint")) parsed.host = host_of_endpoint(value);
    if (equal_ignoring_case(name, "SharedAccessKeyName")) parsed.key_name = value;
    if (equal_ignoring_case(name, "SharedAccessKey")) parsed.key = value;
    if (equal_ignoring_case(name, "EntityPath")) parsed.entity = value;
  });
  // The text is never quoted in a message: it holds a key.
  if (!well_formed)
    return fail(Code::invalid_argument, "the connection string has a part without '='");
  if (parsed.host.empty())
    return fail(Code::invalid_argument, "the connection string has neither HostName nor Endpoint");
  if (parsed.key_name.empty() || parsed.key.empty()) {
    return fail(Code::invalid_argument,
                "the connection string needs SharedAccessKeyName and SharedAccessKey");
  }
  return parsed;
}

std::string mask_connection_string(std::string_view text) {
  std::string masked;
  const bool well_formed = for_each_pair(text, [&](std::string_view name, std::string_view value) {
    const bool is_secret = equal_ignoring_case(name, "SharedAccessKey") ||
                           equal_ignoring_case(name, "AccountKey") ||
                           equal_ignoring_case(name, "SharedAccessSignature");
    if (!masked.empty()) masked += ";";
    masked.append(name).append("=").append(is_secret ? kMaskedKey : value);
  });
  return well_formed ? masked : std::string(text.empty() ? "" : kMaskedKey);
}

std::string host_without_port(std::string_view host) { return security::sas_resource(host).host; }

}  // namespace doppel::resources
