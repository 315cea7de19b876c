// SASL TPM as the SDKs speak it (dps.md section 2.4), the TPM in software.
#include "provisioning/wire/amqp_tpm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "errors/dps.h"
#include "provisioning/tpm_testing.h"

namespace doppel::provisioning {
namespace {

using testing::SoftTpm;
using Kind = amqp::SaslAnswer::Kind;

class FakeConnection final : public amqp::Connection,
                             public std::enable_shared_from_this<FakeConnection> {
 public:
  explicit FakeConnection(Executor& executor) : executor_(executor) {}

  std::shared_ptr<amqp::Connection> share() override { return shared_from_this(); }
  Executor& executor() override { return executor_; }
  const amqp::PeerInfo& peer() const override { return peer_; }
  const amqp::SaslIdentity& sasl() const override { return sasl_; }
  std::string_view hostname() const override { return {}; }
  std::string_view container_id() const override { return {}; }
  bool is_open() const override { return false; }
  amqp::Claims& claims() override { return claims_; }
  std::shared_ptr<void>& slot(const void*) override { return slot_; }
  void close(std::optional<amqp::Condition>) override {}

 private:
  Executor& executor_;
  amqp::PeerInfo peer_;
  amqp::SaslIdentity sasl_;
  amqp::Claims claims_;
  std::shared_ptr<void> slot_;
};

class AmqpTpmTest : public ::testing::Test, public testing::TpmWorld {
 protected:
  AmqpTpmTest() { restart(); }

  void restart() {
    presented.clear();
    exchange = std::make_unique<TpmExchange>(
        provisioning, connection,
        [this](amqp::Connection&, TpmPresented what) { presented.push_back(std::move(what)); });
  }
  amqp::SaslAnswer send(std::string response) {
    std::optional<amqp::SaslAnswer> answer;
    executor.post([&] {
      exchange->respond(std::move(response),
                        [&](amqp::SaslAnswer given) { answer = std::move(given); });
    });
    executor.run_until_idle();
    EXPECT_TRUE(answer) << "no answer";
    return answer.value_or(amqp::SaslAnswer{});
  }
  static std::string zero(std::string_view rest = "") {
    return std::string(1, '\0') + std::string(rest);
  }
  std::string init(std::string_view id, std::string_view scope = testing::kScope) {
    return zero(scope) + zero(id) + zero(tpm.endorsement_key);
  }
  // `content` in segments, as C's client splits it.
  static std::vector<std::string> split(std::string_view content, std::size_t size) {
    std::vector<std::string> parts;
    for (unsigned sequence = 0; !content.empty(); ++sequence) {
      const auto part = content.substr(0, size);
      content.remove_prefix(part.size());
      const unsigned control = 0x80u | (content.empty() ? 0x40u : 0u) | (sequence & 3u);
      parts.push_back(std::string(1, static_cast<char>(control)) + std::string(part));
    }
    return parts;
  }
  // From the first segment of the challenge on: the blob.
  std::string read_blob(amqp::SaslAnswer answer) {
    std::string blob;
    for (unsigned expected = 0; expected < 8; ++expected) {
      EXPECT_EQ(answer.kind, Kind::challenge);
      if (answer.kind != Kind::challenge || answer.challenge.empty()) return {};
      EXPECT_LE(answer.challenge.size(), kTpmSegmentSize + 1);
      const auto control = static_cast<unsigned char>(answer.challenge.front());
      EXPECT_EQ(control & 0x83u, 0x80u | expected);  // .NET compares the whole counter
      blob += answer.challenge.substr(1);
      if ((control & 0x40u) != 0) return blob;
      answer = send(zero());
    }
    ADD_FAILURE() << "too many segments";
    return {};
  }

  std::shared_ptr<FakeConnection> connection = std::make_shared<FakeConnection>(executor);
  std::unique_ptr<TpmExchange> exchange;
  std::vector<TpmPresented> presented;
};

TEST_F(AmqpTpmTest, EndsWithAProofThatRegisters) {
  for (const bool is_rsa : {false, true}) {
    if (is_rsa) tpm = SoftTpm::make_rsa();
    ASSERT_TRUE(put_tpm("tpm-1"));
    restart();
    const auto first = send(init("tpm-1"));
    EXPECT_EQ(first.kind, Kind::challenge);
    EXPECT_EQ(first.challenge, zero());  // Node tests for one byte
    const auto blob = read_blob(send(zero(tpm.storage_root_key)));
    const auto key = tpm.activate(blob);
    ASSERT_TRUE(key);
    EXPECT_TRUE(presented.empty());
    EXPECT_EQ(send(zero(tpm_token("tpm-1", *key))).kind, Kind::accepted);
    ASSERT_EQ(presented.size(), 1u);
    EXPECT_EQ(presented[0].id_scope, testing::kScope);
    EXPECT_EQ(presented[0].registration_id, "tpm-1");
    const auto proven = run(
        provisioning.registrar().prove(instance(), RegistrationId("tpm-1"), presented[0].proof));
    EXPECT_TRUE(proven) << proven.error().message;
    auto wanted = request("tpm-1", "");
    wanted.proof = presented[0].proof;
    const auto registered = run(provisioning.registrar().register_device(std::move(wanted)));
    ASSERT_TRUE(registered && registered->outcome);
    EXPECT_TRUE(delivered(registered->outcome->state));
  }
}

// SASL takes any token: the reason for a refusal is told after the open.
TEST_F(AmqpTpmTest, LeavesAWrongTokenToTheOpen) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  send(init("tpm-1"));
  read_blob(send(zero(tpm.storage_root_key)));
  EXPECT_EQ(send(zero(tpm_token("tpm-1", "guessed"))).kind, Kind::accepted);
  ASSERT_EQ(presented.size(), 1u);
  EXPECT_FALSE(
      run(provisioning.registrar().prove(instance(), RegistrationId("tpm-1"), presented[0].proof)));
}

TEST_F(AmqpTpmTest, TakesKeysInSegments) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto send_split = [&](const std::string& content, std::size_t size) {
    const auto parts = split(content, size);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto more = send(parts[i]);
      EXPECT_EQ(more.kind, Kind::challenge);
      // C reads the first byte of whatever comes; an empty one would be read past its end.
      EXPECT_EQ(more.challenge, zero());
    }
    return send(parts.back());
  };
  EXPECT_EQ(send_split(init("tpm-1").substr(1), 20).challenge, zero());
  EXPECT_TRUE(tpm.activate(read_blob(send_split(tpm.storage_root_key, 100))));
}

TEST_F(AmqpTpmTest, RefusesWhereNoChallengeCanBeMade) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "key-1", R"({"attestation":{"type":"symmetricKey"}})"));
  const auto end = [&](std::string first, std::string second) {
    restart();
    auto answer = send(std::move(first));
    if (answer.kind == Kind::challenge) answer = send(std::move(second));
    EXPECT_TRUE(presented.empty());
    return answer.kind;
  };
  const auto srk = zero(tpm.storage_root_key);
  EXPECT_EQ(end(init("tpm-1"), srk), Kind::challenge);
  EXPECT_EQ(end(init("tpm-1") + "x", srk), Kind::refused);
  EXPECT_EQ(end(init("tpm-1"), zero("no key")), Kind::refused);
  EXPECT_EQ(end(zero("scope only"), srk), Kind::refused);
  EXPECT_EQ(end("", srk), Kind::refused);
  EXPECT_EQ(end("x" + init("tpm-1"), srk), Kind::refused);
  EXPECT_EQ(end(init("tpm-1"), ""), Kind::refused);
  EXPECT_EQ(end(zero(std::string(kTpmGatheredMax + 1, 'x')), srk), Kind::refused);
}

// Node's client waits in vain after a refusal in SASL; after the open every client sees the reason.
TEST_F(AmqpTpmTest, LeavesAStrangerToTheOpen) {
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "key-1", R"({"attestation":{"type":"symmetricKey"}})"));
  ASSERT_TRUE(put_tpm("tpm-1"));
  tpm = security::tpm::testing::SoftTpm::make_ec();  // not the one that was enrolled
  for (const std::string id : {"nobody", "key-1", "tpm-1"}) {
    restart();
    send(init(id));
    const auto key = tpm.activate(read_blob(send(zero(tpm.storage_root_key))));
    ASSERT_TRUE(key) << id;
    EXPECT_EQ(send(zero(tpm_token(id, *key))).kind, Kind::accepted);
    ASSERT_EQ(presented.size(), 1u);
    const auto proven =
        run(provisioning.registrar().prove(instance(), RegistrationId(id), presented[0].proof));
    ASSERT_FALSE(proven) << id;
    EXPECT_EQ(proven.error().service, &errors::dps::kUnauthorized);
  }
  restart();
  send(init("tpm-1", "0neFFFFFFFF"));
  EXPECT_TRUE(tpm.activate(read_blob(send(zero(tpm.storage_root_key)))));
}

TEST_F(AmqpTpmTest, RefusesSegmentsOutOfTurnAndWithoutEnd) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  EXPECT_EQ(send("\x81"
                 "abc")
                .kind,
            Kind::refused);
  restart();
  EXPECT_EQ(send("\x80"
                 "abc")
                .kind,
            Kind::challenge);
  EXPECT_EQ(send("\x80"
                 "abc")
                .kind,
            Kind::refused);
  restart();
  EXPECT_EQ(send("\x80"
                 "abc")
                .kind,
            Kind::challenge);
  EXPECT_EQ(send(init("tpm-1")).kind, Kind::refused);
  restart();
  std::size_t sent = 0;
  for (unsigned i = 0;; ++i) {
    const auto answer =
        send(std::string(1, static_cast<char>(0x80u | (i & 3u))) + std::string(256, 'x'));
    sent += 256;
    if (answer.kind == Kind::refused) break;
    ASSERT_LE(sent, kTpmGatheredMax);
  }
}

TEST_F(AmqpTpmTest, IsOverAfterItsEnd) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  send(init("tpm-1"));
  const auto blob = read_blob(send(zero(tpm.storage_root_key)));
  EXPECT_EQ(send("token without zero").kind, Kind::refused);
  EXPECT_EQ(send(zero(tpm_token("tpm-1", tpm.activate(blob).value()))).kind, Kind::refused);
  EXPECT_TRUE(presented.empty());
}

// The peer went away while its challenge was made.
TEST_F(AmqpTpmTest, SurvivesTheEndOfItsConnection) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  send(init("tpm-1"));
  std::optional<amqp::SaslAnswer> answer;
  executor.post([&] {
    exchange->respond(zero(tpm.storage_root_key),
                      [&](amqp::SaslAnswer given) { answer = std::move(given); });
    exchange.reset();
    connection.reset();
  });
  executor.run_until_idle();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, Kind::challenge);
}

}  // namespace
}  // namespace doppel::provisioning
