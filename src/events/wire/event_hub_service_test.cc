// Event Hubs from a client's side of the wire: what it sends comes back, from where it asked, and
// refusals are those that clients know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time_text.h"
#include "events/wire/event_hub_fixture.h"

namespace doppel::events {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = amqp::Verdict::Kind;

constexpr std::string_view kFirst = "eh1/ConsumerGroups/$Default/Partitions/0";
constexpr std::uint32_t kBatch = amqp::kBatchMessageFormat;

std::string first() { return std::string(kFirst); }

TEST_F(EventHubFixture, GivesBackWhatWasSent) {
  grant_all();
  auto to = sender("eh1/Partitions/0");
  EXPECT_EQ(send(to, data_message("a")).kind, Kind::accepted);
  const auto from = attach(receiver_at(first()));
  ASSERT_EQ(from.handler->messages.size(), 1u);
  EXPECT_TRUE(from.handler->messages[0].is_settled);
  const auto event = read_event(from.handler->messages[0].payload);
  EXPECT_EQ(event.body, "a");
  EXPECT_EQ(event.sequence(), 0);
  EXPECT_EQ(*event.annotations.find(kOffset), amqp::Value("0"));
  EXPECT_EQ(*event.annotations.find(kEnqueuedTime),
            amqp::Value(amqp::Timestamp{to_unix_millis(pair.clock.now())}));
  EXPECT_EQ(event.annotations.find(kPartitionKey), nullptr);
}

// Typed properties, an odd message id and a body that is a value: the bytes are the sender's.
TEST_F(EventHubFixture, KeepsTheBareMessageByteForByte) {
  grant_all();
  std::string bare;
  amqp::MessageProperties properties;
  properties.message_id = amqp::Value(std::uint64_t{42});
  amqp::append(bare, properties);
  amqp::Map application;
  application.add_string("n", std::int32_t{5}).add_string("t", amqp::Timestamp{1000});
  amqp::append_map_section(bare, amqp::SectionCode::application_properties, application);
  amqp::append_value_section(bare, amqp::Value(application));
  auto to = sender("eh1/Partitions/0");
  EXPECT_EQ(send(to, bare).kind, Kind::accepted);
  const auto from = attach(receiver_at(first()));
  ASSERT_EQ(from.handler->messages.size(), 1u);
  EXPECT_EQ(read_event(from.handler->messages[0].payload).bare, bare);
}

// rhea writes a footer in front of the body, with which the body was lost; found by
// event_message_fuzz.
TEST_F(EventHubFixture, KeepsABodyThatStandsBehindAFooter) {
  grant_all();
  std::string bare;
  amqp::append_map_section(bare, amqp::SectionCode::application_properties,
                           amqp::Map{}.add_string("n", std::int32_t{5}));
  amqp::append_map_section(bare, amqp::SectionCode::footer,
                           amqp::Map{}.add_symbol("f", amqp::Value("x")));
  amqp::append_data_section(bare, "behind");
  auto to = sender("eh1/Partitions/0");
  EXPECT_EQ(send(to, bare).kind, Kind::accepted);
  const auto from = attach(receiver_at(first()));
  ASSERT_EQ(from.handler->messages.size(), 1u);
  const auto event = read_event(from.handler->messages[0].payload);
  EXPECT_EQ(event.body, "behind");
  EXPECT_EQ(event.bare, bare);
}

// The same without properties: the footer is the first of the sender's sections.
TEST_F(EventHubFixture, KeepsAFooterThatStandsBeforeEverythingElse) {
  grant_all();
  std::string message;
  amqp::append_map_section(message, amqp::SectionCode::footer,
                           amqp::Map{}.add_symbol("f", amqp::Value("x")));
  amqp::append_data_section(message, "behind");
  auto to = sender("eh1/Partitions/0");
  EXPECT_EQ(send(to, message).kind, Kind::accepted);
  const auto from = attach(receiver_at(first()));
  ASSERT_EQ(from.handler->messages.size(), 1u);
  const auto& payload = from.handler->messages[0].payload;
  EXPECT_EQ(read_event(payload).body, "behind");
  EXPECT_TRUE(payload.ends_with(message));
}

TEST_F(EventHubFixture, KeepsTheSendersAnnotationsButNotThoseOfTheService) {
  grant_all();
  std::string message;
  amqp::Map annotations;
  annotations.add_symbol("mine", std::int32_t{1}).add_symbol(kSequenceNumber, std::int64_t{99});
  amqp::append_map_section(message, amqp::SectionCode::message_annotations, annotations);
  amqp::append_data_section(message, "x");
  auto to = sender("eh1/Partitions/0");
  send(to, message);
  const auto from = attach(receiver_at(first()));
  const auto event = read_event(from.handler->messages.at(0).payload);
  EXPECT_EQ(event.sequence(), 0);
  EXPECT_EQ(*event.annotations.find("mine"), amqp::Value(std::int32_t{1}));
  EXPECT_EQ(event.annotations.entries.size(), 4u);
}

TEST_F(EventHubFixture, StoresABatchAsConsecutiveEventsOfTheKeysPartition) {
  grant_all();
  auto to = sender("eh1");
  EXPECT_EQ(send(to, batch_message({data_message("a"), data_message("b")}, "pk"), kBatch).kind,
            Kind::accepted);
  const auto from = attach(receiver_at("eh1/ConsumerGroups/$default/Partitions/3"));  // of "pk"
  EXPECT_THAT(bodies(from), ElementsAre("a", "b"));
  const auto event = read_event(from.handler->messages.at(1).payload);
  EXPECT_EQ(event.sequence(), 1);
  EXPECT_EQ(*event.annotations.find(kPartitionKey), amqp::Value("pk"));
}

TEST_F(EventHubFixture, StoresNothingOfABatchWithABrokenEvent) {
  grant_all();
  auto to = sender("eh1/Partitions/0");
  const auto verdict = send(to, batch_message({data_message("a"), "broken"}), kBatch);
  EXPECT_EQ(verdict.kind, Kind::rejected);
  EXPECT_EQ(verdict.error.condition, "com.microsoft:argument-error");
  EXPECT_EQ(log.bounds({.log = {"ns1", "eh1"}, .index = 0}).next.value, 0u);
}

TEST_F(EventHubFixture, SpreadsEventsWithoutAKeyOverThePartitions) {
  grant_all();
  auto to = sender("eh1");
  for (int i = 0; i < 8; ++i) send(to, data_message("x"));
  for (std::uint32_t p = 0; p < 4; ++p)
    EXPECT_EQ(log.bounds({.log = {"ns1", "eh1"}, .index = p}).next.value, 2u);
}

TEST_F(EventHubFixture, DoesNotAcceptWhatCouldNotBeStored) {
  grant_all();
  auto to = sender("eh1/Partitions/0");
  faults.fail_next_flush(store::FaultInjection::Fault::lose_write);
  const auto verdict = send(to, data_message("a"));
  EXPECT_EQ(verdict.kind, Kind::rejected);
  EXPECT_EQ(verdict.error.condition, "com.microsoft:timeout");
}

class Positions : public EventHubFixture {
 protected:
  Positions() {
    grant_all();
    auto to = sender("eh1/Partitions/0");
    for (const auto* body : {"0", "1", "2"}) {
      pair.clock.advance(std::chrono::milliseconds(10));
      times.push_back(to_unix_millis(pair.clock.now()));
      send(to, data_message(body));
    }
  }
  std::vector<std::string> from(std::string_view selector) {
    return bodies(attach(receiver_at(first(), selector)));
  }
  std::vector<std::int64_t> times;
};

TEST_F(Positions, BeginsWhereTheFilterSays) {
  EXPECT_THAT(from(""), ElementsAre("0", "1", "2"));
  EXPECT_THAT(from("amqp.annotation.x-opt-offset > '-1'"), ElementsAre("0", "1", "2"));
  EXPECT_THAT(from("amqp.annotation.x-opt-offset > '1'"), ElementsAre("2"));
  EXPECT_THAT(from("amqp.annotation.x-opt-offset >= '1'"), ElementsAre("1", "2"));
}

TEST_F(Positions, ReadsNumbersTimesAndUnquotedValues) {
  EXPECT_THAT(from("amqp.annotation.x-opt-sequence-number > 0"), ElementsAre("1", "2"));
  EXPECT_THAT(from("amqp.annotation.x-opt-sequence-number >= '2'"), ElementsAre("2"));
  const auto time = [&](std::string_view sign, std::int64_t ms) {
    return "amqp.annotation.x-opt-enqueued-time " + std::string(sign) + " '" + std::to_string(ms) +
           "'";
  };
  EXPECT_THAT(from(time(">", times[1])), ElementsAre("2"));
  EXPECT_THAT(from(time(">=", times[1])), ElementsAre("1", "2"));
  EXPECT_THAT(from(time(">", 0)), ElementsAre("0", "1", "2"));
}

TEST_F(Positions, TakesTheVeryNextEventForAPosition) {
  const auto next = attach(receiver_at(first(), "amqp.annotation.x-opt-sequence-number >= '3'"));
  auto to = sender("eh1/Partitions/0");
  send(to, data_message("3"));
  EXPECT_THAT(bodies(next), ElementsAre("3"));
}

// Retention took what the consumer would have read next.
TEST_F(Positions, BeginsAtTheOldestEventKept) {
  const Partition partition{.log = {"ns1", "eh1"}, .index = 0};
  ASSERT_TRUE(doppel::testing::run(pair.executor,
                                   store->trim_stream(stream_name(partition), SequenceNumber{2})));
  EXPECT_THAT(from("amqp.annotation.x-opt-offset > '-1'"), ElementsAre("2"));
  EXPECT_THAT(from("amqp.annotation.x-opt-offset >= '0'"), ElementsAre("2"));
}

TEST_F(Positions, LatestIsWhatComesAfterTheAttachEvenWithoutCredit) {
  auto late = attach(receiver_at(first(), "amqp.annotation.x-opt-offset > '@latest'", {}, 0));
  auto to = sender("eh1/Partitions/0");
  send(to, data_message("3"));
  late.link->set_credit(10);
  pair.run();
  EXPECT_THAT(bodies(late), ElementsAre("3"));
}

TEST_F(Positions, RefusesPositionsPastTheEndAndFiltersItDoesNotKnow) {
  for (const auto* selector :
       {"amqp.annotation.x-opt-offset > '3'", "amqp.annotation.color > '1'", "nonsense"}) {
    const auto refused = attach(receiver_at(first(), selector));
    EXPECT_EQ(refused.error(), "com.microsoft:argument-error") << selector;
  }
}

TEST_F(Positions, SendsNewEventsToWhoWaitsAndNoMoreThanItsCredit) {
  auto waiting = attach(receiver_at(first(), "amqp.annotation.x-opt-offset > '2'", {}, 1));
  EXPECT_THAT(bodies(waiting), IsEmpty());
  auto to = sender("eh1/Partitions/0");
  send(to, batch_message({data_message("3"), data_message("4")}), kBatch);
  EXPECT_THAT(bodies(waiting), ElementsAre("3", "4"));  // the client tops its credit up
}

TEST_F(Positions, TellsTheStateOfThePartitionToWhoAsks) {
  auto options = receiver_at(first());
  options.desired_capabilities = {"com.microsoft:enable-receiver-runtime-metric"};
  const auto from = attach(std::move(options));
  ASSERT_EQ(from.handler->messages.size(), 3u);
  const auto event = read_event(from.handler->messages[0].payload);
  EXPECT_EQ(*event.delivery_annotations.find("last_enqueued_sequence_number"),
            amqp::Value(std::int64_t{2}));
  EXPECT_EQ(*event.delivery_annotations.find("last_enqueued_offset"), amqp::Value("2"));
  EXPECT_EQ(*event.delivery_annotations.find("last_enqueued_time_utc"),
            amqp::Value(amqp::Timestamp{times[2]}));
}

TEST_F(EventHubFixture, ANewerOwnerOfTheSameOrAHigherLevelTakesThePartition) {
  grant_all();
  const auto free_reader = attach(receiver_at(first()));
  const auto one = attach(receiver_at(first(), {}, 0));
  pair.run();
  EXPECT_EQ(free_reader.error(), "amqp:link:stolen");
  const auto two = attach(receiver_at(first(), {}, 0));
  pair.run();
  EXPECT_EQ(one.error(), "amqp:link:stolen");
  EXPECT_FALSE(two.is_refused());
  EXPECT_EQ(attach(receiver_at(first())).error(), "amqp:link:stolen");
  const auto three = attach(receiver_at(first(), {}, 5));
  pair.run();
  EXPECT_EQ(two.error(), "amqp:link:stolen");
  EXPECT_EQ(attach(receiver_at(first(), {}, 4)).error(), "amqp:link:stolen");
  EXPECT_FALSE(three.is_refused());
}

TEST_F(EventHubFixture, AnOwnerThatLeftIsNoHindrance) {
  grant_all();
  auto one = attach(receiver_at(first(), {}, 9));
  one.link->detach();
  pair.run();
  EXPECT_FALSE(attach(receiver_at(first(), {}, 0)).is_refused());
}

TEST_F(EventHubFixture, OwnersOfOtherGroupsAndPartitionsDoNotMeet) {
  grant_all();
  const auto one = attach(receiver_at(first(), {}, 1));
  const auto two = attach(receiver_at("eh1/ConsumerGroups/second/Partitions/0", {}, 1));
  const auto three = attach(receiver_at("eh1/ConsumerGroups/$Default/Partitions/1", {}, 1));
  EXPECT_FALSE(one.is_refused() || two.is_refused() || three.is_refused());
}

TEST_F(EventHubFixture, RefusesASixthReaderWithoutOwnerLevel) {
  grant_all();
  std::vector<OpenLink> readers;
  for (int i = 0; i < 5; ++i) readers.push_back(attach(receiver_at(first())));
  EXPECT_EQ(attach(receiver_at(first())).error(), "amqp:resource-limit-exceeded");
  EXPECT_FALSE(readers.front().is_refused());
}

TEST_F(EventHubFixture, RefusesLinksWithoutTheRight) {
  grant(amqp::ClaimRights::kListen);
  EXPECT_EQ(sender("eh1").error(), "amqp:unauthorized-access");
  EXPECT_FALSE(attach(receiver_at(first())).is_refused());
}

TEST_F(EventHubFixture, TellsNobodyWithoutAProofWhichEventHubsThereAre) {
  EXPECT_EQ(sender("eh1").error(), "amqp:unauthorized-access");
  EXPECT_EQ(sender("none").error(), "amqp:unauthorized-access");
  grant_all();
  const auto missing = sender("none");
  EXPECT_EQ(missing.error(), "amqp:not-found");
  EXPECT_THAT(missing.handler->detached_why->description, HasSubstr("status-code: 404"));
}

TEST_F(EventHubFixture, RefusesAPartitionOrGroupThatIsNotThere) {
  grant_all();
  EXPECT_EQ(sender("eh1/Partitions/4").error(), "com.microsoft:argument-out-of-range");
  EXPECT_EQ(attach(receiver_at("eh1/ConsumerGroups/$Default/Partitions/4")).error(),
            "com.microsoft:argument-out-of-range");
  EXPECT_EQ(attach(receiver_at("eh1/ConsumerGroups/nobody/Partitions/0")).error(),
            "amqp:not-found");
  EXPECT_EQ(attach(receiver_at("eh1/Partitions/0")).error(), "amqp:not-allowed");
}

TEST_F(EventHubFixture, EndsLinksWhoseTokenExpiredAndKeepsThoseThatWereRenewed) {
  const auto soon = pair.clock.now() + std::chrono::minutes(1);
  grant(amqp::ClaimRights::kListen | amqp::ClaimRights::kSend, "localhost/eh1", soon);
  const auto reader = attach(receiver_at(first()));
  grant(amqp::ClaimRights::kListen, "localhost/eh1", soon + std::chrono::minutes(1));
  pair.executor.advance(std::chrono::seconds(61));
  pair.run();
  EXPECT_FALSE(reader.is_refused());
  pair.executor.advance(std::chrono::seconds(61));
  pair.run();
  EXPECT_EQ(reader.error(), "amqp:unauthorized-access");
}

TEST_F(EventHubFixture, EndsLinksOfAnEventHubThatIsDeleted) {
  grant_all();
  const auto reader = attach(receiver_at(first()));
  auto empty = std::make_shared<resources::Catalog>();
  empty->finish();
  catalog = std::move(empty);
  pair.executor.advance(kLinkCheckEvery);
  pair.run();
  EXPECT_EQ(reader.error(), "amqp:not-found");
}

// Many consumers of a partition get the same bytes, read and encoded once.
TEST_F(EventHubFixture, SharesEncodedEventsAmongConsumers) {
  grant_all();
  auto to = sender("eh1/Partitions/0");
  send(to, data_message(std::string(1000, 'x')));
  std::vector<OpenLink> readers;
  for (int i = 0; i < 5; ++i) readers.push_back(attach(receiver_at(first())));
  for (const auto& reader : readers) EXPECT_EQ(reader.handler->messages.size(), 1u);
  EXPECT_LT(context.cache.bytes(), 2000u);
}

TEST_F(EventHubFixture, ShowsTheEventsOfAHubWithItsAnnotations) {
  grant_all();
  Event event{.body = "{}", .application_properties = {{"opType", "deleteDeviceIdentity"}}};
  event.annotations = {{"iothub-connection-device-id", "d1"},
                       {"iothub-enqueuedtime", "2027-01-15T08:00:00.1230000Z"}};
  event.content_type = "application/json";
  event.message_id = "m1";
  store::WriteSet changes;
  stage(changes, {.log = {"ns1", "eh1"}, .index = 0}, event);
  ASSERT_TRUE(doppel::testing::run(pair.executor, store->commit(std::move(changes))));
  const auto from = attach(receiver_at(first()));
  const auto seen = read_event(from.handler->messages.at(0).payload);
  EXPECT_EQ(*seen.annotations.find("iothub-connection-device-id"), amqp::Value("d1"));
  EXPECT_EQ(*seen.annotations.find("iothub-enqueuedtime"),
            amqp::Value(amqp::Timestamp{1'800'000'000'123}));
  EXPECT_EQ(*seen.properties.find("opType"), amqp::Value("deleteDeviceIdentity"));
  EXPECT_EQ(seen.system.message_id, amqp::Value("m1"));
  EXPECT_EQ(seen.system.content_type->text, "application/json");
  EXPECT_EQ(seen.body, "{}");
}

TEST_F(EventHubFixture, SendsClientsOfAnIotHubToItsEventHub) {
  const std::string address = "messages/events/ConsumerGroups/$Default/Partitions/0";
  EXPECT_EQ(attach(receiver_at(address)).error(), "amqp:unauthorized-access");
  auto with_hub = std::make_shared<resources::Catalog>();
  resources::Hub hub;
  hub.name = HubName("hub1");
  hub.host_name = "localhost";
  hub.event_hub_name = "hub1-events";
  with_hub->hubs = {hub};
  with_hub->finish();
  catalog = std::move(with_hub);
  auto details = std::make_shared<EventClaim>();
  details->space = "hub:hub1";
  amqp::Claim claim;
  claim.resource = "localhost";
  claim.rights = amqp::ClaimRights::kListen;
  claim.details = std::move(details);
  pair.server.engine->claims().put(std::move(claim));
  const auto sent_on = attach(receiver_at(address));
  EXPECT_EQ(sent_on.error(), "amqp:link:redirect");
  EXPECT_EQ(*sent_on.handler->detached_why->info.find("address"),
            amqp::Value("amqps://localhost:5671/hub1-events/ConsumerGroups/$Default/Partitions/0"));
}

TEST_F(EventHubFixture, DrainGivesTheCreditBackAfterWhatThereIs) {
  grant_all();
  auto to = sender("eh1/Partitions/0");
  send(to, data_message("a"));
  const auto from = attach(receiver_at(first(), {}, {}, 50));
  EXPECT_THAT(bodies(from), ElementsAre("a"));
}

}  // namespace
}  // namespace doppel::events
