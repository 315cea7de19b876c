// JSON Web Tokens (RFC 7519, JWS compact form), signed with HMAC-SHA256 under a key only this
// server has: issuing our own bearer tokens and verifying them. A token names its algorithm, but
// the verifier decides: anything but HS256 with our key id is refused, "none" first of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace doppel::security {

inline constexpr std::size_t kJwtSizeMax = 16 * 1024;            // bytes of the whole token
inline constexpr Duration kJwtLeeway = std::chrono::minutes(5);  // for clocks that differ
inline constexpr std::size_t kVerifiedTokensMax = 4096;          // kept, oldest go first

struct Claims {
  std::string issuer;     // iss
  std::string audience;   // aud, e.g. "https://digitaltwins.azure.net"
  std::string tenant;     // tid
  std::string object_id;  // oid, also sub
  std::string client_id;  // appid, azp
  std::vector<std::string> roles;
  TimePoint not_before{};  // nbf, iat
  TimePoint expires{};     // exp

  bool operator==(const Claims&) const = default;
};

class TokenSigner {
 public:
  // `key`: at least 32 bytes. `issuer` is what verify() insists on.
  TokenSigner(std::string key, std::string issuer);

  // The issuer is set by the signer.
  std::string issue(Claims claims) const;

  // Errors: unauthenticated, with the reason for the log. Any thread.
  Result<Claims> verify(std::string_view token, TimePoint now, Duration leeway = kJwtLeeway) const;

  const std::string& issuer() const { return issuer_; }

 private:
  std::string key_;
  std::string key_id_;
  std::string issuer_;
};

// Remembers tokens that were verified, until they expire: a hit costs one hash and one comparison.
// Any thread.
class TokenCache {
 public:
  explicit TokenCache(const TokenSigner& signer, std::size_t size_max = kVerifiedTokensMax)
      : signer_(signer), size_max_(size_max) {}
  Result<std::shared_ptr<const Claims>> verify(std::string_view token, TimePoint now);
  std::size_t size() const;

 private:
  using Order = std::list<std::string>;  // oldest first
  struct Kept {
    std::shared_ptr<const Claims> claims;
    Order::iterator place;
  };
  const TokenSigner& signer_;
  const std::size_t size_max_;
  mutable std::mutex mutex_;
  Order order_;
  std::unordered_map<std::string, Kept> kept_;  // by SHA-256 of the token
};

}  // namespace doppel::security
