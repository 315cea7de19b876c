// Finds the handler of a request. Each service registers its routes at start; afterwards the table
// is constant and any thread may look up.
//
// A pattern is a path of literal segments, `{name}` for exactly one segment and `{name...}` (last
// only) for the rest, e.g. "/devices/{id}/messages/events". Literals compare without case; a
// trailing slash does not matter; matching works on the raw path, so an encoded slash stays inside
// its segment. Literal segments win over {names}, segment by segment from the left.
//
// Where two services own the same pattern on one address, a route may carry a condition; routes
// with a true condition win over those without one (reference: docs/wire/one-address.md).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/http/message.h"

namespace doppel::http {

class Router {
 public:
  using Condition = std::function<bool(const Request&)>;

  void add(std::string_view method, std::string_view pattern, Handler handler,
           Condition condition = {});

  // Lets bodies of this route, which was added before, be as large as this instead of the server's
  // general limit (ParserLimits::body_bytes_max).
  void set_body_bytes_max(std::string_view method, std::string_view pattern, std::size_t bytes);
  // What was set for the route of a request whose headers are known; 0: nothing.
  std::size_t body_bytes_max(const Request& head) const;

  // Answers when nothing matches: 404, or 405 with Allow when only the method differs. Services may
  // replace the 404.
  void set_fallback(Handler handler);

  // Routes and runs. The request's `params` are filled.
  Task<Response> handle(Request request) const;

  // Whether a path has any route at all. For diagnostics.
  bool knows(std::string_view path) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    bool has_rest = false;
    Handler handler;
    Condition condition;
    std::size_t body_bytes_max = 0;
  };
  // The route that answers. Null: none; then `allowed` names the methods that the path has.
  const Route* find(const Request& request, std::string& allowed) const;
  std::vector<Route> routes_;
  Handler fallback_;
};

}  // namespace doppel::http
