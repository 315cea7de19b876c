#include "provisioning/tpm_challenges.h"

#include "base/bytes.h"
#include "errors/dps.h"
#include "security/keys.h"
#include "security/sas.h"

namespace doppel::provisioning {

TpmChallenges::TpmChallenges(const Clock& clock, Random& random)
    : clock_(clock), secret_(random.bytes(kTpmChallengeKeySize)) {}

std::int64_t TpmChallenges::window() const {
  return clock_.steady().time_since_epoch() / kTpmChallengeWindow;
}

bool TpmChallenges::is_recent(const Device& device) const {
  return clock_.steady() - device.last_use <= kTpmUseKept;
}

std::string TpmChallenges::derive(const std::string& subject, const TpmKeys& keys,
                                  std::int64_t window, std::uint32_t generation) const {
  // Parts of a fixed size, so that no two devices make the same text.
  std::string text = security::sha256(subject) + security::sha256(keys.endorsement_key) +
                     security::sha256(keys.storage_root_key);
  append_be(text, static_cast<std::uint64_t>(window));
  append_be(text, generation);
  return security::hmac_sha256(secret_, text);
}

std::string TpmChallenges::key_for(const std::string& subject, const TpmKeys& keys) const {
  std::uint32_t generation = 0;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = devices_.find(subject);
    if (at != devices_.end() && is_recent(at->second)) generation = at->second.generation;
  }
  return derive(subject, keys, window(), generation);
}

std::optional<std::string> TpmChallenges::find(const std::string& subject, const TpmKeys* keys,
                                               const Verifies& verifies) const {
  std::vector<std::uint32_t> generations;
  std::vector<std::string> candidates;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = devices_.find(subject);
    if (at != devices_.end()) {
      generations.push_back(at->second.generation);
      if (is_recent(at->second)) {
        for (const Use& use : at->second.uses) candidates.insert(candidates.begin(), use.key);
      }
    }
    // What key_for counts on for a device that is new, or was not here for long: no key of its
    // earlier uses is as young as a challenge may be.
    if (at == devices_.end() || !is_recent(at->second)) generations.push_back(0);
  }
  if (keys != nullptr) {
    std::vector<std::string> pending;
    for (const auto generation : generations) {
      pending.push_back(derive(subject, *keys, window(), generation));
      pending.push_back(derive(subject, *keys, window() - 1, generation));
    }
    candidates.insert(candidates.begin(), pending.begin(), pending.end());
  }
  for (std::string& key : candidates) {
    if (verifies(key)) return std::move(key);
  }
  return std::nullopt;
}

Status TpmChallenges::use(const std::string& subject, const std::string& key,
                          const std::shared_ptr<Operation>& operation) {
  const std::scoped_lock lock(mutex_);
  forget_old();
  const auto at = devices_.find(subject);
  if (at == devices_.end() && devices_.size() >= kTpmDevicesMax) {
    return fail(errors::dps::kThrottled, "too many TPMs were proven a short while ago");
  }
  Device& device = at != devices_.end() ? at->second : devices_[subject];
  for (Use& use : device.uses) {
    if (use.key != key) continue;
    const auto spent_on = use.operation.lock();
    if (spent_on == operation) return {};
    const auto result = spent_on ? spent_on->result() : std::nullopt;
    const bool may_repeat = spent_on && result && !result->has_value();
    if (!may_repeat) {
      return fail(errors::dps::kUnauthorized, "the challenge was answered once already");
    }
    use.operation = operation;
    return {};
  }
  device.uses.push_back({key, operation});
  if (device.uses.size() > kTpmUsesPerDeviceMax) device.uses.pop_front();
  ++device.generation;
  device.last_use = clock_.steady();
  used_.emplace_back(device.last_use, subject);
  return {};
}

void TpmChallenges::forget_old() {
  const auto now = clock_.steady();
  while (!used_.empty() && now - used_.front().first > kTpmDeviceKept) {
    const auto at = devices_.find(used_.front().second);
    if (at != devices_.end() && at->second.last_use == used_.front().first) devices_.erase(at);
    used_.pop_front();
  }
}

std::size_t TpmChallenges::devices() const {
  const std::scoped_lock lock(mutex_);
  return devices_.size();
}

}  // namespace doppel::provisioning
