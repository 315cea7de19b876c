// The host names resources answer to. The first resource of each kind is called like the server
// itself ("localhost" out of the box), later ones "<name>.<server>"; every one also answers to some
// aliases.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resources/api.h"

namespace doppel::resources {

struct HostNames {
  std::string primary;           // public, no port
  std::vector<std::string> all;  // lower case, the public one first
};

// `has_server_name`: whether this resource is the one of its kind that is called like the server.
// `azure_suffix`: what Azure puts behind the name, e.g. "azure-devices.net"; clients with such a
// name in /etc/hosts work too.
HostNames host_names_of(const ResourceDefaults& defaults, std::string_view name,
                        bool has_server_name, std::string_view azure_suffix);

// `host` with ":port" unless `port` is `standard`.
std::string with_port(std::string_view host, std::uint16_t port, std::uint16_t standard);

}  // namespace doppel::resources
