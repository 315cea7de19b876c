// OIDC discovery, the token endpoint and the cloud's metadata (reference:
// client-wire-notes-cloud.md sections 1, 2).
//
// Everything is served twice: under /{tenant} for @azure/identity and newer MSAL, and under /adfs,
// the only form for which az (MSAL Python 1.21) does not first ask login.microsoftonline.com.
#include "base/encoding.h"
#include "base/log.h"
#include "base/time_text.h"
#include "resources/wire/arm.h"

namespace doppel::resources::wire {
namespace {

constexpr std::size_t kFormSizeMax = 64 * 1024;

bool is_tenant(std::string_view name, const ResourceDefaults& defaults) {
  return equal_ignoring_case(name, defaults.tenant) || equal_ignoring_case(name, "adfs") ||
         equal_ignoring_case(name, "common") || equal_ignoring_case(name, "organizations");
}

std::string form_decode(std::string_view text) {
  std::string spaced(text);
  for (char& c : spaced) c = c == '+' ? ' ' : c;
  return percent_decode(spaced).value_or("");
}

// The first value of `name` in a form-encoded body.
std::string form_value(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const auto pair = form.substr(0, form.find('&'));
    form.remove_prefix(pair.size());
    if (form.starts_with('&')) form.remove_prefix(1);
    const auto equals = pair.find('=');
    if (equals != pair.npos && form_decode(pair.substr(0, equals)) == name)
      return form_decode(pair.substr(equals + 1));
  }
  return {};
}

struct OAuthError {
  int status;
  std::string_view error;
  std::int64_t number;
  std::string_view text;
};
constexpr OAuthError kWrongSecret{401, "invalid_client", 7000215,
                                  "Invalid client secret provided, or the client is not known."};
constexpr OAuthError kNoTenant{400, "invalid_request", 90002,
                               "Tenant not found; check the tenant id."};
constexpr OAuthError kNoGrant{
    400, "unsupported_grant_type", 70003,
    "The app requested an unsupported grant type; only client_credentials is possible."};
constexpr OAuthError kNoSecret{401, "invalid_client", 7000218,
                               "The request body must contain the parameter 'client_secret'."};
constexpr OAuthError kNoScope{400, "invalid_scope", 70011,
                              "The provided value for the input parameter 'scope' is not valid; it "
                              "must be <resource>/.default."};
constexpr OAuthError kTooLong{413, "invalid_request", 90013, "The request is too large."};

// az prints error_description as it is.
http::Response oauth_error(const OAuthError& what, const http::Request& request,
                           const Clock& clock) {
  const std::string time = to_iso8601(clock.now());
  const std::string stamp = time.substr(0, 10) + " " + time.substr(11, 8) + "Z";
  const std::string description = "AADSTS" + std::to_string(what.number) + ": " +
                                  std::string(what.text) + " Trace ID: " + request.tracking_id +
                                  " Timestamp: " + stamp;
  json::Array numbers;
  numbers.emplace_back(what.number);
  json::Object body{
      {"error", what.error},
      {"error_description", description},
      {"error_codes", std::move(numbers)},
      {"timestamp", stamp},
      {"trace_id", request.tracking_id},
      {"correlation_id",
       std::string(request.query_value("client-request-id").value_or(request.tracking_id))}};
  http::Response response = json_response(what.status, body);
  response.headers.set("Cache-Control", "no-store");
  return response;
}

http::Response discovery(const http::Request& request, const ResourceDefaults& defaults,
                         bool is_adfs) {
  const std::string base = base_url(request, defaults);
  const std::string tenant = is_adfs ? "adfs" : defaults.tenant;
  const std::string oauth = base + "/" + tenant + (is_adfs ? "/oauth2" : "/oauth2/v2.0");
  json::Array auth_methods{"client_secret_post", "client_secret_basic"};
  json::Array response_types{"code", "id_token", "code id_token"};
  json::Array subject_types;
  subject_types.emplace_back("pairwise");
  json::Array algorithms;
  algorithms.emplace_back("RS256");
  json::Object body{{"issuer", base + "/" + tenant + (is_adfs ? "" : "/v2.0")},
                    {"authorization_endpoint", oauth + "/authorize"},
                    {"token_endpoint", oauth + "/token"},
                    {"device_authorization_endpoint", oauth + "/devicecode"},
                    {"jwks_uri", base + "/" + tenant + "/discovery/v2.0/keys"},
                    {"token_endpoint_auth_methods_supported", std::move(auth_methods)},
                    {"response_types_supported", std::move(response_types)},
                    {"subject_types_supported", std::move(subject_types)},
                    {"id_token_signing_alg_values_supported", std::move(algorithms)},
                    {"tenant_region_scope", nullptr}};
  return json_response(200, body);
}

// client_secret_basic: "Basic base64(id:secret)", both form-encoded (RFC 6749 section 2.3.1).
struct ClientProof {
  std::string id;
  std::string secret;
};
ClientProof proof_of(const http::Request& request) {
  ClientProof proof{.id = form_value(request.body, "client_id"),
                    .secret = form_value(request.body, "client_secret")};
  const auto header = request.headers.get_or("authorization", "");
  if (!proof.secret.empty() || !starts_with_ignoring_case(header, "Basic ")) return proof;
  const auto decoded = base64_decode(header.substr(6));
  const auto colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return proof;
  return {.id = form_decode(std::string_view(*decoded).substr(0, colon)),
          .secret = form_decode(std::string_view(*decoded).substr(colon + 1))};
}

http::Response token(const http::Request& request, const Resources& resources,
                     std::string_view tenant) {
  const auto& defaults = resources.defaults();
  if (!is_tenant(tenant, defaults)) return oauth_error(kNoTenant, request, resources.clock());
  if (request.body.size() > kFormSizeMax) return oauth_error(kTooLong, request, resources.clock());
  if (form_value(request.body, "grant_type") != "client_credentials")
    return oauth_error(kNoGrant, request, resources.clock());
  const ClientProof proof = proof_of(request);
  if (proof.secret.empty()) return oauth_error(kNoSecret, request, resources.clock());
  std::string scope = form_value(request.body, "scope");
  // The older form of the endpoint names the resource itself.
  if (scope.empty()) scope = form_value(request.body, "resource");
  auto issued = resources.issue_token(proof.id, proof.secret, scope);
  if (!issued) {
    const bool is_scope = issued.error().code == Code::invalid_argument;
    log::warn("resources.token_refused", {{"tracking_id", request.tracking_id},
                                          {"client_id", std::string_view(proof.id).substr(0, 64)},
                                          {"reason", issued.error().message}});
    return oauth_error(is_scope ? kNoScope : kWrongSecret, request, resources.clock());
  }
  json::Object body{{"token_type", "Bearer"},
                    {"expires_in", issued->expires_in_s},
                    {"ext_expires_in", issued->expires_in_s},
                    {"access_token", issued->token}};
  http::Response response = json_response(200, body);
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("Pragma", "no-cache");
  return response;
}

// az cloud register asks with 2015-01-01 and crashes on an array; ARM_CLOUD_METADATA_URL wants the
// array.
http::Response metadata(const http::Request& request, const ResourceDefaults& defaults) {
  const std::string base = base_url(request, defaults);
  const std::string version(request.query_value("api-version").value_or("2015-01-01"));
  json::Array audiences{base + "/", base};
  json::Object authentication{{"loginEndpoint", base + "/adfs"},
                              {"audiences", audiences},
                              {"tenant", defaults.tenant},
                              {"identityProvider", "ADFS"}};
  if (version < "2018") {
    json::Object body{
        {"galleryEndpoint", base},
        {"graphEndpoint", base},
        {"portalEndpoint", base},
        {"authentication", {{"loginEndpoint", base + "/adfs"}, {"audiences", audiences}}}};
    return json_response(200, body);
  }
  const std::string host = base.substr(std::string_view("https://").size());
  json::Object suffixes;
  for (const char* name : {"storage", "keyVaultDns", "sqlServerHostname", "acrLoginServer",
                           "azureDataLakeStoreFileSystem", "azureDataLakeAnalyticsCatalogAndJob"})
    suffixes[name] = host;
  json::Object cloud{
      {"name", "Doppel"}, {"authentication", authentication}, {"suffixes", suffixes}};
  for (const char* name :
       {"portal", "resourceManager", "graph", "graphAudience", "gallery", "media", "batch",
        "sqlManagement", "vmImageAliasDoc", "activeDirectoryDataLake", "microsoftGraphResourceId"})
    cloud[name] = base;
  if (version >= "2022") return json_response(200, cloud);
  json::Array clouds;
  clouds.push_back(std::move(cloud));
  return json_response(200, clouds);
}

}  // namespace

void register_identity_routes(http::Router& router, Resources& resources) {
  const Resources* const all = &resources;
  const auto discover = [all](http::Request request) -> Task<http::Response> {
    const std::string tenant(request.param("tenant"));
    const bool is_adfs = tenant.empty() || equal_ignoring_case(tenant, "adfs");
    if (!is_adfs && !is_tenant(tenant, all->defaults()))
      co_return oauth_error(kNoTenant, request, all->clock());
    co_return discovery(request, all->defaults(), is_adfs);
  };
  const auto issue = [all](http::Request request) -> Task<http::Response> {
    const std::string tenant(request.param("tenant"));
    co_return token(request, *all, tenant.empty() ? "adfs" : tenant);
  };
  constexpr std::string_view kWellKnown = "/.well-known/openid-configuration";
  for (const auto& prefix : {"/adfs", "/adfs/adfs", "/{tenant}", "/{tenant}/v2.0"})
    router.add("GET", std::string(prefix).append(kWellKnown), discover);
  for (const auto& path : {"/adfs/oauth2/token", "/adfs/oauth2/v2.0/token",
                           "/{tenant}/oauth2/v2.0/token", "/{tenant}/oauth2/token"})
    router.add("POST", path, issue);

  // Our tokens are verified by us alone, with a key that is nobody else's, so there are no public
  // keys to show.
  const auto no_keys = [](http::Request) -> Task<http::Response> {
    co_return json_response(200, json::Object{{"keys", json::Array{}}});
  };
  router.add("GET", "/{tenant}/discovery/v2.0/keys", no_keys);

  // Reached only when login.microsoftonline.com itself is redirected to us.
  const auto instance = [all](http::Request request) -> Task<http::Response> {
    const std::string base = base_url(request, all->defaults());
    const std::string host = base.substr(std::string_view("https://").size());
    json::Array aliases;
    aliases.emplace_back(host);
    json::Array known;
    known.push_back(
        {{"preferred_network", host}, {"preferred_cache", host}, {"aliases", std::move(aliases)}});
    json::Object body{{"tenant_discovery_endpoint", base + "/" + all->defaults().tenant +
                                                        "/v2.0/.well-known/openid-configuration"},
                      {"api-version", "1.1"},
                      {"metadata", std::move(known)}};
    co_return json_response(200, body);
  };
  router.add("GET", "/common/discovery/instance", instance);

  const auto describe = [all](http::Request request) -> Task<http::Response> {
    co_return metadata(request, all->defaults());
  };
  router.add("GET", "/metadata/endpoints", describe);
}

}  // namespace doppel::resources::wire
