// Approval mode: devices of an enrollment group with `"approval": "required"` prove themselves and
// then wait until a person lets them in or turns them away (docs/concepts/provisioning.md).
//
// What waits is durable: {"dps", <instance>, "approval", <registration ID>} holds one Approval. It
// goes when the device is assigned, in the same commit as its registration record; from then on the
// record itself says that the group's device was let in. Deleting the record means asking again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "json/value.h"
#include "provisioning/enrollments.h"
#include "provisioning/prover.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::provisioning {

inline constexpr std::size_t kApprovalsMax = 10'000;           // of one instance, decided ones too
inline constexpr std::size_t kApprovalPayloadMax = 16 * 1024;  // bytes of JSON kept for later
inline constexpr int kApprovalRetryAfterS = 10;                // seconds; told to who waits

enum class ApprovalState : std::uint8_t { pending, approved, rejected };
std::string_view to_string(ApprovalState state);
std::optional<ApprovalState> parse_approval_state(std::string_view text);  // any case

struct Approval {
  RegistrationId id;  // as the device spelled it
  std::string group;
  ApprovalState state = ApprovalState::pending;
  std::string api_version;             // of the register call, for when it goes on
  std::optional<json::Value> payload;  // of the register call, too
  std::string csr;                     // likewise: base64 of DER; empty: none
  std::string proof;                   // for the person who decides: "symmetricKey", ...
  TimePoint requested{};
  TimePoint decided{};
  std::string decided_by;
};

std::string encode(const Approval& approval);
// Errors: internal, for what encode never writes.
Result<Approval> decode_approval(std::string_view stored);
// As the service API shows it: a registration state whose status is "assigning", with `approval`.
json::Object state_json(const Approval& approval);

// ---- Parts of a registration ----

// What a register call finds: let in (or nobody need ask), or still waiting. Errors:
// RegistrationRejected; Throttled when too many wait; TooLarge for a payload that cannot be kept.
struct ApprovalRequest {
  Instance instance;
  Approval wanted;  // as it is written when nobody asked before
};
Task<Result<ApprovalState>> ask_approval(store::Store& store, ApprovalRequest request);

// Within the transaction that assigns: whether the device is let in; the commit depends on it.
Task<Result<bool>> is_approved(store::Transaction& tx, std::string instance, std::string group,
                               std::string id);
// Takes an approval away, if there is one, with the count of them.
Task<Status> erase_approval(store::Transaction& tx, std::string instance, std::string id);

// ---- For operators ----

class Approvals {
 public:
  Approvals(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Nothing when nobody asked.
  Task<Result<std::optional<Approval>>> find(Instance instance, std::string id) const;
  // In the order of IDs. `state`: nothing for all.
  Task<Result<Page>> list(Instance instance, std::optional<ApprovalState> state,
                          PageRequest request) const;
  // Both may be repeated, and either may follow the other. Errors: RegistrationNotFound when
  // nobody asked (or the device is assigned already).
  Task<Result<Approval>> decide(Instance instance, std::string id, ApprovalState decision,
                                std::string by);

 private:
  store::Store& store_;
  const Clock& clock_;
};

}  // namespace doppel::provisioning
