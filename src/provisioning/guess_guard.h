// Slows down whoever tries proofs until one fits. Counts failed proofs by source address, over all
// transports.
//
// A failed proof is always answered with 401, which every SDK takes for final (dps.md rule 17). But
// an address that has used up its failures has its proofs no longer looked at: such a call is
// answered with 429, and that is true to the rule, because whether it will pass is not known; it is
// looked at when the address has credit again, and then gets its 401 or its hub. A 401 without a
// look would end the only try of a good device behind the same NAT.
//
// A device that proved itself from an address lately has a small credit of its own there, so that
// neighbours who guess never lock it out; whoever guesses at that device's ID uses up just that.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace doppel::provisioning {

struct GuessLimits {
  double failures_per_minute = 60;  // credit that comes back; 0: no limit at all
  double failures_at_once = 100;    // credit of an address that had no failure for long
  bool counts_loopback = false;     // everybody on the machine shares that address
};

inline constexpr std::size_t kGuessSourcesMax = 10'000;  // addresses remembered; oldest go first
inline constexpr std::size_t kGuessDevicesMax = 50'000;  // (address, ID) pairs that were proven
inline constexpr double kGuessDeviceAtOnce = 10;         // failures of such a pair
inline constexpr double kGuessDevicePerMinute = 6;       //
inline constexpr Duration kGuessLogEvery = std::chrono::minutes(1);

// Any thread.
class GuessGuard {
 public:
  explicit GuessGuard(const Clock& clock) : GuessGuard(clock, GuessLimits{}) {}
  GuessGuard(const Clock& clock, GuessLimits limits) : clock_(clock), limits_(limits) {}

  // Whether a proof that comes from `peer` ("127.0.0.1:51234", "[::1]:443") for `subject` (instance
  // and registration ID) shall be looked at now.
  bool admits(std::string_view peer, std::string_view subject);
  void failed(std::string_view peer, std::string_view subject);
  void proven(std::string_view peer, std::string_view subject);

  // The part of an address that one owner has: an IPv4 address, the first 64 bits of an IPv6 one.
  // Empty for what is no address.
  static std::string source_of(std::string_view peer);

  std::size_t sources() const;
  std::size_t devices() const;

 private:
  struct Bucket {
    double credit = 0;
    SteadyTime at{};  // when `credit` was right
    std::list<std::string>::iterator age;
  };
  // A table that forgets what was not used for longest.
  struct Table {
    std::size_t items_max;
    double at_once;
    double per_minute;
    std::unordered_map<std::string, Bucket> buckets{};
    std::list<std::string> ages{};  // oldest first

    Bucket* find(const std::string& key, SteadyTime now);  // null: nothing is known
    Bucket& ensure(const std::string& key, SteadyTime now);
  };
  bool is_limited(std::string_view peer) const;
  void report(SteadyTime now);

  const Clock& clock_;
  const GuessLimits limits_;
  mutable std::mutex mutex_;
  Table sources_{kGuessSourcesMax, limits_.failures_at_once, limits_.failures_per_minute};
  Table devices_{kGuessDevicesMax, kGuessDeviceAtOnce, kGuessDevicePerMinute};
  // Since the last line in the log.
  SteadyTime reported_{};
  std::uint64_t failures_ = 0;
  std::uint64_t turned_away_ = 0;
  std::string last_source_;
};

}  // namespace doppel::provisioning
