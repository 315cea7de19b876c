// What must hold whatever happens, tried with many random histories. A failing one prints its seed;
// DOPPEL_SEED=<seed> replays it alone.
#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>

#include "provisioning/keys.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using Fault = testing::FakeRemoteHub::Fault;

// Runs `body` with each seed of 1..count, or with the one of the environment.
template <class Body>
void for_seeds(std::uint64_t count, Body body) {
  if (const char* given = std::getenv("DOPPEL_SEED")) {
    body(std::strtoull(given, nullptr, 10));
    return;
  }
  for (std::uint64_t seed = 1; seed <= count && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("replay with DOPPEL_SEED={}", seed));
    body(seed);
  }
}

// ---- Hashed allocation ----

constexpr int kDevices = 1500;

std::vector<resources::LinkedHub> random_hubs(Random& dice) {
  std::vector<resources::LinkedHub> hubs;
  const std::size_t count = 2 + dice.next() % 6;
  for (std::size_t i = 0; i < count; ++i) {
    auto hub = dice.next() % 3 == 0 ? testing::World::linked_far(fmt::format("far{}", i))
                                    : testing::World::linked(fmt::format("hub{}", i));
    hub.allocation_weight = 1 + static_cast<std::int32_t>(dice.next() % 1000);
    hubs.push_back(std::move(hub));
  }
  return hubs;
}

std::vector<std::string> assign_all(const std::vector<resources::LinkedHub>& hubs) {
  std::vector<const resources::LinkedHub*> candidates;
  for (const auto& hub : hubs) candidates.push_back(&hub);
  std::vector<std::string> chosen;
  for (int i = 0; i < kDevices; ++i) {
    chosen.push_back(choose_by_hash(candidates, fmt::format("device-{}", i))->host_name);
  }
  return chosen;
}

double share_of(const resources::LinkedHub& hub, const std::vector<resources::LinkedHub>& hubs) {
  double whole = 0;
  for (const auto& one : hubs) whole += one.allocation_weight;
  return hub.allocation_weight / whole;
}

// Six standard deviations: one of a billion good histories would fail.
double at_most(double share) { return share * kDevices + 6 * std::sqrt(share * kDevices) + 1; }
double at_least(double share) { return share * kDevices - 6 * std::sqrt(share * kDevices) - 1; }

TEST(AllocationProperty, EachHubGetsItsShare) {
  for_seeds(20, [](std::uint64_t seed) {
    SeededRandom dice(seed);
    const auto hubs = random_hubs(dice);
    const auto chosen = assign_all(hubs);
    for (const auto& hub : hubs) {
      const auto got = static_cast<double>(std::ranges::count(chosen, hub.host_name));
      EXPECT_LE(got, at_most(share_of(hub, hubs)));
      EXPECT_GE(got, at_least(share_of(hub, hubs)));
    }
  });
}

TEST(AllocationProperty, AHubThatJoinsTakesItsShareAndNothingElseMoves) {
  for_seeds(20, [](std::uint64_t seed) {
    SeededRandom dice(seed);
    auto hubs = random_hubs(dice);
    const auto before = assign_all(hubs);
    auto joins = testing::World::linked("joins");
    joins.allocation_weight = 1 + static_cast<std::int32_t>(dice.next() % 1000);
    hubs.insert(hubs.begin() + static_cast<std::ptrdiff_t>(dice.next() % (hubs.size() + 1)), joins);
    const auto after = assign_all(hubs);
    int moved = 0;
    for (int i = 0; i < kDevices; ++i) {
      if (before[i] == after[i]) continue;
      ++moved;
      EXPECT_EQ(after[i], joins.host_name) << "a device moves to the new hub or not at all";
    }
    EXPECT_LE(moved, at_most(share_of(joins, hubs)));
    EXPECT_GE(moved, at_least(share_of(joins, hubs)));
  });
}

TEST(AllocationProperty, AHubThatLeavesMovesItsOwnDevicesOnly) {
  for_seeds(20, [](std::uint64_t seed) {
    SeededRandom dice(seed);
    auto hubs = random_hubs(dice);
    const auto before = assign_all(hubs);
    const auto at = static_cast<std::ptrdiff_t>(dice.next() % hubs.size());
    const std::string leaves = hubs[static_cast<std::size_t>(at)].host_name;
    hubs.erase(hubs.begin() + at);
    const auto after = assign_all(hubs);
    for (int i = 0; i < kDevices; ++i) {
      EXPECT_EQ(before[i] != after[i], before[i] == leaves);
    }
  });
}

TEST(AllocationProperty, AnotherWeightMovesDevicesInOneDirectionOnly) {
  for_seeds(20, [](std::uint64_t seed) {
    SeededRandom dice(seed);
    auto hubs = random_hubs(dice);
    const auto before = assign_all(hubs);
    auto& changed = hubs[dice.next() % hubs.size()];
    const auto old_weight = changed.allocation_weight;
    changed.allocation_weight = 1 + static_cast<std::int32_t>(dice.next() % 1000);
    const bool grows = changed.allocation_weight > old_weight;
    const auto after = assign_all(hubs);
    for (int i = 0; i < kDevices; ++i) {
      if (before[i] == after[i]) continue;
      EXPECT_EQ(grows ? after[i] : before[i], changed.host_name);
    }
  });
}

TEST(AllocationProperty, WeightZeroTakesDevicesOnlyWhereNobodyElseDoes) {
  auto a = testing::World::linked("a");
  auto b = testing::World::linked("b");
  a.allocation_weight = 0;
  const auto all = assign_all({a, b});
  EXPECT_EQ(std::ranges::count(all, b.host_name), kDevices);
  b.allocation_weight = 0;
  const auto even = assign_all({a, b});
  EXPECT_GE(static_cast<double>(std::ranges::count(even, a.host_name)), at_least(0.5));
}

// ---- Registrations ----

constexpr int kIds = 4;
constexpr std::string_view kHubs[] = {"hub1", "hub2", "far", "other"};

// Two hubs here, two elsewhere; a built-in function decides about the hub and makes digital twins.
class History : public testing::World {
 public:
  explicit History(std::uint64_t seed) : dice_(seed) {
    link({linked("hub1"), linked("hub2"), linked_far("far"), linked_far("other")});
    functions.hub_host_name = "hub1.example.net";
    write_group(true);
    executor.run_until_idle();
    remote.on_call = [this](const RemoteRequest&) {
      return has_faults_ && dice_.next() % 12 == 0 ? kFaults[dice_.next() % std::size(kFaults)]
                                                   : Fault::none;
    };
  }

  void step() {
    const std::string id = fmt::format("dev-{}", dice_.next() % kIds);
    const auto action = dice_.next() % 16;
    if (action < 8) {
      start_register(id);
    } else if (action == 8) {
      write_group(false);  // disabled
    } else if (action == 9) {
      remove_group();
    } else if (action <= 11) {
      write_group(true);
    } else if (action == 12) {
      delete_device(id);
    } else if (action == 13) {
      functions.hub_host_name = fmt::format("{}.example.net", kHubs[dice_.next() % 4]);
    } else if (action == 14) {
      hide_by_individual(id, dice_.next() % 2 == 0);
    } else {
      start_forget(id);
    }
    if (dice_.next() % 3 == 0) executor.run_until_idle();
    if (dice_.next() % 8 == 0) executor.advance(std::chrono::seconds(1));
    if (dice_.next() % 10 == 0) pass();
  }

  void calm_down() {
    has_faults_ = false;
    for (int i = 0; i < 30; ++i) executor.advance(std::chrono::seconds(5));
    for (int i = 0; i < 3; ++i) {
      executor.advance(kRemovalBackOffMax);
      pass();
      executor.run_until_idle();
    }
    ASSERT_EQ(running_, 0);
  }

  // Of the device, wherever they are.
  std::vector<std::string> places(const std::string& id) {
    std::vector<std::string> found;
    for (const auto hub : kHubs) {
      const bool is_here = hub.starts_with("hub");
      if (is_here ? stored_identity(hub, id).has_value()
                  : remote.find(id, fmt::format("{}.example.net:8443", hub)) != nullptr) {
        found.push_back(fmt::format("{}.example.net", hub));
      }
    }
    return found;
  }
  std::string generation(const std::string& id, const std::string& place) {
    if (place.starts_with("hub")) {
      return json::get_string_or(*stored_identity(place.substr(0, 4), id), "generation", "");
    }
    return json::get_string_or(json::Value(remote.find(id, place + ":8443")->document),
                               "generationId", "");
  }
  std::optional<std::string> digital_twin(const std::string& id) {
    return run(store->snapshot()->get(store::key({"faketwin", id}))).value();
  }

  void write_group(bool enabled) {
    constexpr std::string_view kPolicies[] = {
        "", R"(,"reprovisionPolicy":{"updateHubAssignment":true,"migrateDeviceData":true})",
        R"(,"reprovisionPolicy":{"updateHubAssignment":true,"migrateDeviceData":false})",
        R"(,"reprovisionPolicy":{"updateHubAssignment":false,"migrateDeviceData":false})"};
    const auto body = fmt::format(
        R"({{"attestation":{{"type":"symmetricKey","symmetricKey":{{"primaryKey":"{}"}}}},
             "provisioningStatus":"{}","allocationPolicy":"custom","customAllocationDefinition":{{
             "webhookUrl":"https://fn/builtin?code=secret","apiVersion":"2019-03-31"}}{}}})",
        testing::kGroupKey, enabled ? "enabled" : "disabled", kPolicies[dice_.next() % 4]);
    start(provisioning.enrollments().put(instance(), EnrollmentKind::group, "thermostats",
                                         json::parse(body).value(), {}));
  }

 private:
  static constexpr Fault kFaults[] = {Fault::before, Fault::after, Fault::error, Fault::refuse};

  // Begins on the executor, with whatever else runs there.
  template <class T>
  void start(Task<T> task) {
    ++running_;
    executor.post([this, task = std::move(task)]() mutable {
      spawn(std::move(task), [this](const T&) { --running_; });
    });
  }
  void start_register(const std::string& id) {
    start(provisioning.registrar().register_device(request(id, group_token(id))));
  }
  void remove_group() {
    start(provisioning.enrollments().remove(instance(), EnrollmentKind::group, "thermostats", {}));
  }
  void pass() { start(provisioning.remotes().clean()); }
  void hide_by_individual(const std::string& id, bool hides) {
    if (hides) {
      start(provisioning.enrollments().put(
          instance(), EnrollmentKind::individual, id,
          json::parse(R"({"attestation":{"type":"symmetricKey"},"provisioningStatus":"disabled"})")
              .value(),
          {}));
    } else {
      start(provisioning.enrollments().remove(instance(), EnrollmentKind::individual, id, {}));
    }
  }
  // As the hub does it: identity and digital twin in one commit.
  void delete_device(const std::string& id) {
    for (const char* hub : {"hub1", "hub2"}) {
      start(store::transact<bool>(
          *store, [this, id, hub](store::Transaction& tx) -> Task<Result<bool>> {
            auto there = co_await tx.get(testing::FakeHubs::key(HubName(hub), DeviceId(id)));
            if (!there || !*there) co_return false;
            (void)co_await hubs.remove_identity(tx, HubName(hub), DeviceId(id));
            tx.erase(store::key({"faketwin", id}));
            co_return true;
          }));
    }
    remote.devices.erase(testing::FakeRemoteHub::name(id));
    remote.devices.erase(testing::FakeRemoteHub::name(id, "other.example.net:8443"));
  }
  // Forgets the record of a device that is nowhere (the assignment of one that is stays known).
  void start_forget(const std::string& id) {
    start(store::transact<bool>(*store, [id](store::Transaction& tx) -> Task<Result<bool>> {
      const auto key = registration_key("dps1", id);
      auto record = co_await tx.get(key);
      if (!record || !*record) co_return false;
      const auto decoded = decode_registration(**record).value();
      if (decoded.is_remote) co_return false;
      auto there = co_await tx.get(testing::FakeHubs::key(decoded.hub, decoded.device_id));
      if (!there || *there) co_return false;
      tx.erase(key);
      tx.erase(member_key("dps1", decoded.group, id));
      co_return true;
    }));
  }

  SeededRandom dice_;
  bool has_faults_ = true;
  int running_ = 0;
};

TEST(RegistrationProperty, OneIdentityForEachRecordAndOneTwinForEachIdentity) {
  for_seeds(200, [](std::uint64_t seed) {
    History history(seed);
    for (int i = 0; i < 60; ++i) history.step();
    history.calm_down();
    EXPECT_EQ(history.count("dps-remote"), 0u) << "what was begun is finished or undone";
    const auto records =
        history.run(history.provisioning.enrollments().list_registrations("dps1", "", 100)).value();
    for (int i = 0; i < kIds; ++i) {
      const std::string id = fmt::format("dev-{}", i);
      const auto record =
          std::ranges::find_if(records, [&](const Registration& r) { return r.id.view() == id; });
      const auto places = history.places(id);
      ASSERT_LE(places.size(), 1u) << id;
      if (places.empty()) continue;
      ASSERT_NE(record, records.end()) << "an identity that no record speaks of: " << id;
      EXPECT_EQ(places.front(), record->assigned_hub);
      EXPECT_EQ(history.digital_twin(id), history.generation(id, places.front()));
    }
  });
}

TEST(RegistrationProperty, RegisteringAgainFromAnyStateConverges) {
  for_seeds(200, [](std::uint64_t seed) {
    History history(seed);
    for (int i = 0; i < 40; ++i) history.step();
    history.calm_down();
    history.write_group(true);
    history.executor.run_until_idle();
    for (int i = 0; i < kIds; ++i) {
      const std::string id = fmt::format("dev-{}", i);
      (void)history.run(history.provisioning.enrollments().remove(
          history.instance(), EnrollmentKind::individual, id, {}));
      const auto first = history.register_device(id);
      ASSERT_TRUE(first && first->outcome) << (first ? "" : first.error().message);
      ASSERT_EQ(to_string(first->outcome->status), "assigned")
          << json::write(first->outcome->state);
      history.calm_down();
      const auto places = history.places(id);
      ASSERT_EQ(places.size(), 1u) << id;
      EXPECT_EQ(places.front(), testing::text_of(first->outcome->state, "assignedHub"));
      EXPECT_EQ(history.digital_twin(id), history.generation(id, places.front()));

      const auto before = history.version();
      const auto second = history.register_device(id);
      ASSERT_TRUE(second && second->outcome);
      EXPECT_EQ(json::write(second->outcome->state), json::write(first->outcome->state));
      EXPECT_EQ(history.version(), before) << "nothing is written when nothing changes";
    }
    EXPECT_EQ(history.count("dps-remote"), 0u);
  });
}

}  // namespace
}  // namespace doppel::provisioning
