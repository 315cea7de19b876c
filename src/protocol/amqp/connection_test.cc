// Connections as a whole: headers, SASL, open and close, frames, channels, time. Sections are those
// of OASIS AMQP 1.0 part 2.
#include "protocol/amqp/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"

namespace doppel::amqp {
namespace {

using testing::Pair;
using testing::RawPeer;
using testing::TestHandler;

// 2.2: both layers, each with its header, whatever pieces the bytes come in.
class Opening : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Opening, WorksInPiecesOfAnySize) {
  Pair pair({}, {.hostname = "localhost", .sasl_mechanism = "ANONYMOUS"});
  pair.chunk = GetParam();
  pair.open();
  EXPECT_EQ(pair.server.engine->hostname(), "localhost");
  EXPECT_EQ(pair.server.engine->container_id(), "client");
  EXPECT_EQ(pair.server.engine->sasl().mechanism, "ANONYMOUS");
  ASSERT_TRUE(pair.observer.opened.has_value());
  // Figures of the real service (event-hubs.md, section 3).
  EXPECT_EQ(pair.observer.opened->max_frame_size, 65536u);
  EXPECT_EQ(pair.observer.opened->channel_max, 4999u);
  EXPECT_EQ(pair.observer.opened->idle_time_out, 240'000u);
}

INSTANTIATE_TEST_SUITE_P(Pieces, Opening, ::testing::Values(1, 2, 3, 7, 8, 9, 13, 100, 100'000));

// Node's hub clients and X.509 clients of DPS start without SASL.
TEST(ConnectionTest, OpensWithoutASaslLayer) {
  Pair pair;
  pair.open();
  EXPECT_EQ(pair.server.engine->sasl().mechanism, "");
}

// 2.2: an unknown protocol is answered with the header we want, then the end.
TEST(ConnectionTest, AnswersAnotherProtocolWithItsOwnHeaderAndCloses) {
  for (const std::string_view first :
       {std::string_view("GET / HTTP/1.1\r\n"), std::string_view("AMQP\2\1\0\0", 8),
        std::string_view("AMQP\0\0\x09\1", 8), std::string_view("AMQX"),
        std::string_view("\x16\x03\x01")}) {
    RawPeer peer;
    peer.bytes(first);
    EXPECT_TRUE(peer.server.transport.is_closed()) << first;
    EXPECT_EQ(peer.take_bytes(), kSaslHeader) << first;
  }
}

TEST(ConnectionTest, WaitsForTheRestOfAHeader) {
  RawPeer peer;
  peer.bytes("AM");
  peer.bytes("QP");
  EXPECT_FALSE(peer.server.transport.is_closed());
}

// DPS refuses by open, then close (client-wire-notes.md, section 2, AMQP rule 4).
TEST(ConnectionTest, RefusesByOpenAndCloseWhereTheContainerSaysSo) {
  RawPeer peer;
  peer.container.on_open = [](std::shared_ptr<Connection>,
                              std::move_only_function<void(std::optional<Condition>)> answer) {
    answer(Condition{.condition = "amqp:unauthorized-access",
                     .description = "{\"errorCode\":401002}"});
  };
  Open open;
  open.container_id = "c";
  peer.bytes(kAmqpHeader);
  peer.send(0, open);
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 2u);
  const auto& ours = std::get<Open>(frames[0].performative);
  ASSERT_TRUE(ours.properties.has_value());
  EXPECT_NE(ours.properties->find("com.microsoft:open-error"), nullptr);
  const auto& close = std::get<Close>(frames[1].performative);
  ASSERT_TRUE(close.error.has_value());
  EXPECT_EQ(close.error->condition, "amqp:unauthorized-access");
  EXPECT_EQ(close.error->description, "{\"errorCode\":401002}");
  peer.send(0, Close{});
  EXPECT_TRUE(peer.server.transport.is_closed());
}

// pyamqp takes the decoded fields by position: none may be missing (event-hubs.md, fact 1).
TEST(ConnectionTest, WritesBeginWithEveryFieldAndARealHandleMax) {
  RawPeer peer;
  peer.open();
  Begin begin;
  begin.incoming_window = 2048;
  peer.send(7, begin);
  const auto answer = peer.expect<Begin>();
  EXPECT_EQ(answer.remote_channel, 7);
  EXPECT_EQ(answer.next_outgoing_id, 1u);
  EXPECT_EQ(answer.incoming_window, 5000u);
  EXPECT_EQ(answer.outgoing_window, 5000u);
  EXPECT_EQ(answer.handle_max, 255u);
}

Condition closed_with(RawPeer& peer) {
  const auto close = peer.expect<Close>();
  if (!close.error) return {};
  return {.condition = close.error->condition.text};
}

// 2.3.1 and 2.8.16: what cannot be a frame ends the connection, at once.
TEST(ConnectionTest, ClosesForFramesThatCannotBe) {
  const std::string_view bad[] = {
      std::string_view("\0\0\0\x07\2\0\0\0", 8),        // smaller than its header
      std::string_view("\0\0\0\x10\1\0\0\0", 8),        // body inside the header
      std::string_view("\0\0\0\x10\xff\0\0\0", 8),      // body past the end
      std::string_view("\xff\xff\xff\xff\2\0\0\0", 8),  // larger than max-frame-size
      std::string_view("\0\1\0\1\2\0\0\0", 8),          // by one byte
  };
  for (const auto bytes : bad) {
    RawPeer peer;
    peer.open();
    peer.bytes(bytes);
    EXPECT_EQ(closed_with(peer).condition, "amqp:connection:framing-error");
    EXPECT_TRUE(peer.server.transport.is_closed());
  }
}

TEST(ConnectionTest, ClosesWithADecodeErrorForWhatIsNoPerformative) {
  RawPeer peer;
  peer.open();
  std::string frame;
  const auto start = begin_frame(frame, FrameType::amqp, 0);
  frame += std::string_view("\0\x53\x77\x45", 4);
  end_frame(frame, start);
  peer.bytes(frame);
  EXPECT_EQ(closed_with(peer).condition, "amqp:decode-error");
  // The frames behind it are thrown away until the peer's close (2.4.6).
  peer.send(0, RawPeer::attach_frame("a", 0, Role::sender, "x"));
  EXPECT_FALSE(peer.server.transport.is_closed());
  peer.send(0, Close{});
  EXPECT_TRUE(peer.server.transport.is_closed());
}

// 2.3.1: the extended header is skipped.
TEST(ConnectionTest, SkipsAnExtendedHeader) {
  RawPeer peer;
  peer.open();
  std::string body;
  Begin begin;
  append(body, begin);
  std::string frame(std::string_view("\0\0\0\0\3\0\0\x05xxxx", 12));
  frame += body;
  end_frame(frame, 0);
  peer.bytes(frame);
  EXPECT_EQ(peer.expect<Begin>().remote_channel, 5);
}

TEST(ConnectionTest, ClosesForFramesOutOfOrder) {
  {
    RawPeer peer;  // 2.4.1: open comes first
    peer.bytes(kAmqpHeader);
    peer.send(0, Begin{});
    EXPECT_EQ(closed_with(peer).condition, "amqp:illegal-state");
  }
  {
    RawPeer peer;
    peer.open();
    peer.send(0, Open{});
    EXPECT_EQ(closed_with(peer).condition, "amqp:illegal-state");
  }
  {
    RawPeer peer;  // no session there
    peer.open();
    peer.send(9, Flow{});
    EXPECT_EQ(closed_with(peer).condition, "amqp:not-allowed");
  }
  {
    RawPeer peer;
    peer.open();
    peer.send(0, Begin{});
    EXPECT_EQ(closed_with(peer).condition, "amqp:not-allowed");
  }
  {
    RawPeer peer;  // 2.7.1, channel-max
    peer.open();
    peer.send(5000, Begin{});
    EXPECT_EQ(closed_with(peer).condition, "amqp:connection:framing-error");
  }
  {
    RawPeer peer;  // 2.7.1, max-frame-size
    Open open;
    open.max_frame_size = 511;
    peer.bytes(kAmqpHeader);
    peer.send(0, open);
    EXPECT_EQ(closed_with(peer).condition, "amqp:invalid-field");
  }
}

TEST(ConnectionTest, ClosesAfterTooManySessions) {
  RawPeer peer({.limits = {.sessions_max = 4}});
  peer.open();
  for (std::uint16_t channel = 1; channel < 4; ++channel) peer.send(channel, Begin{});
  EXPECT_TRUE(peer.server.engine->is_open());
  peer.send(4, Begin{});
  EXPECT_EQ(closed_with(peer).condition, "amqp:resource-limit-exceeded");
}

// Channels are free again after end, so a client may begin and end for ever.
TEST(ConnectionTest, TakesAStormOfBeginAndEnd) {
  RawPeer peer({.limits = {.sessions_max = 4}});
  peer.open();
  for (int i = 0; i < 1000; ++i) {
    peer.send(static_cast<std::uint16_t>(i % 4000 + 1), Begin{});
    peer.send(static_cast<std::uint16_t>(i % 4000 + 1), End{});
  }
  EXPECT_TRUE(peer.server.engine->is_open());
}

// 2.4.5: half of the peer's idle time-out is the longest silence.
TEST(ConnectionTest, SendsSignsOfLifeWithinHalfOfThePeersTimeOut) {
  RawPeer peer;
  Open open;
  open.idle_time_out = 60'000;
  peer.open(open);
  auto now = SteadyTime(std::chrono::seconds(1));
  auto next = peer.server.engine->tick(now);
  peer.take_bytes();
  SteadyTime heard = now;
  for (int i = 0; i < 20; ++i) {
    now = next;
    peer.send(0, Flow{});  // keeps the other direction alive
    next = peer.server.engine->tick(now);
    if (!peer.take_bytes().empty()) heard = now;
    EXPECT_LE(next - heard, std::chrono::seconds(30));
  }
}

TEST(ConnectionTest, ClosesAConnectionThatIsSilentForLongerThanAnnounced) {
  RawPeer peer;
  peer.open();
  auto now = SteadyTime(std::chrono::seconds(1));
  peer.server.engine->tick(now);
  for (int i = 0; i < 3; ++i) {
    now += std::chrono::seconds(60);
    peer.server.engine->tick(now);
  }
  EXPECT_TRUE(peer.server.engine->is_open());
  now += std::chrono::seconds(61);
  peer.server.engine->tick(now);
  now += std::chrono::seconds(61);
  peer.server.engine->tick(now);
  EXPECT_EQ(closed_with(peer).condition, "amqp:connection:forced");
  // And ends it when nobody answers the close.
  peer.server.engine->tick(now + std::chrono::seconds(6));
  peer.run();
  EXPECT_TRUE(peer.server.transport.is_closed());
}

// pyamqp sends no signs of life: its quiet receivers live on (event-hubs.md, section 3).
TEST(ConnectionTest, LetsSilentReceiversLive) {
  RawPeer peer;
  const auto handler = std::make_shared<TestHandler>();
  peer.container.on_link = [&](std::shared_ptr<Link> link) { link->attach(handler, {}); };
  peer.open();
  peer.send(0, RawPeer::attach_frame("r", 0, Role::receiver, "eh"));
  auto now = SteadyTime(std::chrono::seconds(1));
  for (int i = 0; i < 20; ++i) {
    peer.server.engine->tick(now);
    now += std::chrono::seconds(60);
  }
  EXPECT_TRUE(peer.server.engine->is_open());
}

TEST(ConnectionTest, ClosesAPeerThatNeverOpens) {
  RawPeer peer;
  peer.bytes(kAmqpHeader);
  auto now = SteadyTime(std::chrono::seconds(1));
  peer.server.engine->tick(now);
  peer.server.engine->tick(now + std::chrono::seconds(31));
  EXPECT_EQ(closed_with(peer).condition, "amqp:connection:forced");
}

TEST(ConnectionTest, StopsWithConnectionForced) {
  Pair pair;
  pair.open();
  pair.server.engine->stop();
  pair.run();
  EXPECT_TRUE(pair.server.was_told());
  EXPECT_EQ(pair.observer.closed_calls, 1);
  ASSERT_TRUE(pair.observer.closed_why.has_value());
  EXPECT_EQ(pair.observer.closed_why->condition, "amqp:connection:forced");
}

TEST(ConnectionTest, ClosesInOrderWhenTheClientDoes) {
  Pair pair;
  pair.open();
  pair.client.engine->close(std::nullopt);
  pair.run();
  EXPECT_TRUE(pair.server.was_told());
  EXPECT_TRUE(pair.client.was_told());
  EXPECT_EQ(pair.observer.closed_calls, 1);
  EXPECT_FALSE(pair.observer.closed_why.has_value());
}

}  // namespace
}  // namespace doppel::amqp
