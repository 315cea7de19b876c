#include "resources/hosting.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::resources {

HostNames host_names_of(const ResourceDefaults& defaults, std::string_view name,
                        bool has_server_name, std::string_view azure_suffix) {
  HostNames names;
  const auto add = [&names](std::string host) {
    host = to_lower(host);
    if (std::ranges::find(names.all, host) == names.all.end()) names.all.push_back(std::move(host));
  };
  const std::string own(name);
  names.primary =
      has_server_name ? defaults.host_names.front() : own + "." + defaults.host_names.front();
  add(names.primary);
  if (has_server_name) {
    for (const auto& host : defaults.host_names) add(host);
    for (const char* loopback : {"localhost", "127.0.0.1", "[::1]"}) add(loopback);
  }
  add(own);
  for (const auto& host : defaults.host_names) add(own + "." + host);
  add(own + ".localhost");
  add(own + "." + std::string(azure_suffix));
  return names;
}

std::string with_port(std::string_view host, std::uint16_t port, std::uint16_t standard) {
  std::string text(host);
  if (port != standard) text.append(":").append(std::to_string(port));
  return text;
}

}  // namespace doppel::resources
