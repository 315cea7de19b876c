#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "errors/dps.h"
#include "provisioning/remote_saga.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using testing::FakeRemoteHub;
using ::testing::HasSubstr;
using testing::text_of;
using Fault = FakeRemoteHub::Fault;

constexpr std::string_view kTwin =
    R"(,"initialTwin":{"tags":{"room":"none"},"properties":{"desired":{"rate":5}}})";

class RemoteTest : public ::testing::Test, public testing::World {
 protected:
  RemoteTest() { link({linked_far()}); }

  std::string to_hub(std::string_view hub, std::string_view more = "") {
    return fmt::format(R"(,"allocationPolicy":"static","iotHubs":["{}.example.net"]{})", hub, more);
  }
  // Registers while time goes on, until there is an answer for good.
  Result<OperationStatus> finish(std::string_view id) {
    std::optional<Result<OperationStatus>> answer;
    executor.post([&] {
      spawn(provisioning.registrar().register_device(request(id, group_token(id))),
            [&](Result<OperationStatus> result) { answer.emplace(std::move(result)); });
    });
    executor.run_until_idle();
    for (int i = 0; i < 600 && !answer; ++i) executor.advance(std::chrono::milliseconds(100));
    if (!answer || !*answer || (*answer)->outcome) return answer.value();
    const std::string operation = (*answer)->operation_id;
    for (int i = 0; i < 120; ++i) {
      executor.advance(std::chrono::seconds(3));
      std::optional<Result<OperationStatus>> polled;
      executor.post([&] {
        spawn(provisioning.registrar().poll(instance(), RegistrationId(id),
                                            Proof{.sas_token = group_token(id)}, operation),
              [&](Result<OperationStatus> result) { polled.emplace(std::move(result)); });
      });
      executor.run_until_idle();
      executor.advance(kAnswerWait);
      if (!*polled || (*polled)->outcome) return *polled;
    }
    ADD_FAILURE() << "never finished";
    return *answer;
  }
  json::Object assigned(std::string_view id) {
    const auto answer = finish(id);
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    if (!answer || !answer->outcome) return {};
    EXPECT_EQ(to_string(answer->outcome->status), "assigned")
        << json::write(answer->outcome->state);
    return answer->outcome->state;
  }
  void clean() {
    for (int i = 0; i < 5; ++i) {
      executor.post([&] { spawn(provisioning.remotes().clean(), [](Duration) {}); });
      executor.run_until_idle();
      executor.advance(std::chrono::seconds(20));
    }
  }
  std::size_t pending() { return count("dps-remote"); }
};

TEST_F(RemoteTest, MakesTheIdentityAndItsTwinOverThere) {
  ASSERT_TRUE(put_group(kTwin));
  const auto state = assigned("dev-1");
  EXPECT_EQ(text_of(state, "assignedHub"), "far.example.net") << "no port";
  EXPECT_EQ(text_of(state, "substatus"), "initialAssignment");
  const auto* device = remote.find("dev-1");
  ASSERT_NE(device, nullptr);
  const json::Value shown(device->document);
  EXPECT_EQ(json::get_string_or(*json::find(*json::find(shown, "authentication"), "symmetricKey"),
                                "primaryKey", ""),
            device_key("dev-1"));
  EXPECT_EQ(json::write(json::Value(device->tags)), R"({"room":"none"})");
  EXPECT_EQ(json::write(json::Value(device->desired)), R"({"rate":5})");
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(RemoteTest, WritesNothingWhenAllIsAsItShouldBe) {
  ASSERT_TRUE(put_group());
  assigned("dev-1");
  const auto before = version();
  const auto writes = remote.count_of("PUT");
  assigned("dev-1");
  EXPECT_EQ(version(), before);
  EXPECT_EQ(remote.count_of("PUT"), writes);
}

TEST_F(RemoteTest, MakesTheDeviceAgainAfterItWasDeletedOverThere) {
  for (const char* update : {"true", "false"}) {
    ASSERT_TRUE(put_group(fmt::format(
        R"(,"reprovisionPolicy":{{"updateHubAssignment":{0},"migrateDeviceData":{0}}}{1})", update,
        kTwin)));
    assigned("dev-1");
    remote.devices.clear();
    assigned("dev-1");
    ASSERT_NE(remote.find("dev-1"), nullptr);
    EXPECT_EQ(json::write(json::Value(remote.find("dev-1")->tags)), R"({"room":"none"})");
  }
}

TEST_F(RemoteTest, KeepsADeviceThatWasThereAndGivesItTheKeysAndTheTwin) {
  ASSERT_TRUE(put_group(kTwin));
  FakeRemoteHub::Device mine;
  mine.document = json::Object{{"deviceId", "dev-1"},
                               {"generationId", "mine"},
                               {"etag", "e0"},
                               {"status", "disabled"},
                               {"statusReason", "by hand"}};
  mine.tags = json::Object{{"owner", "me"}};
  remote.devices[FakeRemoteHub::name("dev-1")] = mine;
  assigned("dev-1");
  const json::Value shown(remote.find("dev-1")->document);
  EXPECT_EQ(json::get_string_or(shown, "generationId", ""), "mine");
  EXPECT_EQ(json::get_string_or(shown, "status", ""), "disabled");
  EXPECT_EQ(json::get_string_or(shown, "statusReason", ""), "by hand");
  EXPECT_EQ(json::write(json::Value(remote.find("dev-1")->tags)),
            R"({"owner":"me","room":"none"})");
}

TEST_F(RemoteTest, MovesADeviceFromOneHubToTheOther) {
  link({linked("hub1"), linked_far(), linked_far("other")});
  struct Case {
    std::string_view from, to, migrate, room, substatus;
  };
  for (const Case& c : {Case{"hub1", "far", "true", "kitchen", "deviceDataMigrated"},
                        Case{"far", "hub1", "true", "kitchen", "deviceDataMigrated"},
                        Case{"far", "other", "true", "kitchen", "deviceDataMigrated"},
                        Case{"hub1", "far", "false", "none", "deviceDataReset"},
                        Case{"far", "hub1", "false", "none", "deviceDataReset"},
                        Case{"far", "other", "false", "none", "deviceDataReset"}}) {
    SCOPED_TRACE(fmt::format("{} to {}, {}", c.from, c.to, c.migrate));
    const std::string id = fmt::format("dev-{}-{}-{}", c.from, c.to, c.migrate);
    const auto policy = fmt::format(
        R"(,"reprovisionPolicy":{{"updateHubAssignment":true,"migrateDeviceData":{}}}{})",
        c.migrate, kTwin);
    ASSERT_TRUE(put_group(to_hub(c.from, policy)));
    assigned(id);
    if (c.from == "hub1") {
      auto identity = stored_identity("hub1", id)->get_object();
      identity["tags"] = json::Object{{"room", "kitchen"}};
      store::WriteSet changes;
      changes.puts.push_back(
          {testing::FakeHubs::key(HubName("hub1"), DeviceId(id)), json::write(identity)});
      ASSERT_TRUE(run(store->commit(std::move(changes))));
    } else {
      remote.find(id)->tags = json::Object{{"room", "kitchen"}};
    }
    ASSERT_TRUE(put_group(to_hub(c.to, policy)));
    const auto state = assigned(id);
    EXPECT_EQ(text_of(state, "substatus"), c.substatus);
    EXPECT_EQ(text_of(state, "assignedHub"), std::string(c.to) + ".example.net");
    clean();
    EXPECT_EQ(stored_identity("hub1", id).has_value(), c.to == "hub1");
    EXPECT_EQ(remote.find(id) != nullptr, c.to == "far");
    EXPECT_EQ(remote.find(id, "other.example.net:8443") != nullptr, c.to == "other");
    if (c.to == "hub1") {
      EXPECT_EQ(json::get_string_or(*json::find(*stored_identity("hub1", id), "tags"), "room", ""),
                c.room);
    } else {
      const auto* device = remote.find(id, fmt::format("{}.example.net:8443", c.to));
      ASSERT_NE(device, nullptr);
      EXPECT_EQ(json::get_string_or(json::Value(device->tags), "room", ""), c.room);
    }
    EXPECT_EQ(pending(), 0u);
  }
}

TEST_F(RemoteTest, ResetsTheTwinOnTheSameHubWhenThePolicySaysSo) {
  ASSERT_TRUE(put_group(fmt::format(
      R"(,"reprovisionPolicy":{{"updateHubAssignment":true,"migrateDeviceData":false}}{})",
      kTwin)));
  assigned("dev-1");
  remote.find("dev-1")->tags["room"] = "kitchen";
  remote.find("dev-1")->reported["seen"] = true;  // nobody but the device can change this
  EXPECT_EQ(text_of(assigned("dev-1"), "substatus"), "deviceDataReset");
  EXPECT_EQ(json::write(json::Value(remote.find("dev-1")->tags)), R"({"room":"none"})");
  const auto writes = remote.count_of("PUT");
  assigned("dev-1");
  EXPECT_EQ(remote.count_of("PUT"), writes) << "it is as it should be";
}

TEST_F(RemoteTest, TriesAgainWhileTheHubDoesNotAnswer) {
  ASSERT_TRUE(put_group(kTwin));
  for (const Fault fault : {Fault::before, Fault::after, Fault::error, Fault::hang}) {
    const std::string id = fmt::format("dev-{}", static_cast<int>(fault));
    int calls = 0;
    remote.on_call = [&](const RemoteRequest&) { return ++calls <= 2 ? fault : Fault::none; };
    assigned(id);
    EXPECT_NE(remote.find(id), nullptr);
    EXPECT_EQ(json::write(json::Value(remote.find(id)->tags)), R"({"room":"none"})");
    EXPECT_EQ(pending(), 0u);
  }
}

TEST_F(RemoteTest, TellsTheDeviceToComeAgainWhenTheHubStaysDown) {
  ASSERT_TRUE(put_group());
  for (const Fault fault : {Fault::before, Fault::hang, Fault::error}) {
    remote.on_call = [&](const RemoteRequest&) { return fault; };
    const auto began = clock.steady();
    const auto answer = finish("dev-1");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::unavailable);
    EXPECT_LT(clock.steady() - began, std::chrono::seconds(70));
    EXPECT_EQ(pending(), 0u) << "nothing was begun";
  }
  remote.on_call = nullptr;
  assigned("dev-1");
}

TEST_F(RemoteTest, FailsForGoodWithTheHubsWordsWhenItRefuses) {
  ASSERT_TRUE(put_group());
  remote.on_call = [](const RemoteRequest& request) {
    return request.method == "PUT" ? Fault::refuse : Fault::none;
  };
  const auto answer = finish("dev-1");
  ASSERT_TRUE(answer);
  EXPECT_EQ(to_string(answer->outcome->status), "failed");
  EXPECT_EQ(
      text_of(answer->outcome->state, "errorMessage"),
      R"({"Message":"ErrorCode:IotHubQuotaExceeded;full","ExceptionMessage":"Tracking ID:x"})");
  EXPECT_EQ(pending(), 0u);
  EXPECT_FALSE(run(provisioning.enrollments().get_registration(instance(), "dev-1")));
}

TEST_F(RemoteTest, FailsForGoodWhenTheKeyOfTheLinkIsWrong) {
  auto hub = linked_far();
  hub.key = base64_encode("not the key of this hub");
  link({hub});
  ASSERT_TRUE(put_group());
  const auto answer = finish("dev-1");
  ASSERT_TRUE(answer);
  EXPECT_EQ(to_string(answer->outcome->status), "failed");
  EXPECT_THAT(text_of(answer->outcome->state, "errorMessage"),
              HasSubstr("IotHubUnauthorizedAccess"));
}

// Each call of a registration fails once, in each way, for good: whatever is left over there is
// removed as soon as the hub answers.
TEST_F(RemoteTest, LeavesNoIdentityBehindWhereverItStops) {
  ASSERT_TRUE(put_group(kTwin));
  for (const Fault fault : {Fault::before, Fault::after, Fault::hang, Fault::refuse}) {
    for (int stop_at = 1; stop_at <= 4; ++stop_at) {
      SCOPED_TRACE(fmt::format("fault {} from call {} on", static_cast<int>(fault), stop_at));
      int calls = 0;
      remote.on_call = [&](const RemoteRequest&) {
        return ++calls >= stop_at ? fault : Fault::none;
      };
      const auto answer = finish("dev-1");
      const bool is_assigned =
          answer && answer->outcome && answer->outcome->status == OutcomeStatus::assigned;
      remote.on_call = nullptr;
      clean();
      EXPECT_EQ(remote.devices.size(), is_assigned ? 1u : 0u);
      EXPECT_EQ(pending(), 0u);
      if (is_assigned) {
        ASSERT_TRUE(run(provisioning.enrollments().remove_registration(instance(), "dev-1", {})));
        remote.devices.clear();
      }
    }
  }
}

TEST_F(RemoteTest, UndoesWhatItMadeWhenTheCommitIsLost) {
  ASSERT_TRUE(put_group(kTwin));
  // The intent is committed, the twin written; then the store fails.
  remote.before_call = [&](const RemoteRequest& request) {
    if (request.method == "PUT" && request.url.contains("/twins/")) {
      faults.fail_next_flush(store::FaultInjection::Fault::refuse);
    }
  };
  const auto answer = finish("dev-1");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unavailable);
  remote.before_call = nullptr;
  clean();
  EXPECT_EQ(remote.devices.size(), 0u);
  EXPECT_EQ(pending(), 0u);
  assigned("dev-1");
}

TEST_F(RemoteTest, UndoesAtTheNextStartWhatACrashLeft) {
  ASSERT_TRUE(put_group(kTwin));
  // The process "dies" while the twin is written: nobody gives up what was begun.
  remote.on_call = [](const RemoteRequest& request) {
    return request.url.contains("/twins/") ? Fault::hang : Fault::none;
  };
  executor.post([&] {
    spawn(provisioning.registrar().register_device(request("dev-1", group_token("dev-1"))),
          [](const Result<OperationStatus>&) {});
  });
  executor.advance(std::chrono::seconds(1));
  ASSERT_NE(remote.find("dev-1"), nullptr);
  ASSERT_EQ(pending(), 1u);
  {
    // The next process over the same store.
    remote.on_call = nullptr;
    RemoteSaga next(RemoteSaga::Deps{.store = *store,
                                     .clock = clock,
                                     .random = random,
                                     .box = box,
                                     .catalog = [this] { return catalog; },
                                     .transport = remote});
    run(next.clean());
    EXPECT_EQ(remote.devices.size(), 0u);
    EXPECT_EQ(pending(), 0u);
  }
  executor.advance(std::chrono::seconds(120));
}

// A crash after the identity was made; before anybody removes it the device is back.
TEST_F(RemoteTest, TakesOverWhatACrashLeftWhenTheDeviceComesBackFirst) {
  ASSERT_TRUE(put_group(kTwin));
  remote.on_call = [](const RemoteRequest& request) {
    return request.url.contains("/twins/") ? Fault::hang : Fault::none;
  };
  const auto answer = finish("dev-1");
  ASSERT_FALSE(answer);
  ASSERT_NE(remote.find("dev-1"), nullptr);
  ASSERT_EQ(pending(), 1u);
  remote.on_call = nullptr;
  assigned("dev-1");
  EXPECT_EQ(pending(), 0u);
  clean();
  ASSERT_NE(remote.find("dev-1"), nullptr) << "nobody may remove it any more";
  EXPECT_EQ(json::write(json::Value(remote.find("dev-1")->tags)), R"({"room":"none"})");
}

// The recovery removes the identity just after the device's registration has seen it.
TEST_F(RemoteTest, LooksAgainWhenWhatItSawWasRemovedSince) {
  ASSERT_TRUE(put_group(kTwin));
  remote.on_call = [](const RemoteRequest& request) {
    return request.url.contains("/twins/") ? Fault::hang : Fault::none;
  };
  ASSERT_FALSE(finish("dev-1"));
  ASSERT_NE(remote.find("dev-1"), nullptr);
  // All is as it should be but for the record; the next answer takes its time.
  remote.find("dev-1")->tags = json::parse(R"({"room":"none"})").value().get_object();
  remote.find("dev-1")->desired = json::parse(R"({"rate":5})").value().get_object();
  remote.on_call = nullptr;
  bool is_removed = false;
  remote.before_call = [&](const RemoteRequest& request) {
    // The registration asks for the twin: it has seen the identity.
    if (!request.url.contains("/twins/") || std::exchange(is_removed, true)) return;
    executor.post([&] { spawn(provisioning.remotes().clean(), [](Duration) {}); });
  };
  remote.delay = std::chrono::milliseconds(10);
  assigned("dev-1");
  EXPECT_TRUE(is_removed);
  EXPECT_NE(remote.find("dev-1"), nullptr) << "it was told so";
  EXPECT_EQ(pending(), 0u);
}

TEST_F(RemoteTest, LeavesADeviceAloneThatSomebodyElseMade) {
  ASSERT_TRUE(put_group(kTwin));
  remote.on_call = [](const RemoteRequest& request) {
    return request.url.contains("/twins/") ? Fault::before : Fault::none;
  };
  ASSERT_FALSE(finish("dev-1"));
  ASSERT_EQ(pending(), 1u);
  // Somebody removes it and makes another by hand.
  auto& device = remote.devices[FakeRemoteHub::name("dev-1")];
  device = {};
  device.document = json::Object{{"deviceId", "dev-1"}, {"generationId", "x"}, {"etag", "y"}};
  remote.on_call = nullptr;
  clean();
  EXPECT_NE(remote.find("dev-1"), nullptr);
  EXPECT_EQ(pending(), 0u);
}

TEST_F(RemoteTest, RemovesWhatADeviceLeftOnceTheHubIsBack) {
  link({linked("hub1"), linked_far()});
  ASSERT_TRUE(put_group(to_hub("far")));
  assigned("dev-1");
  ASSERT_TRUE(put_group(to_hub("hub1")));
  remote.on_call = [](const RemoteRequest& request) {
    return request.method == "DELETE" ? Fault::before : Fault::none;
  };
  assigned("dev-1");
  clean();
  EXPECT_NE(remote.find("dev-1"), nullptr);
  EXPECT_EQ(pending(), 1u);
  remote.on_call = nullptr;
  executor.advance(kRemovalBackOffMax);
  clean();
  EXPECT_EQ(remote.find("dev-1"), nullptr);
  EXPECT_EQ(pending(), 0u);
}

// The device moves away and comes back before the old identity was removed.
TEST_F(RemoteTest, KeepsTheIdentityOfADeviceThatComesBack) {
  link({linked("hub1"), linked_far()});
  ASSERT_TRUE(put_group(to_hub("far")));
  assigned("dev-1");
  ASSERT_TRUE(put_group(to_hub("hub1")));
  assigned("dev-1");
  ASSERT_EQ(pending(), 1u);
  ASSERT_TRUE(put_group(to_hub("far")));
  assigned("dev-1");
  EXPECT_EQ(pending(), 0u);
  clean();
  EXPECT_NE(remote.find("dev-1"), nullptr);
  EXPECT_FALSE(stored_identity("hub1", "dev-1"));
}

TEST_F(RemoteTest, DecidesAgainWhenTheDeviceChangesMeanwhile) {
  ASSERT_TRUE(put_group(kTwin));
  int changes = 0;
  remote.before_call = [&](const RemoteRequest& request) {
    // Just before ours is made somebody else makes one, once.
    if (request.method == "PUT" && request.url.contains("/devices/") && changes++ == 0) {
      auto& device = remote.devices[FakeRemoteHub::name("dev-1")];
      device.document = json::Object{{"deviceId", "dev-1"}, {"generationId", "x"}, {"etag", "y"}};
    }
  };
  assigned("dev-1");
  EXPECT_EQ(json::write(json::Value(remote.find("dev-1")->tags)), R"({"room":"none"})");
  EXPECT_EQ(pending(), 0u);
}

TEST_F(RemoteTest, ARecordWhoseHubIsNotLinkedAnyMoreIsAssignedAnew) {
  ASSERT_TRUE(put_group());
  assigned("dev-1");
  link({linked("hub1")});
  EXPECT_EQ(text_of(assigned("dev-1"), "assignedHub"), "hub1.example.net");
}

}  // namespace
}  // namespace doppel::provisioning
