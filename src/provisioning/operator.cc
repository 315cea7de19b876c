#include "provisioning/operator.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "errors/dps.h"
#include "provisioning/approvals.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kTwinIdTag = "dtId";
constexpr Duration kLookElsewhereMax = std::chrono::seconds(20);

// The digital twin of a device: the one its tag names, else the one named like it (DESIGN 4).
DigitalTwinId twin_of(const std::optional<hub::DeviceTwin>& twin, const DeviceId& device) {
  if (twin) {
    const json::Value* tag = twin->tags.if_contains(kTwinIdTag);
    if (tag != nullptr && json::is_string(*tag) && !tag->get_string().empty()) {
      return DigitalTwinId(json::view(tag->get_string()));
    }
  }
  return DigitalTwinId(device.view());
}

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// As a device of the enrollment would appear in deviceRuntimeContext, without a certificate's
// details.
json::Object sample_proof(const Enrollment& enrollment) {
  return {{to_string(enrollment.attestation), json::Object()}};
}

// The begin of a body, fit for JSON.
std::string shown_text(std::string_view body) {
  std::string text(body.substr(0, kTestedBodyShownMax));
  for (int cut = 0; cut < 3 && !is_valid_utf8(text) && !text.empty(); ++cut) text.pop_back();
  return is_valid_utf8(text) ? text : std::string("(not UTF-8)");
}

// What the registrar would make of an answer.
void judge(const Result<functions::AllocationAnswer>& answer, const resources::Dps& instance,
           json::Object& report) {
  const auto refuse = [&](std::string_view problem) {
    report["isGood"] = false;
    report["problem"] = problem;
  };
  if (!answer) return refuse(answer.error().message);
  report["iotHubHostName"] = answer->hub_host_name;
  if (instance.find_linked_hub(answer->hub_host_name) == nullptr) {
    return refuse(fmt::format("{} is not a linked hub", answer->hub_host_name));
  }
  report["isGood"] = true;
  if (answer->initial_twin) {
    report["initialTwin"] =
        json::Object{{"tags", answer->initial_twin->tags},
                     {"properties", json::Object{{"desired", answer->initial_twin->desired}}}};
  }
  if (answer->payload) report["payload"] = *answer->payload;
  if (answer->digital_twin) report["digitalTwin"] = answer->digital_twin->second.view();
}

}  // namespace

// ---- Taking a device back ----

struct Operator::Removal {
  Instance instance;
  std::string id;
  std::string if_match;
  std::optional<RemoteIdentity> elsewhere;
};

Task<Result<std::optional<RemoteIdentity>>> Operator::look_elsewhere(Instance instance,
                                                                     std::string id,
                                                                     std::stop_token stop) {
  auto record = co_await deps_.enrollments.get_registration(instance, std::move(id));
  if (!record) co_return fail(std::move(record.error()));
  if (!record->is_remote) co_return std::nullopt;
  const resources::LinkedHub* linked = instance->find_linked_hub(record->hub.view());
  if (linked == nullptr) co_return std::nullopt;  // nobody can reach it any more
  RemoteSaga::Request request{
      .place = {.instance = instance->name, .hub = record->hub.str(), .device = record->device_id},
      .address = address_of(*linked),
      .operation = {},
      .until = deps_.clock.steady() + kLookElsewhereMax,
      .stop = std::move(stop)};
  co_return co_await deps_.remotes.find(std::move(request));
}

Task<Result<json::Object>> Operator::deprovision(Instance instance, std::string id,
                                                 std::string if_match, std::stop_token stop) {
  auto elsewhere = co_await look_elsewhere(instance, id, std::move(stop));
  if (!elsewhere) co_return fail(std::move(elsewhere.error()));
  auto removal = std::make_shared<const Removal>(
      Removal{std::move(instance), std::move(id), std::move(if_match), *std::move(elsewhere)});
  std::function<Task<Result<json::Object>>(store::Transaction&)> body =
      [this, removal](store::Transaction& tx) { return deprovision_in(tx, removal); };
  auto report = co_await store::transact<json::Object>(deps_.store, std::move(body));
  if (report) {
    if (removal->elsewhere) deps_.remotes.wake();
    log::info("provisioning.deprovisioned",
              {{"instance", removal->instance->name}, {"registration_id", removal->id}});
  }
  co_return report;
}

Task<Result<json::Object>> Operator::deprovision_in(store::Transaction& tx,
                                                    std::shared_ptr<const Removal> removal) {
  const std::string& instance = removal->instance->name;
  const auto key = registration_key(instance, removal->id);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return fail(errors::dps::kRegistrationNotFound);
  auto record = decode_registration(**stored);
  if (!record) co_return fail(std::move(record.error()));
  if (!etag_matches(removal->if_match, shown_etag(*record))) {
    co_return fail(errors::dps::kEtagMismatch);
  }
  json::Object report{{"registrationId", record->id.str()},
                      {"deviceId", record->device_id.str()},
                      {"assignedHub", record->assigned_hub},
                      {"identityRemoved", false},
                      {"digitalTwinsRemoved", json::Array{}}};
  if (record->is_remote && removal->elsewhere) {
    const resources::LinkedHub* linked = removal->instance->find_linked_hub(record->hub.view());
    if (linked == nullptr) co_return fail(errors::dps::kConflict);
    auto staged = co_await deps_.remotes.stage_removal(
        tx, {.instance = instance, .hub = record->hub.str(), .device = record->device_id},
        address_of(*linked), removal->elsewhere->identity(record->device_id).generation);
    if (!staged) co_return fail(std::move(staged.error()));
    report["identityRemoved"] = true;
  } else if (!record->is_remote && deps_.catalog()->find_hub(record->hub.view()) != nullptr) {
    auto removed = co_await remove_device(tx, *record, report);
    if (!removed) co_return fail(std::move(removed.error()));
  }
  tx.erase(key);
  if (!record->group.empty()) tx.erase(member_key(instance, record->group, removal->id));
  auto erased = co_await erase_approval(tx, instance, removal->id);
  if (!erased) co_return fail(std::move(erased.error()));
  co_return report;
}

Task<Status> Operator::remove_device(store::Transaction& tx, const Registration& record,
                                     json::Object& report) {
  auto identity = co_await deps_.hubs.find_identity(tx, record.hub, record.device_id);
  if (!identity) co_return fail(std::move(identity.error()));
  if (!*identity) co_return Status();
  auto device_twin = co_await deps_.hubs.find_twin(tx, record.hub, record.device_id);
  if (!device_twin) co_return fail(std::move(device_twin.error()));
  const DigitalTwinId twin = twin_of(*device_twin, record.device_id);
  auto twins = co_await deps_.functions.remove_digital_twins(
      tx, twin,
      twins::DeviceBinding{
          .hub = record.hub, .device_id = record.device_id, .generation = (*identity)->generation});
  if (!twins) co_return fail(std::move(twins.error()));
  json::Array names;
  for (const DigitalTwinId& gone : *twins) names.emplace_back(gone.view());
  auto removed = co_await deps_.hubs.remove_identity(tx, record.hub, record.device_id);
  if (!removed) co_return removed;
  report["identityRemoved"] = true;
  report["digitalTwinsRemoved"] = std::move(names);
  co_return Status();
}

// ---- Trying an allocation function ----

Task<Result<json::Object>> Operator::test_webhook(Instance instance, EnrollmentKind kind,
                                                  std::string id, TestRequest request,
                                                  std::stop_token stop) {
  auto enrollment = co_await deps_.enrollments.find(instance, kind, id);
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  if (!(*enrollment)->webhook) {
    co_return fail(errors::dps::kBadRequest,
                   "the enrollment has no customAllocationDefinition to test");
  }
  const auto hubs = candidates(**enrollment, *instance);
  if (hubs.empty()) {
    co_return fail(errors::dps::kBadRequest, "no linked hub of this server can take the device");
  }
  const std::string registration_id =
      kind == EnrollmentKind::individual ? (*enrollment)->id : request.registration_id;
  json::Value body = allocation_request(**enrollment, RegistrationId(registration_id),
                                        sample_proof(**enrollment), nullptr, request.payload, hubs);
  json::Object report{{"webhookUrl", masked_url((*enrollment)->webhook->url)}, {"request", body}};
  const auto app = deps_.functions.builtin_allocation_app((*enrollment)->webhook->url);
  const auto begun = deps_.clock.steady();
  json::Object found;
  if (app) {
    report["function"] = *app;
    found = co_await test_builtin(*app, std::move(body), instance);
  } else {
    found = co_await test_outside((*enrollment)->webhook->url, std::move(body), instance,
                                  std::move(stop));
  }
  report["tookMs"] =
      json::parse(fmt::format("{:.1f}", milliseconds(deps_.clock.steady() - begun))).value();
  for (auto& member : found) report[member.key()] = std::move(member.value());
  if ((*enrollment)->allocation != AllocationPolicy::custom) {
    report["note"] = "allocationPolicy is not custom: the function is not called for devices";
  }
  co_return report;
}

// On a transaction that is thrown away.
Task<json::Object> Operator::test_builtin(std::string app, json::Value request, Instance instance) {
  store::Transaction tx(deps_.store);
  auto answer = co_await deps_.functions.allocate(tx, std::move(app), std::move(request));
  json::Object report;
  judge(answer, *instance, report);
  co_return report;
}

Task<json::Object> Operator::test_outside(std::string url, json::Value request, Instance instance,
                                          std::stop_token stop) {
  auto reply = co_await deps_.webhooks.post(std::move(url), json::write(request), kWebhookTimeouts,
                                            std::move(stop));
  json::Object report;
  if (!reply) {
    report["isGood"] = false;
    report["problem"] = fmt::format("no answer: {}", reply.error().message);
    co_return report;
  }
  report["status"] = reply->status;
  report["body"] = shown_text(reply->body);
  if (reply->status != 200) {
    report["isGood"] = false;
    report["problem"] = "the status is not 200";
    co_return report;
  }
  judge(read_allocation_answer(reply->body), *instance, report);
  co_return report;
}

}  // namespace doppel::provisioning
