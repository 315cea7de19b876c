// Request targets: which forms are taken, and what is in a query.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::http {

struct Target {
  std::string_view path;       // raw; "/" when an absolute target has none; "*" for OPTIONS *
  std::string_view query;      // raw, without '?'
  std::string_view authority;  // of an absolute target, else empty
};

// Splits origin-form ("/a?b"), absolute-form ("https://host/a?b") and "*" (RFC 9112 section 3.2).
// Nothing else is taken: no authority-form (we are no proxy), no fragment. Views point into
// `target`.
std::optional<Target> split_target(std::string_view target);

// Decodes "a=b&c=d"; a part without '=' has an empty value; empty parts are skipped.
//
// '+' is a space: so writes every form encoder (URLSearchParams, Java's URLEncoder, Python's
// urlencode), and so reads ASP.NET, which the cloud services run on. The Azure clients themselves
// percent-encode both. A broken escape stays as it is: ASP.NET does the same.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

}  // namespace doppel::http
