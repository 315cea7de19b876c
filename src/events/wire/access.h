// What a token or a key proves to Event Hubs, and whether that is enough for a link or a request
// (docs/wire/event-hubs.md, "Who may do what").
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "events/wire/directory.h"
#include "protocol/amqp/claims.h"
#include "protocol/amqp/service.h"
#include "resources/api.h"

namespace doppel::events {

// What is behind a claim of this service.
struct EventClaim final : amqp::ClaimDetails {
  std::string space{};      // the namespace whose key it is, or "hub:<name>" of an IoT hub
  std::string event_hub{};  // of an event hub's own rule: its name; else empty
  std::optional<resources::Principal> principal{};  // of a bearer token: its roles decide
};

using BearerCheck = std::function<Result<resources::Principal>(std::string_view header)>;

// Verifies what a client put on $cbs for `audience`. `type` is not looked at: Python's
// azure-eventhub 5.11 calls a SAS token "jwt". Errors: unauthenticated; not_found when the
// namespace is proven and has no such event hub, with the text that clients recognise.
Result<amqp::Claim> verify_token(const resources::Catalog& catalog, const BearerCheck& bearer,
                                 std::string_view audience, std::string_view token, TimePoint now);

// The claims that a rule's name and key are good for, as SASL PLAIN brings them: for everything of
// its namespace or event hub, for as long as the connection lasts. Also the service policies of IoT
// hubs, whose built-in endpoint is reached by a redirect. Empty: refused. Constant time in the
// keys.
std::vector<amqp::Claim> verify_plain(const resources::Catalog& catalog, std::string_view user,
                                      std::string_view password, TimePoint now);

// Whether one of `claims` has one of `rights` (bits of ClaimRights) on `path` of `hub`: the claim,
// else null. The path is a link's address, "eh1/Partitions/0". Valid until the claims change.
const amqp::Claim* find_claim(const amqp::Claims& claims, const HubView& hub, std::string_view path,
                              std::uint32_t rights, TimePoint now);
// The IoT hub whose built-in endpoint a claim lets the peer read, coming by the hub's own address
// "messages/events"; null: none. Lives as long as the catalog.
const resources::Hub* find_redirected(const amqp::Claims& claims, const resources::Catalog& catalog,
                                      std::string_view path, TimePoint now);
// Whether a valid claim is on a namespace as a whole or on a token's word: then it may be told that
// an event hub does not exist.
bool may_know_names(const amqp::Claims& claims, TimePoint now);

// What clients recognise as "no such entity" (Node: by this text).
std::string not_found_text(std::string_view host, std::string_view name);

// Rights, as ClaimRights, that the Authorization header of an HTTP request has on an event hub, or
// why none. Errors: unauthenticated, forbidden (proven, but without `right`).
Status authorize_header(const HubView& hub, const BearerCheck& bearer, std::string_view header,
                        std::string_view path, std::uint32_t right, TimePoint now);

}  // namespace doppel::events
