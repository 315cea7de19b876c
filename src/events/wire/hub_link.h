// What senders and receivers have in common: the event hub they are on, and the claim that let them
// in, both of which may end while the link is open.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "events/api.h"
#include "events/wire/batch_cache.h"
#include "events/wire/directory.h"
#include "events/wire/owners.h"
#include "protocol/amqp/service.h"

namespace doppel::events {

// Of the server's one Event Hubs service; outlives all links.
struct EventHubContext {
  EventLog& log;
  std::function<std::shared_ptr<const resources::Catalog>()> catalog;
  const Clock& clock;
  Random& random;
  std::uint16_t amqp_port = 5671;  // as clients are told
  BatchCache cache{log};
  Owners owners{};
  std::atomic<std::uint32_t> next_partition = 0;  // of senders without partition and key
};

// What a link must go on having.
struct LinkGrant {
  LogName log;
  std::uint64_t generation = 0;
  std::string path;          // the link's address
  std::uint32_t rights = 0;  // one of them is enough
};

// A claim may be taken away, and an event hub deleted, without anything happening on the link.
inline constexpr Duration kLinkCheckEvery = std::chrono::seconds(30);

class HubLink : public amqp::LinkHandler, public std::enable_shared_from_this<HubLink> {
 public:
  HubLink(EventHubContext& context, std::shared_ptr<amqp::Link> link, LinkGrant grant);

  void on_detached(const amqp::Condition* why) override;

 protected:
  // After the attach was answered: looks after the grant from now on.
  void watch();
  // Whether the link may go on; else it is being detached. Cheap while nothing has changed.
  bool is_granted();

  EventHubContext& context() const { return context_; }
  const LinkGrant& grant() const { return grant_; }
  amqp::Link& link() { return *link_; }
  Executor& executor() { return executor_; }
  bool is_over() const { return is_over_; }

 private:
  bool check();

  EventHubContext& context_;
  Executor& executor_;
  std::shared_ptr<amqp::Link> link_;
  LinkGrant grant_;
  // The catalog of the last check, only to be compared: a new one at the same place is noticed by
  // the timer.
  const void* seen_catalog_ = nullptr;
  TimePoint granted_until_{};
  Executor::TimerId timer_ = 0;
  bool is_over_ = false;
};

// The event hub of a grant as it is now; nothing when it is gone.
std::optional<HubView> current_hub(const resources::Catalog& catalog, const LogName& log,
                                   std::uint64_t generation);

amqp::Condition unauthorized(std::string_view host, std::string_view path, std::uint32_t rights);
// Exhaustive over our codes: what a client sees of an error of the log.
amqp::Condition to_condition(const Error& error);

}  // namespace doppel::events
