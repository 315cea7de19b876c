// Idempotent producers: an event is stored once, whatever its producer repeats.
#include "events/wire/producers.h"

#include <string>

#include <gtest/gtest.h>

#include "events/wire/event_hub_fixture.h"

namespace doppel::events {
namespace {

using Kind = amqp::Verdict::Kind;

class Producers : public EventHubFixture {
 protected:
  Producers() { grant_all(); }
  OpenLink open(amqp::Value id, amqp::Value epoch, amqp::Value sequence = {}) {
    auto options = amqp::testing::sender_to("eh1/Partitions/0");
    options.desired_capabilities = {"com.microsoft:idempotent-producer"};
    options.properties.add_symbol(kProducerId, std::move(id));
    options.properties.add_symbol(kProducerEpoch, std::move(epoch));
    options.properties.add_symbol(kProducerSequence, std::move(sequence));
    return attach(std::move(options));
  }
  static std::string event(std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
    std::string out;
    amqp::Map annotations;
    annotations.add_symbol(kProducerId, id)
        .add_symbol(kProducerEpoch, epoch)
        .add_symbol(kProducerSequence, sequence);
    amqp::append_map_section(out, amqp::SectionCode::message_annotations, annotations);
    amqp::append_data_section(out, "e");
    return out;
  }
  // What the server says was the last sequence number it took.
  static std::int32_t last_of(const OpenLink& producer) {
    const auto* value = producer.handler->attached->properties->find(kProducerSequence);
    return *value->get_if<std::int32_t>();
  }
  std::uint64_t stored() { return log.bounds({.log = {"ns1", "eh1"}, .index = 0}).next.value; }
};

TEST_F(Producers, StoreARepeatedEventOnce) {
  auto to = open({}, {});
  ASSERT_TRUE(to.handler->attached && to.handler->attached->properties);
  const auto* id = to.handler->attached->properties->find(kProducerId)->get_if<std::int64_t>();
  ASSERT_NE(id, nullptr);
  EXPECT_EQ(send(to, event(*id, 0, 1)).kind, Kind::accepted);
  EXPECT_EQ(send(to, event(*id, 0, 1)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 1u);
  EXPECT_EQ(send(to, event(*id, 0, 3)).error.condition, "com.microsoft:out-of-order-sequence");
  EXPECT_EQ(send(to, event(*id, 0, 2)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 2u);
}

TEST_F(Producers, LoseThePartitionToANewerEpochOfThemselves) {
  auto old = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}));
  send(old, event(5, 0, 1));
  auto young = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{1}));
  EXPECT_EQ(last_of(young), 1);
  EXPECT_EQ(send(old, event(5, 0, 2)).error.condition, "com.microsoft:producer-epoch-stolen");
  EXPECT_EQ(send(young, event(5, 1, 2)).kind, Kind::accepted);
  EXPECT_EQ(open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0})).error(),
            "com.microsoft:producer-epoch-stolen");
  EXPECT_EQ(stored(), 2u);
}

TEST_F(Producers, GetIdsThatJavaScriptsNumbersHold) {
  for (int i = 0; i < 8; ++i) {
    const auto to = open({}, {});
    const auto* id = to.handler->attached->properties->find(kProducerId)->get_if<std::int64_t>();
    ASSERT_NE(id, nullptr);
    EXPECT_GT(*id, 0);
    EXPECT_LT(*id, std::int64_t{1} << 53);
  }
}

// The answer to 2 was lost. Node's client numbers its repetition by the number it is told.
TEST_F(Producers, RepeatWhatGotNoAnswerUnderTheNumberTheyComeBackWith) {
  auto to = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}));
  send(to, event(5, 0, 1));
  send(to, event(5, 0, 2));
  auto again = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}),
                    amqp::Value(std::int32_t{1}));
  EXPECT_EQ(*again.handler->attached->properties->find(kProducerSequence),
            amqp::Value(std::int32_t{1}));
  EXPECT_EQ(send(again, event(5, 0, 2)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 2u);
  EXPECT_EQ(send(again, event(5, 0, 3)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 3u);
}

// The answers were lost with the connection: the producer comes back with the last number it heard
// of and repeats all after it.
TEST_F(Producers, StoreNothingTwiceWhenTheyComeBackInTheSameEpochWithAnOlderNumber) {
  auto before = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}));
  for (const std::int32_t sequence : {1, 2, 3}) send(before, event(5, 0, sequence));
  auto again = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}),
                    amqp::Value(std::int32_t{1}));
  EXPECT_EQ(last_of(again), 1);  // what it came with, by which it numbers its repetition
  for (const std::int32_t sequence : {2, 3})
    EXPECT_EQ(send(again, event(5, 0, sequence)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 3u);
  EXPECT_EQ(send(again, event(5, 0, 4)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 4u);
}

// Behind the largest number comes 0, which is not further back.
TEST_F(Producers, AreNotTakenBackAcrossTheWrapOfTheirNumbers) {
  auto before = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}),
                     amqp::Value(std::int32_t{0x7ffffffe}));
  for (const std::int32_t sequence : {0x7fffffff, 0}) send(before, event(5, 0, sequence));
  auto again = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}),
                    amqp::Value(std::int32_t{0x7ffffffe}));
  EXPECT_EQ(send(again, event(5, 0, 0x7fffffff)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 2u);
}

// A newer epoch may say where it begins, as in the service.
TEST_F(Producers, MayBeginAnewInANewerEpoch) {
  auto before = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{0}));
  for (const std::int32_t sequence : {1, 2, 3}) send(before, event(5, 0, sequence));
  const auto young = open(amqp::Value(std::int64_t{5}), amqp::Value(std::int16_t{1}),
                          amqp::Value(std::int32_t{0}));
  EXPECT_EQ(last_of(young), 0);
}

class IdleProducers : public Producers {
 protected:
  OpenLink open_as(std::int64_t id) { return open(amqp::Value(id), amqp::Value(std::int16_t{0})); }
  void forget(std::size_t producers_max = kProducersMax) {
    EXPECT_TRUE(doppel::testing::run(
        pair.executor, forget_idle_producers(*store, pair.clock.now(), partition, producers_max)));
  }
  // How many the store knows.
  std::size_t known() {
    const auto prefix = checkpoint_prefix(partition.log);
    const auto snapshot = store->snapshot();
    return doppel::testing::run(pair.executor,
                                snapshot->scan(prefix, store::after_prefix(prefix), 1'000'000))
        ->size();
  }
  const Partition partition{.log = {"ns1", "eh1"}, .index = 0};
};

TEST_F(IdleProducers, AreForgottenAfterADay) {
  open_as(1);
  pair.clock.advance(kProducerKept / 2);
  auto second = open_as(2);
  pair.clock.advance(kProducerKept / 2);
  forget();
  EXPECT_EQ(known(), 1u);
  EXPECT_EQ(send(second, event(2, 0, 1)).kind, Kind::accepted);
  pair.clock.advance(kProducerKept / 2);  // a day after it attached, half a day after it sent
  forget();
  EXPECT_EQ(known(), 1u);
}

// Its link ends with an error after which clients attach again, with what they know of themselves.
TEST_F(IdleProducers, ComeBackWithTheirOwnNumberAndStoreNothingTwice) {
  auto quiet = open_as(1);
  send(quiet, event(1, 0, 1));
  pair.clock.advance(kProducerKept);
  forget();
  const std::string next = event(1, 0, 2);
  const std::string_view piece = next;
  quiet.link->send({&piece, 1}, {.is_settled = false});
  pair.run();
  EXPECT_EQ(quiet.error(), "amqp:link:detach-forced");
  EXPECT_EQ(stored(), 1u);
  auto again = open(amqp::Value(std::int64_t{1}), amqp::Value(std::int16_t{0}),
                    amqp::Value(std::int32_t{1}));
  EXPECT_EQ(send(again, event(1, 0, 2)).kind, Kind::accepted);
  EXPECT_EQ(send(again, event(1, 0, 2)).kind, Kind::accepted);
  EXPECT_EQ(stored(), 2u);
}

TEST_F(IdleProducers, AreForgottenInTheOrderOfTheirSilenceWhenThereAreTooMany) {
  for (std::int64_t id = 1; id <= 250; ++id) {
    open_as(id).link->detach();
    pair.run();
    pair.clock.advance(std::chrono::seconds(1));
  }
  auto oldest = open_as(1);
  forget(3);
  EXPECT_EQ(known(), 3u);
  EXPECT_EQ(send(oldest, event(1, 0, 1)).kind, Kind::accepted);
  auto newest = open_as(250);
  EXPECT_EQ(known(), 3u);
}

// Written before the time was kept.
TEST_F(IdleProducers, OfOldDataAreReadAndForgottenFirst) {
  store::Transaction tx(*store);
  tx.put(checkpoint_key("$producer:9", partition), std::string("\0\0\0\1\0\0\0\7", 8));
  ASSERT_TRUE(doppel::testing::run(pair.executor, tx.commit()));
  EXPECT_EQ(last_of(open(amqp::Value(std::int64_t{9}), amqp::Value(std::int16_t{1}))), 7);
  EXPECT_EQ(known(), 1u);
  forget();
  EXPECT_EQ(known(), 1u);  // it was used now
}

}  // namespace
}  // namespace doppel::events
