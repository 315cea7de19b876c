// How long DPS looks for a device among few and among many: enrollments and registration records in
// the store of a server (RocksDB, its own settings), asked as a register asks. No network, no TLS.
//
//   doppel_registrations PATH     fills the directories PATH-few and PATH-many

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "base/worker.h"
#include "provisioning/keys.h"
#include "provisioning/prover.h"
#include "provisioning/registration.h"
#include "store/rocksdb/rocksdb_store.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kLookUps = 20'000;
constexpr std::size_t kPutsPerCommit = 5'000;
constexpr std::string_view kScope = "0ne00000001";
constexpr std::string_view kGroup = "fleet";

struct Size {
  std::string_view name;
  std::size_t enrollments;
  std::size_t records;
};

std::size_t resident_kb() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    std::size_t value = 0;
    if (word == "VmRSS:" && file >> value) return value;
  }
  return 0;
}

class Bench {
 public:
  Bench(const std::string& directory, const Size& size)
      : size_(size),
        store_(store::open_rocksdb({.directory = directory, .clock = &clock_}).value()) {
    auto dps = std::make_shared<resources::Dps>();
    dps->name = "dps1";
    dps->id_scope = IdScope(kScope);
    instance_ = std::move(dps);
    group_.kind = EnrollmentKind::group;
    group_.id = kGroup;
    group_.keys = {make_key(random_), make_key(random_)};
    individual_keys_ = {make_key(random_), make_key(random_)};
  }
  ~Bench() { store_->stop(); }

  Task<void> run() {
    co_await fill();
    const auto before = resident_kb();
    std::printf("%s: %zu enrollments, %zu registration records; %zu MB resident\n",
                std::string(size_.name).c_str(), size_.enrollments, size_.records, before / 1024);
    co_await measure("prove by an individual enrollment", &Bench::prove_individual);
    co_await measure("prove by a group, registered before", &Bench::prove_known);
    co_await measure("prove by a group, never seen", &Bench::prove_new);
    co_await measure("registration record", &Bench::read_record);
    std::printf("  after %zu look-ups: %zu MB resident\n", 4 * kLookUps, resident_kb() / 1024);
  }

 private:
  using LookUp = Task<bool> (Bench::*)(std::size_t);

  Task<void> put(store::WriteSet& changes, std::string key, std::string value, bool is_last) {
    if (!key.empty()) changes.puts.push_back({std::move(key), std::move(value)});
    if (!is_last && changes.puts.size() < kPutsPerCommit) co_return;
    auto commit = store_->commit(std::exchange(changes, {}));
    const auto done = co_await std::move(commit);
    if (!done) throw std::runtime_error(done.error().message);
  }

  Task<void> fill() {
    store::WriteSet changes;
    const auto group_key = enrollment_key("dps1", EnrollmentKind::group, kGroup);
    co_await put(changes, group_key, codec_.encode(group_key, group_), false);
    for (std::size_t i = 0; i < size_.enrollments; ++i) {
      Enrollment entry;
      entry.id = individual(i);
      entry.keys = individual_keys_;
      const auto key = enrollment_key("dps1", EnrollmentKind::individual, entry.id);
      co_await put(changes, key, codec_.encode(key, entry), false);
    }
    for (std::size_t i = 0; i < size_.records; ++i) {
      Registration record;
      record.id = RegistrationId(member(i));
      record.group = kGroup;
      record.hub = HubName("hub1");
      record.assigned_hub = "hub1.example.net";
      record.device_id = DeviceId(member(i));
      record.substatus = kInitialAssignment;
      record.operation_id = "4.0123456789abcdef." + random_.uuid();
      record.etag = random_.uuid();
      record.created = record.updated = clock_.now();
      co_await put(changes, registration_key("dps1", record.id.view()), encode(record), false);
      co_await put(changes, member_key("dps1", kGroup, record.id.view()), "", false);
    }
    co_await put(changes, "", "", true);
  }

  static std::string individual(std::size_t i) { return fmt::format("individual-{:07}", i); }
  static std::string member(std::size_t i) { return fmt::format("member-{:07}", i); }

  Task<bool> prove(std::string id, std::string key) {
    Proof proof;
    proof.sas_token = security::make_sas(fmt::format("{}/registrations/{}", kScope, id), key,
                                         security::KeyForm::base64, "registration",
                                         clock_.now() + std::chrono::hours(1))
                          .value();
    const auto began = clock_.steady();
    auto proving = prover_.prove(instance_, RegistrationId(id), std::move(proof));
    const auto proven = co_await std::move(proving);
    took_us_.push_back(std::chrono::duration<double, std::micro>(clock_.steady() - began).count());
    if (!proven) std::fprintf(stderr, "%s: %s\n", id.c_str(), proven.error().message.c_str());
    co_return proven.has_value();
  }
  Task<bool> prove_individual(std::size_t random) {
    return prove(individual(random % size_.enrollments), individual_keys_.primary);
  }
  Task<bool> prove_known(std::size_t random) {
    const std::string id = member(random % size_.records);
    return prove(id, security::derive_device_key(group_.keys.primary, id).value());
  }
  Task<bool> prove_new(std::size_t random) {
    const std::string id = fmt::format("new-{}", random);
    return prove(id, security::derive_device_key(group_.keys.primary, id).value());
  }
  Task<bool> read_record(std::size_t random) {
    const auto key = registration_key("dps1", member(random % size_.records));
    const auto began = clock_.steady();
    auto reading = store_->snapshot()->get(key);
    const auto stored = co_await std::move(reading);
    const bool is_there = stored && *stored && decode_registration(**stored);
    took_us_.push_back(std::chrono::duration<double, std::micro>(clock_.steady() - began).count());
    co_return is_there;
  }

  Task<void> measure(std::string_view name, LookUp look_up) {
    took_us_.clear();
    for (std::size_t i = 0; i < kLookUps; ++i) {
      auto one = (this->*look_up)(random_.next());
      if (!co_await std::move(one)) throw std::runtime_error("a look-up found nothing");
    }
    std::ranges::sort(took_us_);
    std::printf("  %-40s p50 %7.1f us, p99 %7.1f us\n", std::string(name).c_str(),
                took_us_[kLookUps / 2], took_us_[kLookUps * 99 / 100]);
  }

  const Size size_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<store::Store> store_;
  security::SecretBox box_{security::MasterKey::generate(random_), random_};
  EnrollmentCodec codec_{box_, random_};
  TpmAttestation tpm_{*store_, codec_, clock_, random_};
  Prover prover_{*store_, codec_, clock_, tpm_};
  Instance instance_;
  Enrollment group_;
  SymmetricKeys individual_keys_;
  std::vector<double> took_us_;
};

int run(const std::string& directory) {
  for (const Size& size : {Size{"few", 1'000, 1'000}, Size{"many", 100'000, 1'000'000}}) {
    Bench bench(fmt::format("{}-{}", directory, size.name), size);
    Worker worker("bench");
    std::promise<void> done;
    worker.post([&] { spawn(bench.run(), [&] { done.set_value(); }); });
    done.get_future().wait();
  }
  return 0;
}

}  // namespace
}  // namespace doppel::provisioning

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "doppel_registrations DIRECTORY\n");
    return 2;
  }
  return doppel::provisioning::run(argv[1]);
}
