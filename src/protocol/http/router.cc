#include "protocol/http/router.h"

#include <algorithm>
#include <exception>
#include <span>

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"

namespace doppel::http {
namespace {

// "/a/b/" and "/a/b" are two segments, "/" is none.
std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return segments;
  for (;;) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool is_name(std::string_view segment) { return segment.starts_with('{'); }

// "{id}" -> "id", "{path...}" -> "path"
std::string_view bare_name(std::string_view segment) {
  segment.remove_prefix(1);
  segment.remove_suffix(1);
  if (segment.ends_with("...")) segment.remove_suffix(3);
  return segment;
}

// A broken escape stays as it is; the service then does not know that name.
std::string decode_param(std::string_view raw) {
  auto decoded = percent_decode(raw);
  return decoded ? std::move(*decoded) : std::string(raw);
}

bool matches(std::span<const std::string> pattern, bool has_rest,
             std::span<const std::string_view> path) {
  const auto fixed = has_rest ? pattern.first(pattern.size() - 1) : pattern;
  if (has_rest ? path.size() < fixed.size() : path.size() != fixed.size()) return false;
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    if (is_name(fixed[i]) ? path[i].empty() : !equal_ignoring_case(fixed[i], path[i])) return false;
  }
  return true;
}

// Whether the pattern `a` is more exact than `b`, both matching the same path: at the first
// difference from the left a literal wins over a {name}, and that over a {rest...}.
bool is_more_exact(std::span<const std::string> a, bool a_has_rest, std::span<const std::string> b,
                   bool b_has_rest) {
  const auto rank = [](std::span<const std::string> segments, bool has_rest, std::size_t i) {
    if (i >= segments.size()) return 0;  // ends here, so exactly as long as the path
    if (!is_name(segments[i])) return 0;
    return has_rest && i + 1 == segments.size() ? 2 : 1;
  };
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const int rank_a = rank(a, a_has_rest, i);
    const int rank_b = rank(b, b_has_rest, i);
    if (rank_a != rank_b) return rank_a < rank_b;
  }
  return false;
}

std::vector<std::pair<std::string, std::string>> capture(std::span<const std::string> pattern,
                                                         bool has_rest,
                                                         std::span<const std::string_view> path) {
  std::vector<std::pair<std::string, std::string>> params;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_name(pattern[i])) continue;
    const std::string name(bare_name(pattern[i]));
    if (!has_rest || i + 1 < pattern.size()) {
      params.emplace_back(name, decode_param(path[i]));
      continue;
    }
    std::string rest;
    for (const auto segment : path.subspan(i)) {
      if (!rest.empty()) rest += '/';
      rest += segment;
    }
    params.emplace_back(name, decode_param(rest));
  }
  return params;
}

Response not_found() {
  return Response::json(404, R"({"error":{"code":"NotFound","message":"There is no such path."}})");
}

Response method_not_allowed(std::string_view allowed) {
  auto response = Response::json(
      405, R"({"error":{"code":"MethodNotAllowed","message":"The path has no such method."}})");
  response.headers.add("Allow", allowed);
  return response;
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, Handler handler,
                 Condition condition) {
  Route route{.method = std::string(method),
              .segments = {},
              .handler = std::move(handler),
              .condition = std::move(condition),
              .body_bytes_max = 0};
  for (const auto segment : split_path(pattern)) {
    check(!route.has_rest, "a {rest...} is the last segment of a pattern");
    check(!is_name(segment) || (segment.size() > 2 && segment.ends_with('}')),
          "a {name} fills its whole segment");
    route.has_rest = is_name(segment) && segment.ends_with("...}");
    route.segments.emplace_back(segment);
  }
  routes_.push_back(std::move(route));
}

void Router::set_fallback(Handler handler) { fallback_ = std::move(handler); }

void Router::set_body_bytes_max(std::string_view method, std::string_view pattern,
                                std::size_t bytes) {
  const auto wanted = split_path(pattern);
  bool is_known = false;
  for (auto& route : routes_) {
    if (route.method != method || !std::ranges::equal(route.segments, wanted)) continue;
    route.body_bytes_max = bytes;
    is_known = true;
  }
  check(is_known, "a limit is set for a route that was added");
}

std::size_t Router::body_bytes_max(const Request& head) const {
  std::string allowed;
  const auto* const route = find(head, allowed);
  return route == nullptr ? 0 : route->body_bytes_max;
}

const Router::Route* Router::find(const Request& request, std::string& allowed) const {
  const auto path = split_path(request.path);
  const Route* best = nullptr;
  bool best_is_conditional = false;
  // A GET route answers HEAD too; the serializer leaves the body out (RFC 9110 section 9.3.2).
  const std::string_view method =
      request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
  for (const auto& route : routes_) {
    if (!matches(route.segments, route.has_rest, path)) continue;
    if (route.condition && !route.condition(request)) continue;
    if (route.method != method && route.method != request.method) {
      if (!allowed.contains(route.method)) allowed += (allowed.empty() ? "" : ", ") + route.method;
      continue;
    }
    const bool is_conditional = static_cast<bool>(route.condition);
    const bool wins =
        best == nullptr ||
        is_more_exact(route.segments, route.has_rest, best->segments, best->has_rest) ||
        (is_conditional && !best_is_conditional &&
         !is_more_exact(best->segments, best->has_rest, route.segments, route.has_rest));
    if (!wins) continue;
    best = &route;
    best_is_conditional = is_conditional;
  }
  return best;
}

Task<Response> Router::handle(Request request) const {
  std::string allowed;
  const Route* const best = find(request, allowed);
  const Handler* handler = best != nullptr ? &best->handler : &fallback_;
  if (best == nullptr && !allowed.empty()) co_return method_not_allowed(allowed);
  if (best == nullptr && !fallback_) co_return not_found();
  if (best != nullptr) {
    const auto path = split_path(request.path);
    request.params = capture(best->segments, best->has_rest, path);
  }

  const std::string tracking_id = request.tracking_id;
  const std::string logged_path = request.path;
  std::string what;
  try {
    auto task = (*handler)(std::move(request));
    co_return co_await std::move(task);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "unknown exception";
  }
  log::error("http.handler_threw", {{"tracking_id", std::string_view(tracking_id)},
                                    {"path", std::string_view(logged_path)},
                                    {"what", std::string_view(what)}});
  co_return Response::json(
      500, R"({"error":{"code":"InternalError","message":"The request failed; see the log."}})");
}

bool Router::knows(std::string_view path) const {
  const auto segments = split_path(path);
  return std::ranges::any_of(routes_, [&](const Route& route) {
    return matches(route.segments, route.has_rest, segments);
  });
}

}  // namespace doppel::http
