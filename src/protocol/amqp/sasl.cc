#include "protocol/amqp/sasl.h"

#include <string>

namespace doppel::amqp {

std::optional<PlainCredentials> parse_plain(std::string_view response) {
  const auto first = response.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = response.find('\0', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  PlainCredentials credentials{.authorization_id = std::string(response.substr(0, first)),
                               .user = std::string(response.substr(first + 1, second - first - 1)),
                               .password = std::string(response.substr(second + 1))};
  if (credentials.user.empty()) return std::nullopt;
  return credentials;
}

std::string plain_response(const PlainCredentials& credentials) {
  std::string response = credentials.authorization_id;
  response += '\0';
  response += credentials.user;
  response += '\0';
  response += credentials.password;
  return response;
}

}  // namespace doppel::amqp
