// Keys for the challenges of TPM attestation: a device that can sign with the key it was sent in a
// blob for its TPM has that TPM (dps.md section 2.4).
//
// Nothing is kept for a challenge that nobody has answered. Its key follows from a secret of this
// process, the device, its TPM's keys and the time, so whoever asks for challenges in another's
// name can neither fill the memory nor push out a challenge under way. Only keys that were used are
// remembered, and only who has the TPM can use one. A key is good for one registration: a second
// one is refused, but for a repetition while the first still runs or after it ended with an error
// that may pass. It goes on authorizing polls.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "provisioning/operations.h"

namespace doppel::provisioning {

// A challenge is good for one to two of these. A TPM needs seconds to answer.
inline constexpr Duration kTpmChallengeWindow = std::chrono::seconds(150);
// How long a used key authorizes polls; longer than a challenge lives, or a key could be used
// twice.
inline constexpr Duration kTpmUseKept = kFinishedOperationKept;
static_assert(kTpmUseKept > 2 * kTpmChallengeWindow);
// A device is forgotten later than its uses, so that a challenge from before is still known by
// them.
inline constexpr Duration kTpmDeviceKept = kTpmUseKept + 2 * kTpmChallengeWindow;
inline constexpr std::size_t kTpmUsesPerDeviceMax = 4;   // the newest; others poll no more
inline constexpr std::size_t kTpmDevicesMax = 100'000;   // with a used key; beyond: throttled
inline constexpr std::size_t kTpmChallengeKeySize = 32;  // bytes

// The public keys of a TPM, as a device presents them: each the bytes of a TPM2B_PUBLIC.
struct TpmKeys {
  std::string endorsement_key{};
  std::string storage_root_key{};
};

// Any thread.
class TpmChallenges {
 public:
  TpmChallenges(const Clock& clock, Random& random);

  // The key for a challenge that is sent now. `subject`: instance and registration ID.
  std::string key_for(const std::string& subject, const TpmKeys& keys) const;

  // The key of `subject` that `verifies`: one of a challenge to the TPM with `keys` (null: none)
  // that was not used yet, or a used one. Nothing when there is none.
  using Verifies = std::function<bool(std::string_view key)>;
  std::optional<std::string> find(const std::string& subject, const TpmKeys* keys,
                                  const Verifies& verifies) const;

  // Spends a key that find() gave on a registration. Errors: Unauthorized when it was spent on
  // another; throttled.
  Status use(const std::string& subject, const std::string& key,
             const std::shared_ptr<Operation>& operation);

  std::size_t devices() const;  // with used keys

 private:
  struct Use {
    std::string key;
    std::weak_ptr<Operation> operation;
  };
  struct Device {
    std::uint32_t generation = 0;  // counts the uses: every one makes the keys before it worthless
    std::deque<Use> uses;
    SteadyTime last_use{};
  };
  std::string derive(const std::string& subject, const TpmKeys& keys, std::int64_t window,
                     std::uint32_t generation) const;
  std::int64_t window() const;
  bool is_recent(const Device& device) const;
  void forget_old();

  const Clock& clock_;
  const std::string secret_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Device> devices_;
  std::deque<std::pair<SteadyTime, std::string>> used_;  // oldest first
};

}  // namespace doppel::provisioning
