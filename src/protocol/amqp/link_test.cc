// Links and sessions: attach and detach, credit, windows, settlement, messages of several frames.
// Sections are those of OASIS AMQP 1.0 part 2.
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"

namespace doppel::amqp {
namespace {

using ::testing::HasSubstr;
using testing::Pair;
using testing::RawPeer;
using testing::receiver_from;
using testing::sender_to;
using testing::TestHandler;

void send_text(Link& link, std::string_view text, const SendOptions& options = {}) {
  link.send({&text, 1}, options);
}

// A server that takes what comes, and a client with a sender to it.
struct Inbound : ::testing::Test {
  explicit Inbound(EngineOptions server_options = {}) : pair(std::move(server_options)) {
    pair.container.on_link = [this](std::shared_ptr<Link> asked) {
      server_link = asked;
      asked->attach(handler, reply);
    };
  }
  void open() {
    pair.open();
    link = pair.attach(sender_to("eh1"), client_handler);
  }

  Pair pair;
  AttachReply reply;
  std::shared_ptr<TestHandler> handler = std::make_shared<TestHandler>();
  std::shared_ptr<TestHandler> client_handler = std::make_shared<TestHandler>();
  std::shared_ptr<Link> server_link;
  std::shared_ptr<Link> link;
};

using InboundTest = Inbound;

TEST_F(InboundTest, DeliversAMessageAndCarriesTheVerdictBack) {
  open();
  ASSERT_TRUE(link->can_send());
  send_text(*link, "hello", {.message_format = 0x80013700, .tag = "tag-1", .is_settled = false});
  pair.run();
  ASSERT_EQ(handler->messages.size(), 1u);
  EXPECT_EQ(handler->messages[0].payload, "hello");
  EXPECT_EQ(handler->messages[0].format, 0x80013700u);
  EXPECT_EQ(handler->messages[0].tag, "tag-1");
  EXPECT_FALSE(handler->messages[0].is_settled);
  EXPECT_TRUE(client_handler->verdicts.empty());

  server_link->accept(handler->messages[0].id);
  pair.run();
  ASSERT_EQ(client_handler->verdicts.size(), 1u);
  EXPECT_EQ(client_handler->verdicts[0].second.kind, Verdict::Kind::accepted);
}

// A service sends when its events come, which is not while the peer is being answered.
TEST_F(InboundTest, AMessageSentOnItsOwnAccordLeavesAtOnce) {
  open();
  pair.client.transport.take_flush();
  send_text(*link, "hello");
  EXPECT_TRUE(pair.client.transport.take_flush());
}

TEST_F(InboundTest, CarriesEveryKindOfVerdict) {
  open();
  for (int i = 0; i < 4; ++i) send_text(*link, "m", {.is_settled = false});
  pair.run();
  const auto id = handler->messages[0].id;
  server_link->release(id);
  server_link->reject(id + 1, {.condition = "amqp:link:message-size-exceeded", .description = "d"});
  server_link->modify(id + 2, true, true);
  server_link->accept(id + 3);
  server_link->accept(id + 3);  // twice is once
  server_link->accept(id + 99);
  pair.run();
  ASSERT_EQ(client_handler->verdicts.size(), 4u);
  std::map<std::uint32_t, Verdict> by_id(client_handler->verdicts.begin(),
                                         client_handler->verdicts.end());
  auto verdict = by_id.begin();
  EXPECT_EQ(verdict++->second.kind, Verdict::Kind::released);
  EXPECT_EQ(verdict->second.kind, Verdict::Kind::rejected);
  EXPECT_EQ(verdict++->second.error.condition, "amqp:link:message-size-exceeded");
  EXPECT_TRUE(verdict->second.is_delivery_failed && verdict->second.is_undeliverable_here);
  EXPECT_EQ(verdict++->second.kind, Verdict::Kind::modified);
  EXPECT_EQ(verdict->second.kind, Verdict::Kind::accepted);
}

// 2.6.7: credit is given once, used up, and topped up as verdicts are given.
TEST_F(InboundTest, GivesCreditAndTopsItUpWithVerdicts) {
  reply.credit = 4;
  open();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(link->can_send());
    send_text(*link, "m", {.is_settled = false});
  }
  EXPECT_FALSE(link->can_send());
  pair.run();
  EXPECT_FALSE(link->can_send());
  for (const auto& message : handler->messages) server_link->accept(message.id);
  pair.run();
  EXPECT_TRUE(link->can_send());
  EXPECT_EQ(link->credit(), 4u);
  EXPECT_EQ(client_handler->can_send_calls, 2);
}

TEST_F(InboundTest, SettledMessagesNeedNoVerdictAndGiveTheirCreditBack) {
  reply.credit = 4;
  open();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(link->can_send()) << i;
    send_text(*link, "m");
    pair.run();
  }
  EXPECT_EQ(handler->messages.size(), 1000u);
}

TEST_F(InboundTest, StopsASenderByTakingItsCreditAway) {
  open();
  server_link->set_credit(0);
  pair.run();
  EXPECT_FALSE(link->can_send());
  server_link->set_credit(10);
  pair.run();
  EXPECT_TRUE(link->can_send());
  EXPECT_EQ(link->credit(), 10u);
}

// 2.6.14: larger than a frame, larger than a window: in one piece again at the other end.
TEST_F(InboundTest, JoinsMessagesOfManyFramesInPiecesOfAnySize) {
  for (const std::size_t chunk : {1009UL, 65536UL, SIZE_MAX}) {
    Pair small({.limits = {.frame_bytes_max = 512, .incoming_window = 8}});
    small.container.on_link = [this](std::shared_ptr<Link> opened) {
      server_link = opened;
      opened->attach(handler, {});
    };
    small.chunk = chunk;
    small.open();
    const auto sender = small.attach(sender_to("eh1"), client_handler);
    std::string text(100'000, 'x');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 251);
    const std::string_view pieces[] = {std::string_view(text).substr(0, 10),
                                       std::string_view(text).substr(10, 77'777),
                                       {},
                                       std::string_view(text).substr(77'787)};
    handler->messages.clear();
    sender->send(pieces, {.is_settled = false});
    EXPECT_FALSE(sender->can_send());  // the rest waits for the window
    small.run();
    ASSERT_EQ(handler->messages.size(), 1u);
    EXPECT_TRUE(handler->messages[0].payload == text);
    EXPECT_TRUE(sender->can_send());
    server_link->accept(handler->messages[0].id);
    client_handler->verdicts.clear();
    small.run();
    EXPECT_EQ(client_handler->verdicts.size(), 1u);
  }
}

TEST_F(InboundTest, CarriesAnEmptyMessage) {
  open();
  send_text(*link, "");
  pair.run();
  ASSERT_EQ(handler->messages.size(), 1u);
  EXPECT_EQ(handler->messages[0].payload, "");
}

// event-hubs.md, section 6: rejected, and the link stays open.
TEST_F(InboundTest, RejectsAMessageThatIsTooLongAndKeepsTheLink) {
  reply.max_message_size = 1000;
  open();
  EXPECT_EQ(client_handler->attached->max_message_size, 1000u);
  for (const std::size_t size : {1001UL, 300'000UL}) {
    send_text(*link, std::string(size, 'x'), {.is_settled = false});
    pair.run();
  }
  send_text(*link, std::string(1000, 'x'), {.is_settled = false});
  pair.run();
  ASSERT_EQ(client_handler->verdicts.size(), 2u);
  EXPECT_EQ(client_handler->verdicts[0].second.error.condition, "amqp:link:message-size-exceeded");
  ASSERT_EQ(handler->messages.size(), 1u);
  EXPECT_EQ(handler->messages[0].payload.size(), 1000u);
  EXPECT_TRUE(link->is_attached());
  // A settled one cannot be rejected; it is not lost in silence.
  send_text(*link, std::string(1001, 'x'));
  pair.run();
  ASSERT_TRUE(client_handler->detached_why.has_value());
  EXPECT_EQ(client_handler->detached_why->condition, "amqp:link:message-size-exceeded");
}

TEST_F(InboundTest, EndsBothWays) {
  open();
  link->detach();
  pair.run();
  EXPECT_EQ(handler->detached_calls, 1);
  EXPECT_FALSE(handler->detached_why.has_value());
  EXPECT_EQ(client_handler->detached_calls, 1);

  link = pair.attach(sender_to("eh1"), client_handler);
  ASSERT_TRUE(link->is_attached());
  server_link->detach(Condition{.condition = "amqp:link:stolen", .description = "new epoch"});
  pair.run();
  EXPECT_EQ(handler->detached_calls, 2);
  ASSERT_TRUE(client_handler->detached_why.has_value());
  EXPECT_EQ(client_handler->detached_why->condition, "amqp:link:stolen");
  EXPECT_EQ(client_handler->detached_why->description, "new epoch");
  server_link->accept(0);  // does nothing any more
  pair.run();
}

TEST_F(InboundTest, TellsHandlersWhenTheConnectionIsLost) {
  open();
  pair.server.engine->on_transport_closed();
  pair.executor.run_until_idle();
  EXPECT_EQ(handler->detached_calls, 1);
  ASSERT_TRUE(handler->detached_why.has_value());
  EXPECT_EQ(handler->detached_why->condition, "amqp:connection:forced");
  EXPECT_FALSE(server_link->is_attached());
}

TEST_F(InboundTest, AnswersAnAttachLater) {
  std::shared_ptr<Link> waiting;
  pair.container.on_link = [&](std::shared_ptr<Link> asked) { waiting = std::move(asked); };
  open();
  ASSERT_NE(waiting, nullptr);
  EXPECT_EQ(waiting->address(), "eh1");
  EXPECT_FALSE(link->is_attached());
  waiting->attach(handler, {});
  pair.run();
  EXPECT_TRUE(link->is_attached());
}

// The peer gives up while the service thinks: the handler that comes too late is told.
TEST_F(InboundTest, TellsAHandlerThatCameTooLate) {
  std::shared_ptr<Link> waiting;
  pair.container.on_link = [&](std::shared_ptr<Link> asked) { waiting = std::move(asked); };
  open();
  link->detach();
  pair.run();
  waiting->attach(handler, {});
  pair.run();
  EXPECT_EQ(handler->detached_calls, 1);
  EXPECT_EQ(client_handler->detached_calls, 1);
}

// client-wire-notes.md, section 2, AMQP rule 3.
TEST_F(InboundTest, RefusesWithNullTerminiAndADetach) {
  pair.container.on_link = [](std::shared_ptr<Link> asked) {
    asked->refuse({.condition = "amqp:unauthorized-access", .description = "no claim"});
  };
  open();
  ASSERT_TRUE(client_handler->attached.has_value());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(client_handler->attached->source));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(client_handler->attached->target));
  ASSERT_TRUE(client_handler->detached_why.has_value());
  EXPECT_EQ(client_handler->detached_why->condition, "amqp:unauthorized-access");
  EXPECT_FALSE(link->is_attached());
}

TEST_F(InboundTest, RefusesAnAddressThatIsNobodys) {
  pair.container.on_link = nullptr;
  open();
  EXPECT_EQ(client_handler->detached_why->condition, "amqp:not-found");
  EXPECT_THAT(client_handler->detached_why->description, HasSubstr("status-code: 404"));
}

struct Outbound : ::testing::Test {
  explicit Outbound(EngineOptions options = {}) : pair(std::move(options)) {
    pair.container.on_link = [this](std::shared_ptr<Link> asked) {
      server_link = asked;
      asked->attach(handler, {});
    };
  }
  void open(std::uint32_t credit = 10) {
    pair.open();
    link = pair.attach(receiver_from("eh1/p/0", credit), client_handler);
  }

  Pair pair;
  std::shared_ptr<TestHandler> handler = std::make_shared<TestHandler>();
  std::shared_ptr<TestHandler> client_handler = std::make_shared<TestHandler>();
  std::shared_ptr<Link> server_link;
  std::shared_ptr<Link> link;
};

using OutboundTest = Outbound;

TEST_F(OutboundTest, IsToldWhenItCanSendAndSendsNoMoreThanTheCredit) {
  int sent = 0;
  std::vector<int> sent_at_once;
  handler->then_can_send = [&] {
    const int before = sent;
    while (sent < 25 && server_link->can_send()) send_text(*server_link, std::to_string(sent++));
    sent_at_once.push_back(sent - before);
  };
  open(10);
  EXPECT_EQ(sent, 25);
  EXPECT_EQ(sent_at_once.front(), 10);
  EXPECT_EQ(client_handler->messages.size(), 25u);
  EXPECT_EQ(client_handler->messages[24].payload, "24");
  EXPECT_TRUE(client_handler->messages[0].is_settled);
}

// As a receiver does whose events come later: from a job of its own, with nothing else under way.
TEST_F(OutboundTest, AsksForAFlushWhenItSendsOnItsOwn) {
  open();
  pair.run();
  ASSERT_FALSE(pair.server.transport.take_flush());
  const std::string_view text = "late";
  server_link->send({&text, 1}, {});
  EXPECT_TRUE(pair.server.transport.take_flush());
}

TEST_F(OutboundTest, GetsVerdictsForUnsettledMessages) {
  open();
  const auto id = [&] {
    const std::string_view text = "c2d";
    return server_link->send({&text, 1}, {.is_settled = false});
  }();
  pair.run();
  ASSERT_EQ(client_handler->messages.size(), 1u);
  EXPECT_FALSE(client_handler->messages[0].is_settled);
  link->reject(client_handler->messages[0].id, {.condition = "amqp:not-allowed"});
  pair.run();
  ASSERT_EQ(handler->verdicts.size(), 1u);
  EXPECT_EQ(handler->verdicts[0].first, id);
  EXPECT_EQ(handler->verdicts[0].second.kind, Verdict::Kind::rejected);
  EXPECT_EQ(handler->verdicts[0].second.error.condition, "amqp:not-allowed");
}

// Bounded: a receiver that never reads holds the backlog limit and one message, not more.
TEST_F(OutboundTest, StopsPullingWhileThePeerDoesNotRead) {
  open(1000);
  const std::string text(10'000, 'x');
  int sent = 0;
  handler->then_can_send = [&] {
    while (sent < 400 && server_link->can_send()) {
      send_text(*server_link, text);
      ++sent;
    }
  };
  EXPECT_TRUE(server_link->can_send());
  handler->then_can_send();
  EXPECT_LT(pair.server.transport.backlog(), 160'000u);
  EXPECT_LT(sent, 20);
  pair.server.engine->flush();
  EXPECT_LT(sent, 20);
  pair.run();  // the peer reads: it goes on
  EXPECT_EQ(sent, 400);
  EXPECT_EQ(client_handler->messages.size(), 400u);
}

// 2.6.7: what is there is sent, the rest of the credit given back, and a flow says so.
TEST(DrainTest, GivesCreditBack) {
  RawPeer peer;
  const auto handler = std::make_shared<TestHandler>();
  std::shared_ptr<Link> link;
  peer.container.on_link = [&](std::shared_ptr<Link> asked) {
    link = asked;
    asked->attach(handler, {});
  };
  peer.open();
  peer.send(0, RawPeer::attach_frame("r", 3, Role::receiver, "eh"));
  int left = 2;
  handler->then_can_send = [&] {
    while (left > 0 && link->can_send()) {
      send_text(*link, "m");
      --left;
    }
  };
  peer.frames();
  Flow flow;
  flow.next_incoming_id = 1;
  flow.incoming_window = 100;
  flow.handle = 3;
  flow.delivery_count = 0;
  flow.link_credit = 10;
  flow.drain = true;
  peer.send(0, flow);
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<Transfer>(frames[0].performative));
  EXPECT_TRUE(std::holds_alternative<Transfer>(frames[1].performative));
  const auto& answer = std::get<Flow>(frames[2].performative);
  EXPECT_EQ(answer.delivery_count, 10u);
  EXPECT_EQ(answer.link_credit, 0u);
  EXPECT_TRUE(answer.drain);
  EXPECT_EQ(link->credit(), 0u);
}

}  // namespace
}  // namespace doppel::amqp
