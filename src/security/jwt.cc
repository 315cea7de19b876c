#include "security/jwt.h"

#include <optional>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "json/value.h"
#include "security/keys.h"
#include "security/sas.h"

namespace doppel::security {
namespace {

// Claims of ours are flat; a deep document is somebody trying.
constexpr json::ParseLimits kLimits{.depth_max = 4, .size_max = kJwtSizeMax};
// Beyond what the clock can hold; such a time would overflow into the past.
constexpr std::int64_t kUnixSecondsMax = 9'000'000'000;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::unauthenticated, std::move(why));
}

std::optional<json::Value> decode_part(std::string_view part) {
  const auto text = base64url_decode(part);
  if (!text) return std::nullopt;
  auto value = json::parse(*text, kLimits);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(*value);
}

std::optional<TimePoint> time_claim(const json::Value& claims, std::string_view name) {
  const auto* value = json::find(claims, name);
  if (value == nullptr) return std::nullopt;
  const auto seconds = json::to_int64(*value);
  if (!seconds || *seconds < 0 || *seconds > kUnixSecondsMax) return std::nullopt;
  return from_unix_seconds(*seconds);
}

Result<Claims> read_claims(const json::Value& body) {
  Claims claims;
  claims.issuer = json::get_string_or(body, "iss", "");
  claims.audience = json::get_string_or(body, "aud", "");
  claims.tenant = json::get_string_or(body, "tid", "");
  claims.object_id = json::get_string_or(body, "oid", "");
  claims.client_id = json::get_string_or(body, "appid", "");
  if (const auto* roles = json::find(body, "roles")) {
    if (!roles->is_array()) return refuse("JWT: roles is not an array");
    for (const auto& role : roles->get_array()) {
      if (!json::is_string(role)) return refuse("JWT: a role is not a string");
      claims.roles.emplace_back(json::view(role.get_string()));
    }
  }
  const auto expires = time_claim(body, "exp");
  const auto not_before = time_claim(body, "nbf");
  if (!expires || !not_before) return refuse("JWT: exp or nbf is missing or not a time");
  claims.expires = *expires;
  claims.not_before = *not_before;
  return claims;
}

}  // namespace

TokenSigner::TokenSigner(std::string key, std::string issuer)
    : key_(std::move(key)),
      key_id_(base64url_encode(sha256("doppel token key id\n" + key_).substr(0, 12))),
      issuer_(std::move(issuer)) {
  check(key_.size() >= 32, "a token key has at least 32 bytes");
}

std::string TokenSigner::issue(Claims claims) const {
  const json::Value header = {{"typ", "JWT"}, {"alg", "HS256"}, {"kid", key_id_}};
  json::Array roles;
  for (const auto& role : claims.roles) roles.emplace_back(role);
  const json::Value body = {
      {"aud", claims.audience},
      {"iss", issuer_},
      {"iat", to_unix_seconds(claims.not_before)},
      {"nbf", to_unix_seconds(claims.not_before)},
      {"exp", to_unix_seconds(claims.expires)},
      {"appid", claims.client_id},
      {"azp", claims.client_id},
      {"oid", claims.object_id},
      {"sub", claims.object_id},
      {"tid", claims.tenant},
      {"roles", std::move(roles)},
      {"ver", "1.0"},
  };
  std::string token =
      base64url_encode(json::write(header)) + "." + base64url_encode(json::write(body));
  const std::string signature = base64url_encode(hmac_sha256(key_, token));
  return token.append(".").append(signature);
}

Result<Claims> TokenSigner::verify(std::string_view token, TimePoint now, Duration leeway) const {
  if (token.size() > kJwtSizeMax) return refuse("JWT: too long");
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == token.npos || first == last || token.find('.', first + 1) != last)
    return refuse("JWT: not three parts");

  // The signature before anything inside is believed or even parsed.
  const auto signature = base64url_decode(token.substr(last + 1));
  if (!signature || !constant_time_equal(hmac_sha256(key_, token.substr(0, last)), *signature))
    return refuse("JWT: the signature is not ours");

  const auto header = decode_part(token.substr(0, first));
  if (!header || json::get_string_or(*header, "alg", "") != "HS256" ||
      json::get_string_or(*header, "kid", "") != key_id_)
    return refuse("JWT: not our algorithm and key");
  const auto body = decode_part(token.substr(first + 1, last - first - 1));
  if (!body) return refuse("JWT: the claims are not a JSON object");

  auto claims = read_claims(*body);
  if (!claims) return claims;
  if (claims->issuer != issuer_) return refuse("JWT: another issuer");
  if (now >= claims->expires + leeway) return refuse("JWT: expired");
  if (now + leeway < claims->not_before) return refuse("JWT: not valid yet");
  return claims;
}

Result<std::shared_ptr<const Claims>> TokenCache::verify(std::string_view token, TimePoint now) {
  // Kept under a hash, so that a dump of the process's memory holds no list of usable tokens.
  const std::string name = sha256(token);
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = kept_.find(name); at != kept_.end()) {
      if (now < at->second.claims->expires) return at->second.claims;
      order_.erase(at->second.place);
      kept_.erase(at);
    }
  }
  auto claims = signer_.verify(token, now);
  if (!claims) return fail(std::move(claims.error()));
  auto shared = std::make_shared<const Claims>(std::move(*claims));
  // Within the leeway around its times a token is checked each time and not kept.
  if (now >= shared->expires || now < shared->not_before) return shared;
  const std::lock_guard lock(mutex_);
  if (kept_.contains(name)) return shared;
  order_.push_back(name);
  kept_.emplace(name, Kept{.claims = shared, .place = std::prev(order_.end())});
  if (kept_.size() > size_max_) {
    kept_.erase(order_.front());
    order_.pop_front();
  }
  return shared;
}

std::size_t TokenCache::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

}  // namespace doppel::security
