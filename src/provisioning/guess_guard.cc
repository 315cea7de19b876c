#include "provisioning/guess_guard.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"

namespace doppel::provisioning {
namespace {

// Without port and brackets; a link-local address keeps its zone out of the comparison.
std::string_view host_of(std::string_view peer) {
  if (peer.starts_with('[')) {
    const auto end = peer.find(']');
    return end == peer.npos ? std::string_view() : peer.substr(1, end - 1);
  }
  if (std::ranges::count(peer, ':') == 1) return peer.substr(0, peer.find(':'));
  return peer;
}

metrics::Counter& failed_counter() {
  static metrics::Counter& counter =
      metrics::counter("doppel_provisioning_failed_proofs_total", "Proofs of devices that failed");
  return counter;
}
metrics::Counter& turned_away_counter() {
  static metrics::Counter& counter =
      metrics::counter("doppel_provisioning_turned_away_total",
                       "Requests not looked at, because their address had too many failed proofs");
  return counter;
}

}  // namespace

std::string GuessGuard::source_of(std::string_view peer) {
  std::string host(host_of(peer));
  host = host.substr(0, host.find('%'));
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return host;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return {};
  const std::string_view bytes(reinterpret_cast<const char*>(v6.s6_addr), sizeof(v6.s6_addr));
  if (IN6_IS_ADDR_V4MAPPED(&v6) != 0) {
    return fmt::format("{}.{}.{}.{}", v6.s6_addr[12], v6.s6_addr[13], v6.s6_addr[14],
                       v6.s6_addr[15]);
  }
  if (IN6_IS_ADDR_LOOPBACK(&v6) != 0) return "::1";
  return hex_encode(bytes.substr(0, 8)) + "/64";
}

GuessGuard::Bucket* GuessGuard::Table::find(const std::string& key, SteadyTime now) {
  const auto at = buckets.find(key);
  if (at == buckets.end()) return nullptr;
  Bucket& bucket = at->second;
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - bucket.at).count();
  bucket.credit = std::min(at_once, bucket.credit + minutes * per_minute);
  bucket.at = now;
  ages.splice(ages.end(), ages, bucket.age);
  return &bucket;
}

GuessGuard::Bucket& GuessGuard::Table::ensure(const std::string& key, SteadyTime now) {
  if (Bucket* known = find(key, now)) return *known;
  if (buckets.size() >= items_max) {
    buckets.erase(ages.front());
    ages.pop_front();
  }
  ages.push_back(key);
  return buckets.emplace(key, Bucket{at_once, now, std::prev(ages.end())}).first->second;
}

bool GuessGuard::is_limited(std::string_view peer) const {
  if (limits_.failures_per_minute <= 0) return false;
  const std::string_view host = host_of(peer);
  if (host.empty()) return false;  // not an address that anybody could be told from others by
  if (limits_.counts_loopback) return true;
  return !(host.starts_with("127.") || host == "::1" || host.starts_with("::ffff:127."));
}

bool GuessGuard::admits(std::string_view peer, std::string_view subject) {
  if (!is_limited(peer)) return true;
  const std::string source = source_of(peer);
  const SteadyTime now = clock_.steady();
  const std::lock_guard lock(mutex_);
  const Bucket* bucket = sources_.find(source, now);
  if (bucket == nullptr || bucket->credit >= 1) return true;
  const Bucket* device = devices_.find(fmt::format("{} {}", source, to_lower(subject)), now);
  if (device != nullptr && device->credit >= 1) return true;
  turned_away_counter().add();
  ++turned_away_;
  last_source_ = source;
  report(now);
  return false;
}

void GuessGuard::failed(std::string_view peer, std::string_view subject) {
  failed_counter().add();
  if (!is_limited(peer)) return;
  const std::string source = source_of(peer);
  const SteadyTime now = clock_.steady();
  const std::lock_guard lock(mutex_);
  // Calls that came at the same time may overdraw; the floor bounds how long that is paid back.
  Bucket& bucket = sources_.ensure(source, now);
  bucket.credit = std::max(bucket.credit - 1, -limits_.failures_at_once);
  if (Bucket* device = devices_.find(fmt::format("{} {}", source, to_lower(subject)), now)) {
    device->credit = std::max(device->credit - 1, -kGuessDeviceAtOnce);
  }
  ++failures_;
  last_source_ = source;
  report(now);
}

void GuessGuard::proven(std::string_view peer, std::string_view subject) {
  if (!is_limited(peer)) return;
  const std::string source = source_of(peer);
  const SteadyTime now = clock_.steady();
  const std::lock_guard lock(mutex_);
  devices_.ensure(fmt::format("{} {}", source, to_lower(subject)), now);
}

// One line a minute: whoever fills the log with guesses hides something.
void GuessGuard::report(SteadyTime now) {
  if (reported_ != SteadyTime{} && now - reported_ < kGuessLogEvery) return;
  reported_ = now;
  log::warn("provisioning.failed_proofs", {{"failed", failures_},
                                           {"turned_away", turned_away_},
                                           {"sources", sources_.buckets.size()},
                                           {"last_source", last_source_}});
  failures_ = 0;
  turned_away_ = 0;
}

std::size_t GuessGuard::sources() const {
  const std::lock_guard lock(mutex_);
  return sources_.buckets.size();
}

std::size_t GuessGuard::devices() const {
  const std::lock_guard lock(mutex_);
  return devices_.buckets.size();
}

}  // namespace doppel::provisioning
