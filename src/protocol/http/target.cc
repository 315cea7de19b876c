#include "protocol/http/target.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::http {
namespace {

std::string decode_query_text(std::string_view raw) {
  std::string text(raw);
  std::ranges::replace(text, '+', ' ');
  if (text.find('%') == std::string::npos) return text;
  auto decoded = percent_decode(text);
  return decoded ? std::move(*decoded) : std::move(text);
}

}  // namespace

std::optional<Target> split_target(std::string_view target) {
  Target split;
  if (target == "*") return Target{.path = target, .query = {}, .authority = {}};
  if (target.contains('#')) return std::nullopt;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!starts_with_ignoring_case(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto end = std::min(target.find_first_of("/?"), target.size());
    split.authority = target.substr(0, end);
    target.remove_prefix(end);
    if (split.authority.empty() || split.authority.contains('@')) return std::nullopt;
    break;
  }
  const auto question = target.find('?');
  split.path = target.substr(0, question);
  if (question != std::string_view::npos) split.query = target.substr(question + 1);
  if (split.path.empty() && !split.authority.empty()) split.path = "/";
  if (!split.path.starts_with('/')) return std::nullopt;
  return split;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const auto value =
        equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
    pairs.emplace_back(decode_query_text(part.substr(0, equals)), decode_query_text(value));
  }
  return pairs;
}

}  // namespace doppel::http
