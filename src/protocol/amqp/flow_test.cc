// Flows against a peer that makes its own: credit and windows of any figure, echo, drain. Sections
// are those of OASIS AMQP 1.0 part 2.
#include <string>

#include <gtest/gtest.h>

#include "protocol/amqp/hostile_testing.h"

namespace doppel::amqp {
namespace {

using testing::Hostile;
using testing::RawPeer;
using testing::TestHandler;

struct FlowTest : ::testing::Test, Hostile {
  // The peer receives on handle 0.
  static Flow flow(std::uint32_t count, std::uint32_t credit, std::uint32_t next_incoming = 1,
                   std::uint32_t window = 1000) {
    Flow flow;
    flow.next_incoming_id = next_incoming;
    flow.incoming_window = window;
    flow.handle = 0;
    flow.delivery_count = count;
    flow.link_credit = credit;
    return flow;
  }
  // As many messages as the link takes, at most `most`; how many that were.
  std::uint32_t send(std::uint32_t most) {
    const std::string_view text = "m";
    std::uint32_t sent = 0;
    for (; sent < most && links[0]->can_send(); ++sent) links[0]->send({&text, 1}, {});
    peer.frames();
    return sent;
  }
};

// 2.5.6
TEST(FlowLimitTest, EndsASessionThatOverrunsItsWindow) {
  // Windows are given back when half is used; so the only way to overrun is to never read. With a
  // window of 0 the first transfer is outside.
  RawPeer peer({.limits = {.incoming_window = 0}});
  const auto handler = std::make_shared<TestHandler>();
  peer.container.on_link = [&](std::shared_ptr<Link> asked) { asked->attach(handler, {}); };
  peer.open();
  peer.send(0, RawPeer::attach_frame("a", 0, Role::sender, "eh"));
  peer.send(0, RawPeer::transfer_frame(0, 0), "m");
  EXPECT_EQ(peer.expect<End>().error->condition, "amqp:session:window-violation");
  EXPECT_TRUE(handler->messages.empty());
}

TEST_F(FlowTest, GivesTheSessionWindowBackBeforeItIsUsedUp) {
  reply.credit = 100'000;
  open();
  std::uint32_t window_end = 5000;
  for (std::uint32_t id = 0; id < 20'000; ++id) {
    auto transfer = RawPeer::transfer_frame(0, id);
    transfer.settled = true;
    ASSERT_LT(id, window_end);
    peer.send(0, transfer, "m");
    for (const auto& frame : peer.frames()) {
      if (const auto* flow = std::get_if<Flow>(&frame.performative))
        window_end = *flow->next_incoming_id + flow->incoming_window;
    }
  }
  EXPECT_EQ(handler->messages.size(), 20'000u);
}

TEST_F(FlowTest, EchoesAFlowThatAsksForIt) {
  open();
  Flow flow;
  flow.echo = true;
  peer.send(0, flow);
  EXPECT_EQ(peer.expect<Flow>().handle, std::nullopt);
  flow.handle = 0;
  peer.send(0, flow);
  const auto answer = peer.expect<Flow>();
  EXPECT_EQ(answer.handle, 0u);
  EXPECT_EQ(answer.link_credit, kCreditDefault);
}

// Credit as large as the field, windows that go backwards: nothing overflows.
TEST_F(FlowTest, SurvivesFlowsWithAbsurdFigures) {
  open(Role::receiver);
  for (const std::uint32_t figure : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    Flow flow;
    flow.next_incoming_id = figure;
    flow.incoming_window = 0xffffffff - figure / 2;
    flow.next_outgoing_id = figure;
    flow.handle = 0;
    flow.delivery_count = figure;
    flow.link_credit = 0xffffffff;
    flow.drain = figure % 2 == 1;
    peer.send(0, flow);
  }
  EXPECT_TRUE(peer.server.engine->is_open());
}

// 2.6.7: "all I have" is a figure that clients send, and no serial number.
TEST_F(FlowTest, TakesTheLargestCreditForWhatItIs) {
  open(Role::receiver);
  peer.send(0, flow(0, 0xffffffff));
  EXPECT_EQ(send(10), 10u);
  peer.send(0, flow(10, 0xffffffff, 11));
  EXPECT_EQ(send(10), 10u);
  peer.send(0, flow(10, 0x80000000, 21));  // ten of them it has not counted yet
  EXPECT_EQ(send(10), 10u);
}

TEST_F(FlowTest, TakesOffWhatTheReceiverHasNotCountedYet) {
  open(Role::receiver);
  peer.send(0, flow(0, 5));
  EXPECT_EQ(send(10), 5u);
  peer.send(0, flow(2, 5, 6));  // three are under way
  EXPECT_EQ(send(10), 2u);
  peer.send(0, flow(4, 2, 8));  // all it gives is under way
  EXPECT_EQ(send(10), 0u);
}

// A receiver that counts more than there was, or from far behind, gets no more than it gives.
TEST_F(FlowTest, CountsThatCannotBeGiveNoMoreThanTheCredit) {
  open(Role::receiver);
  peer.send(0, flow(0x7fffffff, 3));
  EXPECT_EQ(send(10), 3u);
  peer.send(0, flow(0x90000000, 3, 4));
  EXPECT_EQ(send(10), 0u);
}

// 2.5.6
TEST_F(FlowTest, TakesTheLargestWindowForWhatItIs) {
  open(Role::receiver);
  peer.send(0, flow(0, 100, 1, 0xffffffff));
  EXPECT_EQ(send(10), 10u);
  peer.send(0, flow(10, 100, 11, 0xffffffff));
  EXPECT_EQ(send(10), 10u);
}

TEST_F(FlowTest, SendsNothingThroughAClosedWindow) {
  open(Role::receiver);
  peer.send(0, flow(0, 0xffffffff, 1, 0));
  EXPECT_EQ(send(10), 0u);
  peer.send(0, flow(0, 0xffffffff, 1, 4));
  EXPECT_EQ(send(10), 4u);
  peer.send(0, flow(4, 0xffffffff, 3, 2));  // two of the four are not seen yet: none is left
  EXPECT_EQ(send(10), 0u);
}

// Asked ten thousand times in one read, it tells once.
TEST_F(FlowTest, AnswersAFloodOfFlowsOnce) {
  open(Role::receiver);
  auto asked = flow(0, 0);
  asked.echo = true;
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += RawPeer::frame(0, asked);
  peer.bytes(flood);
  EXPECT_EQ(peer.frames().size(), 1u);
}

// Receivers of long messages that open their windows by a frame: what waits in the middle of a
// message is the connection's memory, on however many sessions.
struct RemainderTest : ::testing::Test {
  RemainderTest() {
    Open open;
    open.max_frame_size = 512;
    hostile.peer.open(open);
    hostile.peer.send(1, Begin{});
    for (const std::uint16_t channel : {0, 1}) {
      hostile.peer.send(channel, RawPeer::attach_frame("a", 0, Role::receiver, "eh"));
      hostile.peer.send(channel, FlowTest::flow(0, 10, 1, 1));
    }
    EXPECT_TRUE(hostile.links[1]->can_send());
    hostile.links[0]->send({&text_view, 1}, {});
    hostile.peer.frames();
  }

  const std::string text = std::string(3000, 'x');
  const std::string_view text_view = text;
  Hostile hostile{{.limits = {.remainder_bytes_max = 1000}}};
};

TEST_F(RemainderTest, NoMoreMessagesAreBegunWhileTooMuchWaits) {
  EXPECT_FALSE(hostile.links[1]->can_send());
  hostile.peer.send(0, FlowTest::flow(1, 10, 2, 1000));
  EXPECT_TRUE(hostile.links[1]->can_send());
  EXPECT_TRUE(hostile.links[0]->can_send());
}

TEST_F(RemainderTest, WhatWaitsGoesWithItsLink) {
  Detach detach;
  detach.closed = true;
  hostile.peer.send(0, detach);
  EXPECT_TRUE(hostile.links[1]->can_send());
}

TEST_F(RemainderTest, WhatWaitsGoesWhenTheServiceEndsTheLink) {
  hostile.links[0]->detach(std::nullopt);
  hostile.peer.run();
  EXPECT_TRUE(hostile.links[1]->can_send());
}

TEST_F(RemainderTest, WhatWaitsGoesWithItsSession) {
  hostile.peer.send(0, End{});
  EXPECT_TRUE(hostile.links[1]->can_send());
}

}  // namespace
}  // namespace doppel::amqp
