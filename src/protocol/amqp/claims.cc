#include "protocol/amqp/claims.h"

#include <algorithm>
#include <utility>

#include "protocol/amqp/address.h"

namespace doppel::amqp {

bool Claims::put(Claim claim) {
  const auto same = std::find_if(claims_.begin(), claims_.end(),
                                 [&](const Claim& c) { return c.resource == claim.resource; });
  if (same != claims_.end()) {
    *same = std::move(claim);
    return true;
  }
  if (claims_.size() >= kClaimsMax) return false;
  claims_.push_back(std::move(claim));
  return true;
}

void Claims::remove(std::string_view resource) {
  std::erase_if(claims_, [&](const Claim& c) { return c.resource == resource; });
}

const Claim* Claims::find(std::string_view resource, std::uint32_t rights, TimePoint now) const {
  const Claim* best = nullptr;
  for (const auto& claim : claims_) {
    if ((claim.rights & rights) != rights || claim.expires_at <= now) continue;
    if (!covers(claim.resource, resource)) continue;
    if (best == nullptr || claim.expires_at > best->expires_at) best = &claim;
  }
  return best;
}

}  // namespace doppel::amqp
