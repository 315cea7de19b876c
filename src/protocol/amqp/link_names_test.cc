// What an attach names: links of one name, names and addresses of any length, none at all.
#include <string>

#include <gtest/gtest.h>

#include "protocol/amqp/hostile_testing.h"

namespace doppel::amqp {
namespace {

using testing::Hostile;
using testing::RawPeer;

struct LinkNamesTest : ::testing::Test, Hostile {
  // What a refused attach is answered with; the link keeps the connection open.
  std::string refusal_of(const Attach& attach) {
    peer.open();
    peer.send(0, attach);
    const auto why = detached_with();
    EXPECT_TRUE(links.empty());
    EXPECT_TRUE(peer.server.engine->is_open());
    return why;
  }
};

// 2.6.1: one link of a name between two containers.
TEST_F(LinkNamesTest, ANewerLinkTakesItsNameOnTheSession) {
  open();
  peer.send(0, RawPeer::attach_frame("a", 1, Role::sender, "eh"));
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 3u);  // detach of the one; attach of the other, and its credit
  const auto& detach = std::get<Detach>(frames[0].performative);
  EXPECT_EQ(detach.error->condition, "amqp:link:stolen");
  EXPECT_EQ(std::get<Attach>(frames[1].performative).name, "a");
  EXPECT_FALSE(links[0]->is_attached());
  EXPECT_TRUE(links[1]->is_attached());
  peer.send(0, RawPeer::transfer_frame(1, 0), "m");
  EXPECT_EQ(handler->messages.size(), 1u);
}

// Whoever has a place because of the older link gives it up before the newer one asks for it.
TEST_F(LinkNamesTest, TheOlderLinksServiceKnowsBeforeTheNewerIsOffered) {
  int detached_before = -1;
  open();
  peer.container.on_link = [&](std::shared_ptr<Link> asked) {
    detached_before = handler->detached_calls;
    asked->attach(std::make_shared<testing::TestHandler>(), {});
  };
  peer.send(0, RawPeer::attach_frame("a", 1, Role::sender, "eh"));
  EXPECT_EQ(detached_before, 1);
}

TEST_F(LinkNamesTest, NamesOfOtherDirectionsAndSessionsAreOthers) {
  open();
  peer.send(0, RawPeer::attach_frame("a", 1, Role::receiver, "eh"));
  peer.send(7, Begin{});
  peer.send(7, RawPeer::attach_frame("a", 0, Role::sender, "eh"));
  ASSERT_EQ(links.size(), 3u);
  for (const auto& link : links) EXPECT_TRUE(link->is_attached());
}

TEST_F(LinkNamesTest, ANameIsFreeAgainAfterTheDetach) {
  open();
  Detach detach;
  detach.closed = true;
  peer.send(0, detach);
  peer.frames();
  peer.send(0, RawPeer::attach_frame("a", 0, Role::sender, "eh"));
  EXPECT_EQ(peer.expect<Attach>().name, "a");
  EXPECT_TRUE(links[1]->is_attached());
}

TEST_F(LinkNamesTest, RefusesASenderThatNamesNoNode) {
  EXPECT_EQ(refusal_of(RawPeer::attach_frame("a", 0, Role::sender, "")), "amqp:invalid-field");
}

TEST_F(LinkNamesTest, RefusesAReceiverWithoutAnAddress) {
  auto attach = RawPeer::attach_frame("a", 0, Role::receiver, "eh");
  attach.source = Source{};
  EXPECT_EQ(refusal_of(attach), "amqp:invalid-field");
}

TEST_F(LinkNamesTest, RefusesAReceiverWithoutASource) {
  auto attach = RawPeer::attach_frame("a", 0, Role::receiver, "eh");
  attach.source = {};
  EXPECT_EQ(refusal_of(attach), "amqp:invalid-field");
}

TEST_F(LinkNamesTest, MakesNoNodesOnDemand) {
  auto attach = RawPeer::attach_frame("a", 0, Role::receiver, "eh");
  Source source;
  source.dynamic = true;
  attach.source = source;
  EXPECT_EQ(refusal_of(attach), "amqp:not-implemented");
}

TEST_F(LinkNamesTest, RefusesNamesThatAreTooLong) {
  EXPECT_EQ(refusal_of(RawPeer::attach_frame(std::string(kLinkNameBytesMax + 1, 'n'), 0,
                                             Role::sender, "eh")),
            "amqp:invalid-field");
}

TEST_F(LinkNamesTest, RefusesAddressesThatAreTooLong) {
  const std::string address(kLinkNameBytesMax + 1, 'e');
  EXPECT_EQ(refusal_of(RawPeer::attach_frame("a", 0, Role::receiver, address)),
            "amqp:invalid-field");
}

TEST_F(LinkNamesTest, RefusesAddressesOfTheOtherSideThatAreTooLong) {
  auto attach = RawPeer::attach_frame("a", 0, Role::receiver, "eh");
  Target target;
  target.address = std::string(kLinkNameBytesMax + 1, 't');
  attach.target = target;
  EXPECT_EQ(refusal_of(attach), "amqp:invalid-field");
}

TEST_F(LinkNamesTest, TakesTheLongestName) {
  peer.open();
  peer.send(0, RawPeer::attach_frame(std::string(kLinkNameBytesMax, 'n'), 0, Role::sender,
                                     std::string(kLinkNameBytesMax, 'e')));
  ASSERT_EQ(links.size(), 1u);
  EXPECT_TRUE(links[0]->is_attached());
}

}  // namespace
}  // namespace doppel::amqp
