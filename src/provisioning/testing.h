// What the tests of provisioning stand on: a store in memory, a hub and a function host that are
// small but stage into the same commits as the real ones, and two instances with linked hubs.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/testing.h"
#include "json/value.h"
#include "provisioning/api.h"
#include "provisioning/remote_testing.h"
#include "security/sas.h"
#include "store/memory/memory_store.h"

namespace doppel::provisioning::testing {

// Identities and device twins as one JSON value each; each creation and removal appends to the
// stream "lifecycle".
class FakeHubs final : public hub::Hubs {
 public:
  explicit FakeHubs(Random& random) : random_(random) {}

  static std::string key(const HubName& hub, const DeviceId& device) {
    return store::key({"fakehub", hub.view(), device.view()});
  }
  static hub::Identity identity_of(const DeviceId& device, const json::Value& stored) {
    hub::Identity identity;
    identity.device_id = device;
    identity.generation = GenerationId(json::get_string_or(stored, "generation", ""));
    hub::Authentication& known = identity.authentication;
    const json::Value* type = json::find(stored, "type");
    known.type = static_cast<hub::AuthenticationType>(json::to_int64(*type).value());
    known.primary_key = json::get_string_or(stored, "primary", "");
    known.secondary_key = json::get_string_or(stored, "secondary", "");
    known.primary_thumbprint = json::get_string_or(stored, "thumbprint", "");
    const json::Value* disabled = json::find(stored, "disabled");
    if (disabled != nullptr && disabled->is_bool() && disabled->get_bool()) {
      identity.status = hub::DeviceStatus::disabled;
    }
    return identity;
  }

  Task<Result<hub::EnsuredIdentity>> ensure_identity(store::Transaction& tx, HubName hub,
                                                     hub::EnsureIdentity wanted) override {
    if (refuse_with) co_return fail(*refuse_with);
    auto stored = co_await tx.get(key(hub, wanted.device_id));
    if (!stored) co_return fail(stored.error());
    json::Object value;
    const bool created = !*stored;
    if (created) {
      value["generation"] = random_.uuid();
      value["reported"] = json::Object();
      value["disabled"] = wanted.status == hub::DeviceStatus::disabled;
      tx.append(store::key({"lifecycle"}), "create " + wanted.device_id.str());
    } else {
      value = json::parse(**stored)->get_object();
    }
    value["type"] = static_cast<std::int64_t>(wanted.authentication.type);
    value["thumbprint"] = wanted.authentication.primary_thumbprint;
    value["primary"] = wanted.authentication.primary_key;
    value["secondary"] = wanted.authentication.secondary_key;
    if (created || wanted.reset_twin) {
      const auto twin = wanted.initial_twin.value_or(hub::InitialTwin{});
      value["tags"] = twin.tags;
      value["desired"] = twin.desired;
      value["reported"] = twin.reported;
    }
    tx.put(key(hub, wanted.device_id), json::write(value));
    co_return hub::EnsuredIdentity{identity_of(wanted.device_id, value), created};
  }
  Task<Status> remove_identity(store::Transaction& tx, HubName hub, DeviceId device) override {
    auto stored = co_await tx.get(key(hub, device));
    if (!stored) co_return fail(stored.error());
    if (*stored) {
      tx.erase(key(hub, device));
      tx.append(store::key({"lifecycle"}), "delete " + device.str());
    }
    co_return Status();
  }
  Task<Result<std::optional<hub::Identity>>> find_identity(store::Transaction& tx, HubName hub,
                                                           DeviceId device) override {
    auto stored = co_await tx.get(key(hub, device));
    if (!stored) co_return fail(stored.error());
    if (!*stored) co_return std::nullopt;
    co_return identity_of(device, *json::parse(**stored));
  }
  Task<Result<std::optional<hub::DeviceTwin>>> find_twin(store::Transaction& tx, HubName hub,
                                                         DeviceId device) override {
    auto stored = co_await tx.get(key(hub, device));
    if (!stored) co_return fail(stored.error());
    if (!*stored) co_return std::nullopt;
    const json::Object value = json::parse(**stored)->get_object();
    hub::DeviceTwin twin;
    twin.tags = value.at("tags").get_object();
    twin.desired = value.at("desired").get_object();
    twin.reported = value.at("reported").get_object();
    co_return twin;
  }

  // Not used by provisioning.
  Task<Result<hub::Identity>> get_identity(HubName, DeviceId, ModuleId) override {
    co_return fail(Code::unsupported, "");
  }
  Task<Result<hub::Identity>> create_identity(HubName, hub::Identity) override {
    co_return fail(Code::unsupported, "");
  }
  Task<Result<hub::Identity>> update_identity(HubName, hub::Identity, std::string) override {
    co_return fail(Code::unsupported, "");
  }
  Task<Status> delete_identity(HubName, DeviceId, ModuleId, std::string) override {
    co_return fail(Code::unsupported, "");
  }
  Task<Result<std::vector<DeviceId>>> list_devices(HubName, DeviceId, std::size_t) override {
    co_return fail(Code::unsupported, "");
  }
  Task<Result<hub::DeviceGrant>> authenticate(HubName, DeviceId, ModuleId,
                                              hub::DeviceProof) override {
    co_return fail(Code::unsupported, "");
  }
  void send(const HubName&, hub::DeviceMessageView, Executor&, Sent) override {}

  std::optional<Error> refuse_with;

 private:
  Random& random_;
};

// Takes "https://fn/builtin" for its own; makes a digital twin, as a key, in the same commit.
class FakeFunctions final : public functions::Functions {
 public:
  static constexpr std::string_view kUrl = "https://fn/builtin?code=secret";

  std::optional<std::string> builtin_allocation_app(std::string_view url) const override {
    return url == kUrl ? std::optional<std::string>("app") : std::nullopt;
  }
  Task<Result<functions::AllocationAnswer>> allocate(store::Transaction& tx, std::string,
                                                     json::Value request) override {
    requests.push_back(request);
    if (refuse_with) co_return fail(*refuse_with);
    const json::Value* context = json::find(request, "deviceRuntimeContext");
    const std::string id = json::get_string_or(*context, "registrationId", "");
    const auto twin = store::key({"faketwin", id});
    auto there = co_await tx.get(twin);
    if (!there) co_return fail(there.error());
    if (!*there) tx.put(twin, "");
    functions::AllocationAnswer answer;
    answer.hub_host_name = hub_host_name;
    answer.initial_twin = hub::InitialTwin{.tags = json::Object{{"dtId", id}}, .desired = {}};
    answer.digital_twin = {TwinsInstanceName("twins"), DigitalTwinId(id)};
    co_return answer;
  }
  Task<Status> bind(store::Transaction& tx, functions::AllocationAnswer answer,
                    twins::DeviceBinding binding) override {
    const auto twin = store::key({"faketwin", answer.digital_twin->second.view()});
    auto there = co_await tx.get(twin);
    if (!there) co_return fail(there.error());
    if (*there != binding.generation.str()) tx.put(twin, binding.generation.str());
    co_return Status();
  }

  Task<Result<std::vector<DigitalTwinId>>> remove_digital_twins(store::Transaction& tx,
                                                                DigitalTwinId twin,
                                                                twins::DeviceBinding of) override {
    const auto key = store::key({"faketwin", twin.view()});
    auto there = co_await tx.get(key);
    if (!there) co_return fail(there.error());
    std::vector<DigitalTwinId> removed;
    if (*there && **there == of.generation.view()) {
      tx.erase(key);
      removed.push_back(twin);
    }
    co_return removed;
  }

  std::string hub_host_name = "hub1.example.net";
  std::optional<Error> refuse_with;
  std::vector<json::Value> requests;
};

class FakeWebhooks final : public WebhookClient {
 public:
  Task<Result<WebhookReply>> post(std::string url, std::string body, WebhookTimeouts,
                                  std::stop_token stop) override {
    calls.emplace_back(std::move(url), std::move(body));
    if (delay > Duration::zero()) co_await sleep_for(delay, stop);
    if (replies.empty()) co_return fail(Code::unavailable, "nobody answers");
    auto reply = std::move(replies.front());
    replies.pop_front();
    co_return reply;
  }

  std::deque<Result<WebhookReply>> replies;
  std::vector<std::pair<std::string, std::string>> calls;
  Duration delay{};
};

inline constexpr std::string_view kScope = "0ne00000001";
// From the documentation of symmetric key attestation (dps.md section 2.2).
inline constexpr std::string_view kGroupKey =
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
inline constexpr std::string_view kPolicyKey = "cG9saWN5LWtleS1wb2xpY3kta2V5";

struct World {
  doppel::testing::ManualClock clock;
  doppel::testing::ManualExecutor executor{clock};
  SeededRandom random{7};
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store =
      store::open_memory(clock, store::MemoryOptions{.faults = &faults});
  security::SecretBox box{security::MasterKey::generate(random), random};
  std::shared_ptr<const resources::Catalog> catalog = make_catalog();
  FakeHubs hubs{random};
  FakeFunctions functions;
  FakeWebhooks webhooks;
  FakeRemoteHub remote{clock};
  Provisioning provisioning{
      Provisioning::Deps{.store = *store,
                         .clock = clock,
                         .random = random,
                         .box = box,
                         .catalog = [this] { return catalog; },
                         .hubs = hubs,
                         .functions = functions,
                         .webhooks = webhooks,
                         .ensure_issuer = [this](std::string) { return ensure_issuer(); },
                         .remote_hubs = &remote}};

  // Makes the issuer "default" of dps1, as resources/ does.
  Task<Status> ensure_issuer() {
    const auto made = security::CertificateAuthority::make("Issuer of dps1", clock.now(),
                                                           std::chrono::days(365), random);
    auto changed = make_catalog();
    changed->dps[0].certificates.push_back({.name = "default",
                                            .certificate = made.certificate(),
                                            .is_verified = true,
                                            .private_key = made.key_pem()});
    catalog = std::move(changed);
    co_return Status();
  }
  static resources::LinkedHub linked(std::string name) {
    resources::LinkedHub hub;
    hub.host_name = name + ".example.net";
    hub.host_names = {hub.host_name};
    hub.hub = HubName(name);
    return hub;
  }
  // A hub elsewhere, played by `remote`.
  static resources::LinkedHub linked_far(std::string name = "far") {
    resources::LinkedHub hub;
    hub.host_name = name + ".example.net";
    hub.host_names = {hub.host_name};
    hub.authority = hub.host_name + ":8443";
    hub.key_name = "iothubowner";
    hub.key = kRemoteKey;
    return hub;
  }
  // From now on instance dps1 has just these hubs.
  void link(std::vector<resources::LinkedHub> linked_hubs) {
    auto made = make_catalog(std::move(linked_hubs));
    catalog = std::move(made);
  }
  static std::shared_ptr<resources::Catalog> make_catalog(
      std::vector<resources::LinkedHub> linked_hubs = {linked("hub1"), linked("hub2")}) {
    auto made = std::make_shared<resources::Catalog>();
    for (const char* name : {"hub1", "hub2"}) {
      resources::Hub hub;
      hub.name = HubName(name);
      hub.host_name = std::string(name) + ".example.net";
      hub.host_names = {hub.host_name};
      made->hubs.push_back(std::move(hub));
    }
    resources::Dps dps;
    dps.name = "dps1";
    dps.id = "/subscriptions/s/dps1";
    dps.id_scope = IdScope(kScope);
    dps.host_names = {"localhost", "dps1.example.net"};
    dps.linked_hubs = std::move(linked_hubs);
    resources::DpsPolicy owner;
    owner.name = "provisioningserviceowner";
    owner.primary_key = kPolicyKey;
    owner.rights = 63;
    resources::DpsPolicy reader = owner;
    reader.name = "reader";
    reader.rights = static_cast<std::uint8_t>(resources::DpsRight::enrollment_read);
    dps.policies = {owner, reader};
    made->dps.push_back(std::move(dps));
    made->finish();
    return made;
  }

  template <class T>
  T run(Task<T> task) {
    return doppel::testing::run(executor, std::move(task));
  }
  Instance instance() { return provisioning.find_by_scope(kScope); }

  std::string token(std::string_view id, std::string_view key,
                    std::string_view key_name = "registration",
                    std::optional<TimePoint> expires = std::nullopt) {
    return security::make_sas(fmt::format("{}/registrations/{}", kScope, id), key,
                              security::KeyForm::base64, key_name,
                              expires.value_or(clock.now() + std::chrono::hours(1)))
        .value_or("");
  }
  std::string device_key(std::string_view id) {
    return security::derive_device_key(kGroupKey, id).value_or("");
  }
  std::string group_token(std::string_view id) { return token(id, device_key(id)); }

  Result<json::Object> put(EnrollmentKind kind, std::string id, std::string_view body,
                           std::string if_match = {}) {
    return run(provisioning.enrollments().put(instance(), kind, std::move(id),
                                              json::parse(body).value(), std::move(if_match)));
  }
  // The group "thermostats" with kGroupKey; `more` are further members.
  Result<json::Object> put_group(std::string_view more = "") {
    return put(EnrollmentKind::group, "thermostats",
               fmt::format(R"({{"enrollmentGroupId":"thermostats","attestation":{{
                 "type":"symmetricKey","symmetricKey":{{"primaryKey":"{}"}}}}{}}})",
                           kGroupKey, more));
  }

  RegisterRequest request(std::string_view id, std::string sas_token) {
    return {.instance = instance(),
            .id = RegistrationId(id),
            .proof = {.sas_token = std::move(sas_token)},
            .payload = std::nullopt,
            .api_version = "2019-03-31",
            .tracking_id = "t"};
  }
  Result<OperationStatus> register_device(std::string_view id, std::string sas_token) {
    return run(provisioning.registrar().register_device(request(id, std::move(sas_token))));
  }
  Result<OperationStatus> register_device(std::string_view id) {
    return register_device(id, group_token(id));
  }

  std::optional<json::Value> stored_identity(std::string_view hub, std::string_view device) {
    auto stored = run(store->snapshot()->get(FakeHubs::key(HubName(hub), DeviceId(device))));
    if (!stored.value()) return std::nullopt;
    return json::parse(**stored).value();
  }
  std::size_t count(std::string_view space) {
    const auto prefix = store::key({space});
    return run(store->snapshot()->scan(prefix, store::after_prefix(prefix), 10'000)).value().size();
  }
  store::CommitVersion version() { return store->snapshot()->version(); }
};

inline std::string text_of(const json::Object& object, std::string_view name) {
  return json::get_string_or(json::Value(object), name, "");
}

}  // namespace doppel::provisioning::testing
