// What the peer of one connection has proved: the tokens it put on $cbs, and the rule or device it
// named in SASL PLAIN. All services on the connection read it; $cbs and the SASL answer write it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace doppel::amqp {

// More than a verifier wants services to know of a claim; each kind derives from this.
struct ClaimDetails {
  virtual ~ClaimDetails() = default;
};

// One thing proved. Who verifies (server/) and who reads (the services) agree on `rights`.
struct Claim {
  std::string resource;      // as resource_of() gives it: "localhost/eh1"; empty: everything
  std::string principal;     // rule name, device id or object id: for logs and checks
  std::uint32_t rights = 0;  // bits, see ClaimRights
  TimePoint expires_at = TimePoint::max();
  std::shared_ptr<const ClaimDetails> details{};
};

// Bits of Claim::rights that every service understands.
struct ClaimRights {
  static constexpr std::uint32_t kListen = 1;
  static constexpr std::uint32_t kSend = 2;
  static constexpr std::uint32_t kManage = 4;
};

// As many as one connection may have links; more are refused.
inline constexpr std::size_t kClaimsMax = 5000;

// One thread: the connection's.
class Claims {
 public:
  // Replaces the claim of the same resource. False: kClaimsMax is reached.
  bool put(Claim claim);
  void remove(std::string_view resource);

  // A claim that covers `resource`, has all bits of `rights` and is valid at `now`; of several the
  // one that lasts longest. Null: none. Valid until the next put() or remove().
  const Claim* find(std::string_view resource, std::uint32_t rights, TimePoint now) const;

  std::size_t size() const { return claims_.size(); }
  auto begin() const { return claims_.begin(); }
  auto end() const { return claims_.end(); }

 private:
  std::vector<Claim> claims_;
};

}  // namespace doppel::amqp
