// One run of the CLI against one server: bearer token, requests, and the names a command may leave
// out.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "cli/profile.h"
#include "json/value.h"
#include "protocol/http/message.h"

namespace doppel::cli {

// Blocking HTTPS; the real one is in cli/http_transport.cc, tests have their own.
struct HttpRequest {
  std::string method;
  std::string url;  // where to connect
  http::Headers headers;
  std::string body;
};
using Transport = std::function<Result<http::Response>(HttpRequest)>;

inline constexpr std::string_view kArmVersion = "2023-06-30";
inline constexpr std::string_view kDpsVersion = "2021-10-01";
inline constexpr std::string_view kHubVersion = "2021-04-12";
inline constexpr std::string_view kTwinsVersion = "2023-10-31";

class Session {
 public:
  Session(Profile profile, Transport transport)
      : profile_(std::move(profile)), transport_(std::move(transport)) {}

  const Profile& profile() const { return profile_; }

  // Whether the server answers and is ready to serve. Errors: unavailable, with what to do.
  Status check_ready();

  struct Call {
    std::string method = "GET";
    std::string path;  // with '/', query without api-version allowed
    std::string_view api_version = kArmVersion;
    std::string host = {};  // name of the service; empty: the server's own
    std::optional<json::Value> body = std::nullopt;
    std::string if_match = {};
    std::string content_type = "application/json";
  };
  // Sends with a bearer token; an answer of 400 and above becomes an Error with the service's own
  // words.
  Result<http::Response> send(const Call& call);
  // The same with the answer's JSON; null for an empty answer.
  Result<json::Value> send_json(const Call& call);
  // Follows x-ms-continuation until the end. By POST, as queries are (without a body: for
  // everything), or by GET.
  Result<json::Array> query_all(Call call, std::string_view method = "POST");
  // The same, a page at a time; an error of `take` ends it.
  Status query_pages(Call call, const std::function<Status(json::Array page)>& take,
                     std::string_view method = "POST");
  // Follows nextLink.
  Result<json::Array> list_all(Call call);

  // Paths of resources; a name left out is the profile's.
  std::string group_path(const Arguments& args) const;
  std::string resource_path(const Arguments& args, std::string_view type,
                            std::string_view name) const;

  // What an option says, else the profile's default, else an error that names the option.
  Result<std::string> name_or_default(const Arguments& args, std::string_view option,
                                      const std::string& fallback) const;

  // Host names of the data planes, asked from the resource manager once.
  Result<std::string> hub_host(const Arguments& args);
  Result<std::string> dps_host(const Arguments& args);
  Result<std::string> twins_host(const Arguments& args);

 private:
  // The transport; its errors say what to do.
  Result<http::Response> exchange(HttpRequest request);
  Result<std::string> token(std::string_view api_version);
  void name_service(HttpRequest& request, const std::string& host) const;
  Result<std::string> data_host(const Arguments& args, std::string_view option,
                                const std::string& fallback, std::string_view type,
                                std::string_view member);

  Profile profile_;
  Transport transport_;
  std::map<std::string, std::string> tokens_;  // by scope
};

// JSON typed on the command line, or the content of a file when it begins with '@' or names one.
Result<json::Value> parse_json_argument(std::string_view option, std::string_view text);

}  // namespace doppel::cli
