// The SASL layer of a server (OASIS AMQP 1.0 part 5, section 5.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/sasl_frame.h"

namespace doppel::amqp {
namespace {

using ::testing::HasSubstr;
using testing::RawPeer;
using ::testing::StartsWith;

template <class Frame>
std::string sasl_frame(const Frame& frame) {
  std::string out;
  const auto start = begin_frame(out, FrameType::sasl, 0);
  append(out, frame);
  end_frame(out, start);
  return out;
}

SaslInit init_of(std::string_view mechanism, std::string_view response) {
  SaslInit init;
  init.mechanism = Symbol(mechanism);
  init.initial_response = Binary(response);
  return init;
}

SaslCode outcome_in(std::string_view bytes) {
  while (!bytes.empty()) {
    if (bytes.starts_with("AMQP")) {
      bytes.remove_prefix(kProtocolHeaderBytes);
      continue;
    }
    const auto header = decode_frame_header(bytes);
    const auto frame =
        decode_sasl_frame(bytes.substr(header->body_offset, header->size - header->body_offset));
    if (frame.has_value()) {
      if (const auto* outcome = std::get_if<SaslOutcome>(&*frame)) return outcome->code;
    }
    bytes.remove_prefix(header->size);
  }
  return SaslCode::sys_temp;
}

// Part 5, 5.3.3.1: all mechanisms of all clients, as an array of symbol.
TEST(SaslTest, AnnouncesEveryMechanismAnyClientWants) {
  RawPeer peer;
  peer.bytes(kSaslHeader);
  const auto bytes = peer.take_bytes();
  ASSERT_THAT(bytes, StartsWith(kSaslHeader));
  for (const auto name : {"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL", "TPM"})
    EXPECT_THAT(bytes, HasSubstr(name));
  EXPECT_THAT(bytes, HasSubstr(std::string("\x00\x53\x40", 3)));  // descriptor as smallulong
  EXPECT_THAT(bytes, HasSubstr("\xe0"));                          // array8
}

TEST(SaslTest, TakesAnonymousWithAnyInitialResponse) {
  for (const std::string_view response : {std::string_view("\0Root", 5), std::string_view("")}) {
    for (const auto mechanism : {"ANONYMOUS", "MSSBCBS", "EXTERNAL"}) {
      RawPeer peer;
      peer.bytes(kSaslHeader);
      peer.bytes(sasl_frame(init_of(mechanism, response)));
      EXPECT_EQ(outcome_in(peer.take_bytes()), SaslCode::ok) << mechanism;
      EXPECT_FALSE(peer.server.transport.is_closed());
    }
  }
}

// .NET's MSSBCBS has no initial response at all.
TEST(SaslTest, TakesMssbcbsWithoutInitialResponse) {
  RawPeer peer;
  SaslInit init;
  init.mechanism = Symbol("MSSBCBS");
  peer.bytes(kSaslHeader);
  peer.bytes(sasl_frame(init));
  EXPECT_EQ(outcome_in(peer.take_bytes()), SaslCode::ok);
}

TEST(SaslTest, AsksTheContainerAboutPlainAndWaitsForItsAnswer) {
  RawPeer peer;
  std::move_only_function<void(bool)> answer;
  PlainCredentials seen;
  peer.container.on_authenticate = [&](std::shared_ptr<Connection>, PlainCredentials credentials,
                                       std::move_only_function<void(bool)> then) {
    seen = std::move(credentials);
    answer = std::move(then);
  };
  peer.bytes(kSaslHeader);
  // The client may go on without waiting for the outcome (pipelined); nothing is lost.
  Open open;
  open.container_id = "c";
  peer.bytes(sasl_frame(init_of("PLAIN", std::string_view("\0rule\0key=\0x", 12))) +
             std::string(kAmqpHeader) + RawPeer::frame(0, open));
  EXPECT_EQ(seen.user, "rule");
  EXPECT_EQ(seen.password, std::string_view("key=\0x", 6));
  EXPECT_FALSE(peer.server.engine->is_open());
  answer(true);
  peer.run();
  EXPECT_TRUE(peer.server.engine->is_open());
  EXPECT_EQ(peer.server.engine->sasl().user, "rule");
}

TEST(SaslTest, RefusesPlainWithOutcomeOne) {
  for (const std::string_view response :
       {std::string_view("\0rule\0wrong", 11), std::string_view("no zero bytes"),
        std::string_view("\0\0", 2), std::string_view("")}) {
    RawPeer peer;
    peer.bytes(kSaslHeader);
    peer.bytes(sasl_frame(init_of("PLAIN", response)));
    EXPECT_EQ(outcome_in(peer.take_bytes()), SaslCode::auth);
    EXPECT_TRUE(peer.server.transport.is_closed());
  }
}

TEST(SaslTest, RefusesAMechanismThatNobodyKnows) {
  RawPeer peer;
  peer.bytes(kSaslHeader);
  peer.bytes(sasl_frame(init_of("KERBEROS", "")));
  EXPECT_EQ(outcome_in(peer.take_bytes()), SaslCode::auth);
}

struct TwoRounds final : SaslExchange {
  void respond(std::string response, Answer answer) override {
    seen->push_back(std::move(response));
    if (seen->size() == 1)
      return answer({.kind = SaslAnswer::Kind::challenge, .challenge = std::string(1, '\0')});
    answer({.kind = SaslAnswer::Kind::accepted});
  }
  std::vector<std::string>* seen = nullptr;
};

// TPM has several rounds (client-wire-notes.md, section 4).
TEST(SaslTest, CarriesAMechanismOfSeveralRounds) {
  RawPeer peer;
  std::vector<std::string> seen;
  peer.container.on_exchange = [&](std::string_view mechanism) {
    EXPECT_EQ(mechanism, "TPM");
    auto exchange = std::make_unique<TwoRounds>();
    exchange->seen = &seen;
    return exchange;
  };
  peer.bytes(kSaslHeader);
  peer.bytes(sasl_frame(init_of("TPM", "ek")));
  EXPECT_THAT(peer.take_bytes(), HasSubstr(std::string("\x00\x53\x42", 3)));
  SaslResponse response;
  response.response = Binary("srk");
  peer.bytes(sasl_frame(response));
  EXPECT_EQ(outcome_in(peer.take_bytes()), SaslCode::ok);
  EXPECT_THAT(seen, ::testing::ElementsAre("ek", "srk"));
}

TEST(SaslTest, RefusesAResponseWithoutChallengeAndASecondInit) {
  RawPeer peer;
  peer.bytes(kSaslHeader);
  peer.bytes(sasl_frame(SaslResponse{}));
  EXPECT_TRUE(peer.server.transport.is_closed());
}

}  // namespace
}  // namespace doppel::amqp
