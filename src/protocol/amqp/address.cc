#include "protocol/amqp/address.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace doppel::amqp {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  if (l >= 'a' && l <= 'f') return l - 'a' + 10;
  return std::nullopt;
}

// An escape that is none stays as it is.
std::string unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high && low) {
        plain += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    plain += text[i];
  }
  return plain;
}

std::string_view without_port(std::string_view authority) {
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == authority.size()) return authority;
  const auto port = authority.substr(colon + 1);
  const bool is_port =
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  // "::1" is no host with a port.
  const bool is_bare_ipv6 = authority.front() != '[' && authority.find(':') != colon;
  return is_port && !is_bare_ipv6 ? authority.substr(0, colon) : authority;
}

}  // namespace

std::string_view node_of(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != std::string_view::npos) {
    const auto path = address.find('/', scheme + 3);
    address = path == std::string_view::npos ? std::string_view{} : address.substr(path);
  }
  while (!address.empty() && address.front() == '/') address.remove_prefix(1);
  return address;
}

std::string resource_of(std::string_view audience) {
  std::string plain = unescape(audience);
  std::string_view rest = plain;
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos)
    rest.remove_prefix(scheme + 3);
  while (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const auto slash = std::min(rest.find('/'), rest.size());
  std::string resource(without_port(rest.substr(0, slash)));
  std::transform(resource.begin(), resource.end(), resource.begin(), lower);
  resource += rest.substr(slash);
  return resource;
}

bool covers(std::string_view scope, std::string_view resource) {
  if (scope.empty()) return true;
  if (resource.size() < scope.size()) return false;
  const bool is_prefix = std::equal(scope.begin(), scope.end(), resource.begin(),
                                    [](char a, char b) { return lower(a) == lower(b); });
  return is_prefix && (resource.size() == scope.size() || resource[scope.size()] == '/');
}

}  // namespace doppel::amqp
