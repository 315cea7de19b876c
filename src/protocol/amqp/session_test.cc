// Sessions and links against a peer whose frames are made by hand: exact answers, and everything a
// peer can do wrong. Sections are those of OASIS AMQP 1.0 part 2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/hostile_testing.h"

namespace doppel::amqp {
namespace {

using ::testing::ElementsAre;
using testing::Hostile;
using testing::RawPeer;
using testing::TestHandler;

struct HostileTest : ::testing::Test, Hostile {};

TEST_F(HostileTest, AnswersAttachWithEveryFieldThatClientsRead) {
  peer.open();
  auto attach =
      RawPeer::attach_frame("python", 4, Role::sender, "amqps://host:5671/eh1/Partitions/0");
  attach.snd_settle_mode = SenderSettleMode::unsettled;
  attach.rcv_settle_mode = ReceiverSettleMode::second;
  attach.properties = Map{};
  peer.send(0, attach);
  const auto answer = peer.expect<Attach>();
  EXPECT_EQ(peer.container.last_address, "eh1/Partitions/0");
  EXPECT_EQ(answer.name, "python");
  EXPECT_EQ(answer.role, Role::receiver);
  EXPECT_EQ(answer.snd_settle_mode, SenderSettleMode::unsettled);
  EXPECT_EQ(answer.rcv_settle_mode, ReceiverSettleMode::first);
  EXPECT_EQ(answer.source, attach.source);
  EXPECT_EQ(answer.target, attach.target);
  EXPECT_EQ(answer.max_message_size, kMessageBytesMaxDefault);
  EXPECT_TRUE(answer.properties.has_value());  // null breaks pyamqp
}

// 2.6.7
TEST_F(HostileTest, DetachesAPeerThatSendsWithoutCredit) {
  reply.credit = 2;
  open();
  for (std::uint32_t id = 0; id < 2; ++id) peer.send(0, RawPeer::transfer_frame(0, id), "m");
  EXPECT_EQ(handler->messages.size(), 2u);
  peer.send(0, RawPeer::transfer_frame(0, 2), "m");
  EXPECT_EQ(handler->messages.size(), 2u);
  EXPECT_EQ(detached_with(), "amqp:link:transfer-limit-exceeded");
  // What it still sends before it reads the detach is ignored.
  peer.send(0, RawPeer::transfer_frame(0, 3), "m");
  EXPECT_TRUE(peer.frames().empty());
  Detach detach;
  detach.closed = true;
  peer.send(0, detach);
  EXPECT_TRUE(peer.frames().empty());
  peer.send(0, RawPeer::attach_frame("a", 0, Role::sender, "eh"));  // the handle is free again
  EXPECT_EQ(peer.expect<Attach>().name, "a");
}

TEST_F(HostileTest, EndsTheSessionForHandlesWithoutALink) {
  for (int what = 0; what < 3; ++what) {
    Hostile each;
    each.open();
    Flow flow;
    flow.handle = 7;
    Detach detach;
    detach.handle = 7;
    if (what == 0) each.peer.send(0, RawPeer::transfer_frame(7, 0), "m");
    if (what == 1) each.peer.send(0, flow);
    if (what == 2) each.peer.send(0, detach);
    EXPECT_EQ(each.ended_with(), "amqp:session:unattached-handle") << what;
    each.peer.executor.run_until_idle();
    EXPECT_EQ(each.handler->detached_calls, 1);
    EXPECT_TRUE(each.peer.server.engine->is_open());
  }
}

TEST_F(HostileTest, EndsTheSessionForAHandleInUse) {
  open();
  peer.send(0, RawPeer::attach_frame("b", 0, Role::sender, "eh"));
  EXPECT_EQ(ended_with(), "amqp:session:handle-in-use");
}

TEST_F(HostileTest, ClosesForAHandleAboveTheMaximum) {
  open();
  peer.send(0, RawPeer::attach_frame("b", 256, Role::sender, "eh"));
  EXPECT_EQ(peer.expect<Close>().error->condition, "amqp:connection:framing-error");
}

TEST_F(HostileTest, TakesAsManyLinksAsHandleMaxSaysAndNoMore) {
  peer.open();
  for (std::uint32_t handle = 0; handle <= 255; ++handle)
    peer.send(0, RawPeer::attach_frame("n" + std::to_string(handle), handle, Role::sender, "eh"));
  EXPECT_EQ(links.size(), 256u);
  EXPECT_TRUE(peer.server.engine->is_open());
}

TEST(LimitTest, EndsASessionThatTakesTheConnectionAboveItsLimit) {
  Hostile hostile({.limits = {.links_max = 3}});
  hostile.open();
  for (std::uint32_t handle = 1; handle < 4; ++handle)
    hostile.peer.send(
        0, RawPeer::attach_frame("n" + std::to_string(handle), handle, Role::sender, "eh"));
  EXPECT_EQ(hostile.ended_with(), "amqp:resource-limit-exceeded");
  EXPECT_EQ(hostile.links.size(), 3u);
  EXPECT_TRUE(hostile.peer.server.engine->is_open());
}

TEST_F(HostileTest, EndsTheSessionForDeliveryIdsOutOfSequence) {
  {
    Hostile each;
    each.open();
    each.peer.send(0, RawPeer::transfer_frame(0, 10), "m");
    each.peer.send(0, RawPeer::transfer_frame(0, 9), "m");
    EXPECT_EQ(each.ended_with(), "amqp:invalid-field");
  }
  {
    Hostile each;
    each.open();
    each.peer.send(0, RawPeer::transfer_frame(0, 10), "m");
    each.peer.send(0, RawPeer::transfer_frame(0, 0x7ffffff0), "m");
    EXPECT_EQ(each.ended_with(), "amqp:invalid-field");
  }
  Transfer transfer;
  open();
  peer.send(0, transfer, "m");
  EXPECT_EQ(ended_with(), "amqp:invalid-field");
}

// pyamqp counts frames, so its ids jump behind a message of several.
TEST_F(HostileTest, TakesDeliveryIdsThatJumpAhead) {
  open();
  auto first = RawPeer::transfer_frame(0, 0);
  first.more = true;
  peer.send(0, first, "ab");
  peer.send(0, first, "cd");
  first.more = false;
  peer.send(0, first, "ef");
  peer.send(0, RawPeer::transfer_frame(0, 3), "next");
  ASSERT_EQ(handler->messages.size(), 2u);
  EXPECT_EQ(handler->messages[0].payload, "abcdef");
  EXPECT_EQ(handler->messages[1].id, 3u);
  links[0]->accept(3);
  links[0]->accept(0);
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 2u);
}

// Ids wrap at 2^32 (RFC 1982).
TEST_F(HostileTest, WrapsDeliveryIds) {
  open();
  for (std::uint32_t i = 0; i < 6; ++i)
    peer.send(0, RawPeer::transfer_frame(0, 0xfffffffd + i), "m");
  for (const auto& message : handler->messages) links[0]->accept(message.id);
  const auto disposition = peer.expect<Disposition>();
  EXPECT_EQ(disposition.first, 0xfffffffdu);
  EXPECT_EQ(disposition.last, 2u);
}

// 2.7.6: verdicts of one event leave as ranges, in whatever order they were given.
TEST_F(HostileTest, SendsVerdictsAsRanges) {
  open();
  for (std::uint32_t id = 0; id < 100; ++id) peer.send(0, RawPeer::transfer_frame(0, id), "m");
  peer.frames();
  for (std::uint32_t id = 99; id >= 50; --id) links[0]->accept(id);
  for (std::uint32_t id = 0; id < 40; ++id) links[0]->accept(id);
  links[0]->release(40);
  peer.server.engine->flush();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
  for (const auto& frame : peer.frames()) {
    if (const auto* d = std::get_if<Disposition>(&frame.performative)) {
      ranges.emplace_back(d->first, *d->last);
      EXPECT_TRUE(d->settled);
      EXPECT_EQ(d->role, Role::receiver);
    }
  }
  EXPECT_THAT(ranges, ElementsAre(std::pair(0u, 39u), std::pair(40u, 40u), std::pair(50u, 99u)));
}

// A range of 2^31 ids costs no more than what is under way.
TEST_F(HostileTest, SurvivesDispositionsOverEverything) {
  open(Role::receiver);
  Flow flow;
  flow.next_incoming_id = 1;
  flow.incoming_window = 100;
  flow.handle = 0;
  flow.link_credit = 10;
  peer.send(0, flow);
  const std::string_view text = "m";
  links[0]->send({&text, 1}, {.is_settled = false});
  for (int i = 0; i < 1000; ++i) {
    Disposition all;
    all.role = i % 2 == 0 ? Role::receiver : Role::sender;
    all.first = static_cast<std::uint32_t>(i) * 0x12345678u;
    all.last = all.first + 0x7fffffff;
    all.settled = true;
    peer.send(0, all);
  }
  EXPECT_EQ(handler->verdicts.size(), 1u);
  EXPECT_TRUE(peer.server.engine->is_open());
}

// 2.6.12: a receiver of mode "second" waits for us to settle.
TEST_F(HostileTest, SettlesWhatAReceiverOfModeSecondAccepted) {
  open(Role::receiver);
  Flow flow;
  flow.incoming_window = 100;
  flow.handle = 0;
  flow.link_credit = 10;
  peer.send(0, flow);
  const std::string_view text = "m";
  const auto id = links[0]->send({&text, 1}, {.is_settled = false});
  peer.frames();
  Disposition accepted;
  accepted.role = Role::receiver;
  accepted.first = id;
  accepted.state = Accepted{};
  peer.send(0, accepted);
  const auto answer = peer.expect<Disposition>();
  EXPECT_EQ(answer.role, Role::sender);
  EXPECT_TRUE(answer.settled);
  EXPECT_EQ(answer.first, id);
  EXPECT_EQ(handler->verdicts.size(), 1u);
}

// 2.7.5: aborted throws away what came; the next message is whole.
TEST_F(HostileTest, ForgetsAnAbortedMessage) {
  open();
  auto transfer = RawPeer::transfer_frame(0, 0);
  transfer.more = true;
  peer.send(0, transfer, "half");
  Transfer aborted;
  aborted.aborted = true;
  peer.send(0, aborted);
  peer.send(0, RawPeer::transfer_frame(0, 1), "whole");
  ASSERT_EQ(handler->messages.size(), 1u);
  EXPECT_EQ(handler->messages[0].payload, "whole");
}

TEST_F(HostileTest, ForgetsAMessageWhoseLinkOrConnectionEndsInTheMiddle) {
  open();
  auto transfer = RawPeer::transfer_frame(0, 0);
  transfer.more = true;
  peer.send(0, transfer, std::string(50'000, 'x'));
  Detach detach;
  detach.closed = true;
  peer.send(0, detach);
  EXPECT_EQ(peer.expect<Detach>().handle, 0u);
  peer.send(0, RawPeer::attach_frame("a", 0, Role::sender, "eh"));
  transfer.delivery_id = 1;
  peer.send(0, transfer, std::string(50'000, 'x'));
  peer.send(0, Close{});
  EXPECT_TRUE(peer.server.transport.is_closed());
  EXPECT_TRUE(handler->messages.empty());
}

TEST(LimitTest, DetachesWhenTooManyLongMessagesAreUnderWay) {
  Hostile hostile({.limits = {.assembly_bytes_max = 100'000}});
  hostile.open();
  auto transfer = RawPeer::transfer_frame(0, 0);
  transfer.more = true;
  hostile.peer.send(0, transfer, std::string(60'000, 'x'));
  transfer.delivery_id.reset();
  hostile.peer.send(0, transfer, std::string(60'000, 'x'));
  EXPECT_EQ(hostile.detached_with(), "amqp:resource-limit-exceeded");
}

// Back-pressure: what the service has not judged bounds what is read.
TEST(LimitTest, DoesNotReadAPeerWhoseMessagesAreNotJudged) {
  Hostile hostile({.limits = {.unjudged_bytes_max = 10'000}});
  hostile.open();
  for (std::uint32_t id = 0; id < 10; ++id)
    hostile.peer.send(0, RawPeer::transfer_frame(0, id), std::string(4000, 'x'));
  EXPECT_TRUE(hostile.peer.server.engine->is_paused());
  EXPECT_EQ(hostile.handler->messages.size(), 3u);
  for (int i = 0; i < 20 && hostile.handler->messages.size() < 10; ++i) {
    hostile.links[0]->accept(static_cast<std::uint32_t>(i));
    hostile.peer.run();
  }
  EXPECT_EQ(hostile.handler->messages.size(), 10u);
}

TEST_F(HostileTest, StopsOnlyAfterTheVerdicts) {
  open();
  peer.send(0, RawPeer::transfer_frame(0, 0), "m");
  peer.server.engine->stop();
  EXPECT_TRUE(peer.frames().empty());
  links[0]->accept(0);
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Disposition>(frames[0].performative));
  EXPECT_EQ(std::get<Close>(frames[1].performative).error->condition, "amqp:connection:forced");
}

// The answer may not be larger than the peer's frames.
TEST(FrameSizeTest, ClosesWhenAnAnswerCannotFit) {
  Hostile hostile;
  Open open;
  open.max_frame_size = 512;
  hostile.peer.open(open);
  auto attach = RawPeer::attach_frame(std::string(600, 'n'), 0, Role::sender, "eh");
  hostile.peer.send(0, attach);
  EXPECT_EQ(hostile.peer.expect<Close>().error->condition, "amqp:frame-size-too-small");
}

TEST_F(HostileTest, RefusesTransactions) {
  peer.open();
  auto attach = RawPeer::attach_frame("t", 0, Role::sender, "");
  attach.target = Value(Described{Value(std::uint64_t{0x30}), Value(List{})});
  peer.send(0, attach);
  EXPECT_EQ(detached_with(), "amqp:not-implemented");
}

// A service that closes the connection, or detaches, from within its handler.
TEST_F(HostileTest, LetsAHandlerEndEverythingFromWithin) {
  open();
  handler->then_message = [&](const Delivery& delivery) {
    links[0]->accept(delivery.id);
    links[0]->connection().close(Condition{.condition = "amqp:internal-error"});
  };
  peer.bytes(RawPeer::frame(0, RawPeer::transfer_frame(0, 0), "a") +
             RawPeer::frame(0, RawPeer::transfer_frame(0, 1), "b"));
  EXPECT_EQ(handler->messages.size(), 1u);
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Disposition>(frames[0].performative));
  EXPECT_TRUE(std::holds_alternative<Close>(frames[1].performative));
  EXPECT_EQ(handler->detached_calls, 1);
}

}  // namespace
}  // namespace doppel::amqp
