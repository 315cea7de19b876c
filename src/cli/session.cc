#include "cli/session.h"

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::cli {
namespace {

// Every error body of our services, in order of likelihood (ARM and Digital Twins; hub; DPS; token
// endpoint).
std::string message_of(const http::Response& response) {
  const auto body = json::parse(response.body);
  if (!body) return response.body.substr(0, 400);
  if (const auto* error = json::find(*body, "error"); error != nullptr && error->is_object()) {
    std::string text = fmt::format("{}: {}", json::get_string_or(*error, "code", ""),
                                   json::get_string_or(*error, "message", ""));
    if (const auto* details = json::find(*error, "details");
        details != nullptr && details->is_array())
      for (const auto& detail : details->get_array())
        text += "\n  " + json::get_string_or(detail, "message", "");
    return text;
  }
  for (const std::string_view member : {"Message", "message", "error_description"})
    if (const auto text = json::find_string(*body, member)) return std::string(*text);
  return response.body.substr(0, 400);
}

// What a service wants its tokens to be for, as `az` asks for them.
std::string_view scope_of(std::string_view api_version) {
  if (api_version == kDpsVersion) return "https://azure-devices-provisioning.net/.default";
  if (api_version == kHubVersion) return "https://iothubs.azure.net/.default";
  if (api_version == kTwinsVersion) return "https://digitaltwins.azure.net/.default";
  return "https://management.azure.com/.default";
}

Code code_of(int status) {
  switch (status) {
    case 400:
      return Code::invalid_argument;
    case 401:
      return Code::unauthenticated;
    case 403:
      return Code::forbidden;
    case 404:
      return Code::not_found;
    case 409:
      return Code::already_exists;
    case 412:
      return Code::precondition_failed;
    case 429:
      return Code::throttled;
    default:
      return Code::unavailable;
  }
}

}  // namespace

// The same server by another of its names: the name goes into Host only, because a name that the
// server's certificate does not have (and that may not resolve) is no reason not to reach it.
void Session::name_service(HttpRequest& request, const std::string& host) const {
  if (host.empty()) return;
  const std::string name = host.substr(0, host.rfind(':'));
  request.headers.set(
      "Host", profile_.https_port == 443 ? name : fmt::format("{}:{}", name, profile_.https_port));
}

Result<http::Response> Session::exchange(HttpRequest request) {
  auto response = transport_(std::move(request));
  if (!response)
    return fail(Code::unavailable,
                fmt::format("the server at {} does not answer ({}); is it running? `doppel serve` "
                            "starts it, --data-dir names another one",
                            profile_.base_url(), response.error().message));
  return response;
}

Status Session::check_ready() {
  const auto response = exchange(
      {.method = "GET", .url = profile_.base_url() + "/readyz", .headers = {}, .body = ""});
  if (!response) return fail(response.error().code, response.error().message);
  if (response->status != 200)
    return fail(Code::unavailable, fmt::format("the server at {} is not ready: {}",
                                               profile_.base_url(), response->body));
  return {};
}

Result<std::string> Session::token(std::string_view api_version) {
  const std::string scope(scope_of(api_version));
  if (const auto known = tokens_.find(scope); known != tokens_.end()) return known->second;
  HttpRequest request{
      .method = "POST",
      .url = fmt::format("{}/{}/oauth2/v2.0/token", profile_.base_url(), profile_.tenant),
      .headers = {},
      .body = fmt::format("grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
                          percent_encode(profile_.client_id),
                          percent_encode(profile_.client_secret), percent_encode(scope))};
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  auto response = exchange(std::move(request));
  if (!response) return fail(std::move(response.error()));
  if (response->status != 200)
    return fail(code_of(response->status),
                fmt::format("no token: {}\n(the CLI profile may be of another data directory than "
                            "the server at {} uses)",
                            message_of(*response), profile_.base_url()));
  const auto body = json::parse(response->body);
  std::string token = body ? json::get_string_or(*body, "access_token", "") : "";
  if (token.empty()) return fail(Code::bad_gateway, "the token endpoint gave no access_token");
  tokens_[scope] = token;
  return token;
}

Result<http::Response> Session::send(const Call& call) {
  auto bearer = token(call.api_version);
  if (!bearer) return fail(std::move(bearer.error()));
  const char joint = call.path.find('?') == std::string::npos ? '?' : '&';
  const bool has_version = call.path.find("api-version=") != std::string::npos;
  HttpRequest request{
      .method = call.method,
      .url = profile_.base_url() + call.path +
             (has_version ? "" : fmt::format("{}api-version={}", joint, call.api_version)),
      .headers = {},
      .body = call.body ? json::write(*call.body) : ""};
  request.headers.set("Authorization", "Bearer " + *bearer);
  request.headers.set("Accept", "application/json");
  if (call.body) request.headers.set("Content-Type", call.content_type);
  name_service(request, call.host);
  if (!call.if_match.empty()) request.headers.set("If-Match", call.if_match);
  auto response = exchange(std::move(request));
  if (!response) return fail(std::move(response.error()));
  if (response->status >= 400) return fail(code_of(response->status), message_of(*response));
  return response;
}

Result<json::Value> Session::send_json(const Call& call) {
  auto response = send(call);
  if (!response) return fail(std::move(response.error()));
  if (response->body.empty()) return json::Value(nullptr);
  return json::parse(response->body, {.depth_max = 64, .size_max = 64 * 1024 * 1024});
}

Result<json::Array> Session::query_all(Call call, std::string_view method) {
  json::Array all;
  auto done = query_pages(
      std::move(call),
      [&all](json::Array page) -> Status {
        for (auto& item : page) all.push_back(std::move(item));
        return {};
      },
      method);
  if (!done) return fail(std::move(done.error()));
  return all;
}

Status Session::query_pages(Call call, const std::function<Status(json::Array page)>& take,
                            std::string_view method) {
  auto bearer = token(call.api_version);
  if (!bearer) return fail(std::move(bearer.error()));
  for (std::string continuation;;) {
    const char joint = call.path.find('?') == std::string::npos ? '?' : '&';
    HttpRequest request{.method = std::string(method),
                        .url = fmt::format("{}{}{}api-version={}", profile_.base_url(), call.path,
                                           joint, call.api_version),
                        .headers = {},
                        .body = {}};
    request.headers.set("Authorization", "Bearer " + *bearer);
    if (request.method == "POST") {
      request.body = call.body ? json::write(*call.body) : R"({"query":"SELECT *"})";
      request.headers.set("Content-Type", "application/json");
    }
    name_service(request, call.host);
    if (!continuation.empty()) request.headers.set("x-ms-continuation", continuation);
    auto response = exchange(std::move(request));
    if (!response) return fail(std::move(response.error()));
    if (response->status >= 400) return fail(code_of(response->status), message_of(*response));
    auto page = json::parse(response->body, {.depth_max = 64, .size_max = 64 * 1024 * 1024});
    if (!page) return fail(std::move(page.error()));
    if (!page->is_array()) return fail(Code::bad_gateway, "the answer to a query is no list");
    if (auto taken = take(std::move(page->get_array())); !taken) return taken;
    continuation = response->headers.get_or("x-ms-continuation", "");
    if (continuation.empty()) return {};
  }
}

Result<json::Array> Session::list_all(Call call) {
  json::Array all;
  for (;;) {
    auto page = send_json(call);
    if (!page) return fail(std::move(page.error()));
    const auto* items = json::find(*page, "value");
    if (items == nullptr || !items->is_array())
      return fail(Code::bad_gateway, "the answer to a list has no `value`");
    for (const auto& item : items->get_array()) all.push_back(item);
    const auto next = json::find_string(*page, "nextLink");
    if (!next || next->empty()) return all;
    // Root-relative from our services; an absolute one is ours too.
    const auto scheme = next->find("://");
    call.path = scheme == std::string_view::npos
                    ? std::string(*next)
                    : std::string(next->substr(next->find('/', scheme + 3)));
  }
}

std::string Session::group_path(const Arguments& args) const {
  return fmt::format("/subscriptions/{}/resourceGroups/{}", profile_.subscription,
                     percent_encode(args.get_or("--resource-group", profile_.resource_group)));
}

std::string Session::resource_path(const Arguments& args, std::string_view type,
                                   std::string_view name) const {
  return fmt::format("{}/providers/{}/{}", group_path(args), type, percent_encode(name));
}

Result<std::string> Session::name_or_default(const Arguments& args, std::string_view option,
                                             const std::string& fallback) const {
  auto name = args.get_or(option, fallback);
  if (name.empty())
    return fail(Code::invalid_argument,
                fmt::format("{} is needed: the CLI profile has no default for it", option));
  return name;
}

Result<std::string> Session::data_host(const Arguments& args, std::string_view option,
                                       const std::string& fallback, std::string_view type,
                                       std::string_view member) {
  auto name = name_or_default(args, option, fallback);
  if (!name) return name;
  // A host name is taken as it is.
  if (name->find('.') != std::string::npos || name->find(':') != std::string::npos ||
      *name == "localhost")
    return name;
  // Resource names are unique in a subscription here, so the group need not be known.
  auto all = list_all(
      {.path = fmt::format("/subscriptions/{}/providers/{}", profile_.subscription, type)});
  if (!all) return fail(std::move(all.error()));
  for (const auto& resource : *all) {
    if (!equal_ignoring_case(json::get_string_or(resource, "name", ""), *name)) continue;
    const auto* properties = json::find(resource, "properties");
    if (properties != nullptr) return json::get_string_or(*properties, member, "");
  }
  return fail(Code::not_found, fmt::format("there is no {} named {}", type, *name));
}

Result<std::string> Session::hub_host(const Arguments& args) {
  return data_host(args, "--hub-name", profile_.hub, "Microsoft.Devices/IotHubs", "hostName");
}
Result<std::string> Session::dps_host(const Arguments& args) {
  return data_host(args, "--dps-name", profile_.dps, "Microsoft.Devices/provisioningServices",
                   "serviceOperationsHostName");
}
Result<std::string> Session::twins_host(const Arguments& args) {
  return data_host(args, "--dt-name", profile_.twins_instance,
                   "Microsoft.DigitalTwins/digitalTwinsInstances", "hostName");
}

Result<json::Value> parse_json_argument(std::string_view option, std::string_view text) {
  std::string content(text);
  const bool is_file_mark = text.starts_with('@');
  const std::string path(is_file_mark ? text.substr(1) : text);
  if (std::ifstream file(path);
      file && (is_file_mark || (!text.starts_with('{') && !text.starts_with('[')))) {
    content.assign(std::istreambuf_iterator<char>(file), {});
  } else if (is_file_mark) {
    return fail(Code::invalid_argument, fmt::format("{}: cannot read {}", option, path));
  }
  auto value = json::parse(content, {.depth_max = 64, .size_max = 64 * 1024 * 1024});
  if (!value)
    return fail(Code::invalid_argument, fmt::format("{} takes JSON, or a file that holds it: {}",
                                                    option, value.error().message));
  return value;
}

}  // namespace doppel::cli
