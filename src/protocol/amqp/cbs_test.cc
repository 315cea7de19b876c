// `$cbs` as each client uses it (event-hubs.md, section 4).
#include "protocol/amqp/cbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"

namespace doppel::amqp {
namespace {

using testing::Pair;
using testing::TestHandler;

struct TestAuthority final : TokenAuthority {
  void verify(std::shared_ptr<Connection>, TokenRequest request, Answer answer) override {
    seen = request;
    if (is_slow) {
      waiting = std::move(answer);
      return;
    }
    answer(judge());
  }
  Result<Claim> judge() const {
    if (!seen.token.starts_with("SharedAccessSignature"))
      return fail(Code::unauthenticated, "The token's signature is not right.");
    return Claim{.resource = "localhost/eh1",
                 .principal = "Root",
                 .rights = ClaimRights::kSend,
                 .expires_at = TimePoint(std::chrono::seconds(1'900'000'000))};
  }
  TokenRequest seen;
  Answer waiting;
  bool is_slow = false;
};

struct CbsTest : ::testing::Test {
  CbsTest() {
    pair.container.on_link = [this](std::shared_ptr<Link> link) { cbs.on_attach(std::move(link)); };
    pair.open();
  }
  // A pair of links, as Python does: source and target of both are `$cbs`.
  void attach(const std::string& receiver_target = "$cbs", const std::string& name = "r") {
    Source source;
    source.address = "$cbs";
    Target target;
    target.address = receiver_target;
    receiver = pair.attach({.name = name, .source = source, .target = target}, replies);
    target.address = "$cbs";
    sender =
        pair.attach({.name = "s", .is_sender = true, .source = source, .target = target}, requests);
  }
  void put(const Value& message_id, const std::string& token,
           const std::string& operation = "put-token", const std::string& reply_to = "") {
    std::string message;
    MessageProperties properties;
    properties.message_id = message_id;
    if (!reply_to.empty()) properties.reply_to = reply_to;
    append(message, properties);
    Map map;
    map.add_string("operation", operation).add_string("type", "jwt");
    map.add_string("name", "sb://localhost:5671/eh1");
    append_map_section(message, SectionCode::application_properties, map);
    append_value_section(message, Value(token));
    const std::string_view piece = message;
    sender->send({&piece, 1}, {.is_settled = false});
    pair.run();
  }
  // The last reply.
  Value correlation_id() const { return *decode_properties(view())->correlation_id; }
  std::optional<Value> property(std::string_view name) const {
    return find_in(view().application_properties, name);
  }
  MessageView view() const { return *split_message(replies->messages.back().payload); }

  TestAuthority authority;
  CbsService cbs{authority};
  Pair pair;
  std::shared_ptr<TestHandler> replies = std::make_shared<TestHandler>();
  std::shared_ptr<TestHandler> requests = std::make_shared<TestHandler>();
  std::shared_ptr<Link> receiver;
  std::shared_ptr<Link> sender;
};

TEST_F(CbsTest, StoresWhatAGoodTokenGrantsAndAnswers200AsInt) {
  attach();
  put(Value(std::uint64_t{0}), "SharedAccessSignature sr=x");
  ASSERT_EQ(replies->messages.size(), 1u);
  EXPECT_EQ(correlation_id(), Value(std::uint64_t{0}));  // with its type: Python counts from 0
  EXPECT_EQ(property("status-code"), Value(std::int32_t{200}));
  EXPECT_EQ(authority.seen.audience, "sb://localhost:5671/eh1");
  const auto now = TimePoint(std::chrono::seconds(1'800'000'000));
  const auto* claim =
      pair.server.engine->claims().find("localhost/eh1/Partitions/0", ClaimRights::kSend, now);
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(claim->principal, "Root");
  EXPECT_EQ(pair.server.engine->claims().find("localhost/eh1", ClaimRights::kListen, now), nullptr);
  EXPECT_EQ(requests->verdicts.size(), 1u);
}

TEST_F(CbsTest, AnswersABadTokenWith401AndAnErrorCondition) {
  attach();
  put(Value("id-1"), "nonsense");
  EXPECT_EQ(correlation_id(), Value("id-1"));
  EXPECT_EQ(property("status-code"), Value(std::int32_t{401}));
  EXPECT_EQ(property("error-condition"), Value(Symbol("amqp:unauthorized-access")));
  EXPECT_EQ(property("status-description"), Value("The token's signature is not right."));
  EXPECT_EQ(pair.server.engine->claims().size(), 0u);
}

TEST_F(CbsTest, RefusesOtherOperationsAndMissingTokens) {
  attach();
  put(Value("a"), "SharedAccessSignature sr=x", "delete-token");
  EXPECT_EQ(property("status-code"), Value(std::int32_t{400}));
  put(Value("b"), "");
  EXPECT_EQ(property("status-code"), Value(std::int32_t{400}));
}

// Node: reply-to is the receiver's name; .NET: the receiver's target.
TEST_F(CbsTest, FindsTheReplyLinkByNameAndByTarget) {
  attach("generated-address", "cbs-1234");
  put(Value("a"), "SharedAccessSignature sr=x", "put-token", "cbs-1234");
  put(Value("b"), "SharedAccessSignature sr=x", "put-token", "generated-address");
  EXPECT_EQ(replies->messages.size(), 2u);
}

TEST_F(CbsTest, AnswersLaterAndReplacesOnRenewal) {
  attach();
  authority.is_slow = true;
  put(Value("a"), "SharedAccessSignature sr=x");
  EXPECT_TRUE(replies->messages.empty());
  authority.waiting(authority.judge());
  pair.run();
  EXPECT_EQ(replies->messages.size(), 1u);
  put(Value("b"), "SharedAccessSignature sr=x");
  authority.waiting(authority.judge());
  pair.run();
  EXPECT_EQ(pair.server.engine->claims().size(), 1u);
}

// A reply carries the id that the peer chose: however long those are, few bytes of them wait.
TEST_F(CbsTest, RefusesRequestsWhileTooManyBytesOfRepliesWaitForCredit) {
  Source source;
  source.address = "$cbs";
  Target target;
  target.address = "r";
  receiver = pair.attach({.name = "r", .source = source, .target = target, .credit = 0}, replies);
  target.address = "$cbs";
  sender =
      pair.attach({.name = "s", .is_sender = true, .source = source, .target = target}, requests);
  const std::string id(60'000, 'i');
  const auto allowed = kReplyBytesWaitingMax / id.size() + 1;
  for (std::size_t i = 0; i < allowed + 2; ++i) put(Value(id), "SharedAccessSignature sr=x");
  ASSERT_EQ(requests->verdicts.size(), allowed + 2);
  EXPECT_EQ(requests->verdicts[allowed - 1].second.kind, Verdict::Kind::accepted);
  EXPECT_EQ(requests->verdicts[allowed].second.error.condition, "amqp:resource-limit-exceeded");
  receiver->set_credit(100);
  pair.run();
  EXPECT_EQ(replies->messages.size(), allowed);
  put(Value("b"), "SharedAccessSignature sr=x");
  EXPECT_EQ(replies->messages.size(), allowed + 1);
}

TEST_F(CbsTest, ForgetsAnAnswerForAConnectionThatIsGone) {
  attach();
  authority.is_slow = true;
  put(Value("a"), "SharedAccessSignature sr=x");
  pair.client.engine->close(std::nullopt);
  pair.run();
  authority.waiting(authority.judge());
  pair.run();
  EXPECT_TRUE(replies->messages.empty());
}

TEST(ClaimsTest, FindsTheClaimThatLastsLongestByWholeSegments) {
  Claims claims;
  const auto now = TimePoint(std::chrono::seconds(1000));
  EXPECT_TRUE(claims.put({.resource = "host/eh1",
                          .principal = "one",
                          .rights = 3,
                          .expires_at = now + std::chrono::seconds(9)}));
  EXPECT_TRUE(claims.put({.resource = "host", .principal = "all", .rights = 3}));
  EXPECT_EQ(claims.find("HOST/EH1/Partitions/0", 1, now)->principal, "all");
  EXPECT_NE(claims.find("host/eh10", 1, now), nullptr);
  claims.remove("host");
  EXPECT_EQ(claims.find("host/eh10", 1, now), nullptr);
  EXPECT_NE(claims.find("host/eh1", 1, now), nullptr);
  EXPECT_EQ(claims.find("host/eh1", 4, now), nullptr);
  EXPECT_EQ(claims.find("host/eh1", 1, now + std::chrono::seconds(9)), nullptr);
}

}  // namespace
}  // namespace doppel::amqp
