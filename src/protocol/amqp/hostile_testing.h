// For tests: a server with one link, and a peer whose frames are made by hand and need not be
// right.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"

namespace doppel::amqp::testing {

// A server with one link of handle 0 that takes messages; the peer's frames are made by hand.
struct Hostile {
  explicit Hostile(EngineOptions options = {}) : peer(std::move(options)) {
    peer.container.on_link = [this](std::shared_ptr<Link> asked) {
      links.push_back(asked);
      asked->attach(handler, reply);
    };
  }
  void open(Role role = Role::sender) {
    peer.open();
    peer.send(0, RawPeer::attach_frame("a", 0, role, "eh"));
    peer.frames();
  }
  std::string detached_with() {
    const auto detach = peer.expect<Detach>();
    EXPECT_TRUE(detach.closed);
    return detach.error ? detach.error->condition.text : "";
  }
  std::string ended_with() {
    const auto end = peer.expect<End>();
    return end.error ? end.error->condition.text : "";
  }

  RawPeer peer;
  AttachReply reply;
  std::shared_ptr<TestHandler> handler = std::make_shared<TestHandler>();
  std::vector<std::shared_ptr<Link>> links;
};

}  // namespace doppel::amqp::testing
