// Subscriptions of identities that connected with CleanSession 0, kept over their connections.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "hub/api.h"

namespace doppel::hub {

inline constexpr std::size_t kKeptSubscriptionsMax =
    200'000;  // identities; the longest unused go first

// Any thread.
class KeptSubscriptions {
 public:
  void keep(const HubName& hub, const Identity& identity, std::uint8_t subscriptions);
  // What is kept for this generation of the identity; nothing: no session.
  std::optional<std::uint8_t> find(const HubName& hub, const Identity& identity);
  void forget(const HubName& hub, const Identity& identity);

 private:
  static std::string key(const HubName& hub, const Identity& identity);
  struct Kept {
    std::uint8_t subscriptions;
    std::list<std::string>::iterator place;
  };

  std::mutex mutex_;
  std::unordered_map<std::string, Kept> kept_;
  std::list<std::string> by_use_;  // longest unused first
};

}  // namespace doppel::hub
