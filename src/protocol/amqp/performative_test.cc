// How performatives are written, and what is refused of those that come.
#include "protocol/amqp/performative.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/amqp/sasl_frame.h"
#include "protocol/amqp/testing.h"

namespace doppel::amqp {
namespace {

std::string bytes(std::string_view hex) { return hex_decode(hex).value(); }

template <class T>
std::string written(const T& composite) {
  std::string out;
  append(out, composite);
  return hex_encode(out);
}

std::string_view refusal(std::string_view hex) {
  static std::string input;
  input = bytes(hex);
  const auto decoded = decode_performative(input);
  return decoded.is_malformed() ? decoded.reason() : "not refused";
}

std::string meaning(std::string_view hex) {
  const auto decoded = decode_performative(bytes(hex));
  return decoded.has_value() ? testing::describe(decoded->performative)
                             : std::string(decoded.reason());
}

// Python's azure-eventhub 5.11 takes fields by position (_pyamqp/session.py), so that a field left
// away at the end is an "index out of range" there; its decoder takes byte 2 for the descriptor and
// knows no list0 (_pyamqp/_decode.py).
TEST(AmqpPerformativeTest, WritesEveryFieldAndNeverAnEmptyList) {
  EXPECT_EQ(written(Open{.container_id = "c"}), "005310c0130aa101634070ffffffff60ffff404040404040");
  EXPECT_EQ(written(Begin{.remote_channel = 1, .handle_max = 255}),
            "005311c00c0860000143434352ff404040");
  EXPECT_EQ(written(Flow{}), "005313c00c0b4043434340404040424240");
  EXPECT_EQ(written(Transfer{}), "005314c00c0b4340404040424040424242");
  EXPECT_EQ(written(Disposition{}), "005315c00706424340424042");
  EXPECT_EQ(written(Detach{}), "005316c00403434240");
  EXPECT_EQ(written(End{}), "005317c0020140");
  EXPECT_EQ(written(Close{}), "005318c0020140");
  EXPECT_EQ(written(Accepted{}), "005324c00100");
  EXPECT_EQ(written(AmqpError{.condition = Symbol("x")}), "00531dc00603a301784040");
  EXPECT_EQ(written(SaslOutcome{}), "005344c00402500040");
  EXPECT_EQ(written(SaslMechanisms{.sasl_server_mechanisms = {Symbol("A")}}),
            "005340c00701e00401a30141");
}

TEST(AmqpPerformativeTest, WritesAllFourteenFieldsOfARefusedAttach) {
  EXPECT_EQ(written(Attach{.name = "l", .handle = 3, .role = Role::sender}),
            "005312c0140ea1016c52034250025000404040424040404040");
}

TEST(AmqpPerformativeTest, ReadsEveryFormOfDescriptorAndList) {
  EXPECT_EQ(meaning("005316c00403434140"), "detach closed=bool:true");
  EXPECT_EQ(meaning("00800000000000000016c0020143"), "detach");
  EXPECT_EQ(meaning("00a310616d71703a6465746163683a6c697374d0000000050000000143"), "detach");
  EXPECT_EQ(meaning("00b300000010616d71703a6465746163683a6c697374c0020143"), "detach");
  EXPECT_EQ(meaning("00531845"), "close");
}

TEST(AmqpPerformativeTest, RefusesWhatIsMissingTooMuchOrWrong) {
  EXPECT_EQ(refusal(""), "a value ends past the end of what holds it");
  EXPECT_EQ(refusal("c00100"), "expected a described value");
  EXPECT_EQ(refusal("005319c00100"), "unknown performative");
  EXPECT_EQ(refusal("005344c003015000"), "unknown performative");  // a SASL frame
  EXPECT_EQ(refusal("00a1016145"), "a descriptor is neither a ulong nor a symbol");
  EXPECT_EQ(refusal("00a30045"), "a descriptor is empty");
  EXPECT_EQ(refusal("00531645"), "detach: handle is missing");
  EXPECT_EQ(refusal("005316c0020140"), "detach: handle is missing");
  EXPECT_EQ(refusal("005316c0050443424040"),
            "a performative, section or state has too many fields");
  EXPECT_EQ(refusal("005316c1020143"), "expected a list");
  EXPECT_EQ(refusal("005316c0020144"), "expected a uint");
  EXPECT_EQ(refusal("005316c003024344"), "expected a boolean");
  EXPECT_EQ(refusal("005310c0020143"), "expected a string");
  EXPECT_EQ(refusal("005312c00804a1016c43425003"), "unknown sender settle mode");
}

TEST(AmqpPerformativeTest, HoldsDeliveryTagsOfUpTo32BytesWithoutMemory) {
  const std::string longest(kDeliveryTagBytesMax, 't');
  ASSERT_TRUE(DeliveryTag::from(longest).has_value());
  EXPECT_EQ(DeliveryTag::from(longest)->view(), longest);
  EXPECT_FALSE(DeliveryTag::from(longest + "t").has_value());
  EXPECT_EQ(refusal("005314c026044343a021" + hex_encode(longest + "t") + "43"),
            "a delivery tag is longer than 32 bytes");
}

TEST(AmqpPerformativeTest, LeavesThePayloadOfATransferToTheCaller) {
  std::string frame;
  append(frame, Transfer{.handle = 1});
  const auto size = frame.size();
  const auto decoded = decode_performative(frame + "payload");
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->consumed, size);
  EXPECT_EQ(name_of(decoded->performative), "transfer");
}

// A coordinator is answered with a refused link, not with the end of the connection.
TEST(AmqpPerformativeTest, KeepsUnknownTerminiAndStatesAsValues) {
  Attach attach{.name = "tx"};
  attach.target = Value(Described{.descriptor = Value(std::uint64_t{0x30}), .value = List{}});
  std::string out;
  append(out, attach);
  const auto decoded = decode_performative(out);
  ASSERT_TRUE(decoded.has_value());
  const auto& target = std::get<Attach>(decoded->performative).target;
  ASSERT_TRUE(std::holds_alternative<Value>(target));
  EXPECT_TRUE(std::get<Value>(target).described_if()->is(0x30, "amqp:coordinator:list"));
  // But a source with a wrong field is a malformed source, not an unknown one.
  EXPECT_EQ(refusal("005312c00f06a1016c43424040005328c0020143"), "expected a string");
}

TEST(AmqpPerformativeTest, WidensAListThatGrowsPast255Bytes) {
  const Open open{.container_id = std::string(300, 'c'),
                  .properties = Map{}.add_symbol("k", Value(std::string(300, 'v')))};
  std::string out;
  append(out, open);
  EXPECT_TRUE(out.starts_with(bytes("005310d0")));
  const auto decoded = decode_performative(out);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(std::get<Open>(decoded->performative), open);
}

}  // namespace
}  // namespace doppel::amqp
