#include "provisioning/enrollments.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/approvals.h"
#include "provisioning/certificate_index.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {
namespace {

std::string group_count_key(std::string_view instance) {
  return store::key({kSpace, to_lower(instance), "group-count"});
}

// CA references and credential policy are certificates of the service, or no device could ever come
// by them. One that the entry had before may be gone since; leaving it in place is no new mistake.
Status check_references(const resources::Dps& instance, const Enrollment& made,
                        const Enrollment* before) {
  const std::string& policy = made.credential_policy;
  const bool is_new = before == nullptr || before->credential_policy != policy;
  if (is_new && !policy.empty() && !equal_ignoring_case(policy, resources::kDefaultIssuer)) {
    const auto* issuer = instance.find_certificate(policy);
    if (issuer == nullptr || issuer->private_key.empty()) {
      return fail(errors::dps::kInvalidEnrollment,
                  fmt::format("credentialPolicyName must be 'default' or a certificate of this "
                              "provisioning service with a private key, not '{}'",
                              policy));
    }
  }
  if (!made.x509) return {};
  const auto known =
      before != nullptr && before->x509 ? before->x509->references() : std::vector<std::string>();
  for (const std::string& name : made.x509->references()) {
    if (std::ranges::find(known, name) != known.end()) continue;
    if (instance.find_certificate(name) == nullptr) {
      return fail(errors::dps::kInvalidEnrollment,
                  fmt::format("attestation.x509.caReferences names {}, which is no certificate of "
                              "this provisioning service",
                              name));
    }
  }
  return {};
}

std::string_view without_quotes(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

}  // namespace

bool etag_matches(std::string_view if_match, std::string_view current) {
  if (if_match.empty()) return true;
  // Node, C and az send the text as it is, with its own quotes; .NET adds quotes where it sees
  // none.
  const std::string_view wanted = without_quotes(if_match);
  return wanted == "*" || wanted == without_quotes(current);
}

std::vector<std::string> linked_host_names(const resources::Dps& instance) {
  std::vector<std::string> names;
  for (const auto& hub : instance.linked_hubs) {
    names.push_back(hub.host_name);
    names.insert(names.end(), hub.host_names.begin(), hub.host_names.end());
  }
  return names;
}

struct Enrollments::PutArguments {
  Instance instance;
  EnrollmentKind kind;
  std::string id;
  json::Value body;
  std::string if_match;
  Mode mode;
};

Task<Result<std::shared_ptr<const Enrollment>>> Enrollments::find(Instance instance,
                                                                  EnrollmentKind kind,
                                                                  std::string id) {
  const auto key = enrollment_key(instance->name, kind, id);
  auto stored = co_await deps_.store.snapshot()->get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return fail(errors::dps::kEnrollmentNotFound);
  co_return deps_.codec.decode(kind, key, **stored);
}

Task<Result<json::Object>> Enrollments::get(Instance instance, EnrollmentKind kind,
                                            std::string id) {
  auto enrollment = co_await find(instance, kind, id);
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  json::Object shown = to_json(**enrollment, ShowKeys::hide);
  if (kind == EnrollmentKind::individual) {
    auto registration =
        co_await read_registration(deps_.store.snapshot(), registration_key(instance->name, id));
    if (!registration) co_return fail(std::move(registration.error()));
    if (*registration) shown["registrationState"] = state_json(**registration);
  }
  co_return shown;
}

Task<Result<json::Object>> Enrollments::put(Instance instance, EnrollmentKind kind, std::string id,
                                            json::Value body, std::string if_match, Mode mode) {
  auto arguments = std::make_shared<const PutArguments>(PutArguments{
      std::move(instance), kind, std::move(id), std::move(body), std::move(if_match), mode});
  std::function<Task<Result<json::Object>>(store::Transaction&)> staged =
      [this, arguments](store::Transaction& tx) { return put_in(tx, arguments); };
  co_return co_await store::transact<json::Object>(deps_.store, std::move(staged));
}

Task<Result<json::Object>> Enrollments::put_in(store::Transaction& tx,
                                               std::shared_ptr<const PutArguments> arguments) {
  const auto& [instance, kind, id, body, if_match, mode] = *arguments;
  const auto key = enrollment_key(instance->name, kind, id);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  std::shared_ptr<const Enrollment> current;
  if (*stored) {
    auto decoded = deps_.codec.decode(kind, key, **stored);
    if (!decoded) co_return fail(std::move(decoded.error()));
    current = *std::move(decoded);
  }
  if (current && mode == Mode::create) co_return fail(errors::dps::kEnrollmentExists);
  if (!current && mode == Mode::update) co_return fail(errors::dps::kEnrollmentNotFound);
  if (!if_match.empty() && (!current || !etag_matches(if_match, current->etag))) {
    co_return fail(errors::dps::kEtagMismatch);
  }

  auto hubs = linked_host_names(*instance);
  // A hub may have been unlinked since; an update that leaves it in place is no new mistake.
  if (current) hubs.insert(hubs.end(), current->iot_hubs.begin(), current->iot_hubs.end());
  auto made = parse_enrollment(kind, id, body, current.get(), hubs, deps_.random);
  if (!made) co_return fail(std::move(made.error()));
  made->etag = make_etag(deps_.random);
  made->updated = deps_.clock.now();
  made->created = current ? current->created : made->updated;
  if (!current && kind == EnrollmentKind::group) {
    auto counted = co_await count_groups(tx, instance->name, +1);
    if (!counted) co_return fail(std::move(counted.error()));
  }
  if (auto known = check_references(*instance, *made, current.get()); !known)
    co_return fail(known.error());
  stage_certificates(tx, instance->name, current.get(), &*made);
  tx.put(key, deps_.codec.encode(key, *made));
  co_return to_json(*made, ShowKeys::show);
}

// Groups are counted, since a device that no group knows yet costs work for each of them. The
// counter also makes two creations at once take turns.
Task<Status> Enrollments::count_groups(store::Transaction& tx, std::string instance, int change) {
  const auto key = group_count_key(instance);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  std::int64_t count = 0;
  if (*stored) std::from_chars((*stored)->data(), (*stored)->data() + (*stored)->size(), count);
  count += change;
  if (change > 0 && count > static_cast<std::int64_t>(kGroupsMax)) {
    co_return fail(errors::dps::kTooMany,
                   fmt::format("an instance holds at most {} enrollment groups", kGroupsMax));
  }
  tx.put(key, std::to_string(std::max<std::int64_t>(count, 0)));
  co_return Status();
}

Task<Status> Enrollments::remove(Instance instance, EnrollmentKind kind, std::string id,
                                 std::string if_match) {
  auto arguments = std::make_shared<const PutArguments>(PutArguments{
      std::move(instance), kind, std::move(id), {}, std::move(if_match), Mode::update});
  std::function<Task<Result<bool>>(store::Transaction&)> staged =
      [this, arguments](store::Transaction& tx) { return remove_in(tx, arguments); };
  auto removed = co_await store::transact<bool>(deps_.store, std::move(staged));
  if (!removed) co_return fail(std::move(removed.error()));
  co_return Status();
}

Task<Result<bool>> Enrollments::remove_in(store::Transaction& tx,
                                          std::shared_ptr<const PutArguments> arguments) {
  const auto key = enrollment_key(arguments->instance->name, arguments->kind, arguments->id);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return fail(errors::dps::kEnrollmentNotFound);
  auto current = deps_.codec.decode(arguments->kind, key, **stored);
  // A damaged entry can be removed, unless its etag is asked for.
  if (!current && !arguments->if_match.empty()) co_return fail(std::move(current.error()));
  if (current && !etag_matches(arguments->if_match, (*current)->etag)) {
    co_return fail(errors::dps::kEtagMismatch);
  }
  if (arguments->kind == EnrollmentKind::group) {
    auto counted = co_await count_groups(tx, arguments->instance->name, -1);
    if (!counted) co_return fail(std::move(counted.error()));
  }
  if (current) stage_certificates(tx, arguments->instance->name, current->get(), nullptr);
  tx.erase(key);
  co_return true;
}

// ---- Bulk ----

Task<Status> Enrollments::bulk_item(Instance instance, EnrollmentKind kind, json::Value item,
                                    std::string mode) {
  const std::string id = json::get_string_or(
      item, kind == EnrollmentKind::individual ? "registrationId" : "enrollmentGroupId", "");
  if (mode == "delete") {
    co_return co_await remove(std::move(instance), kind, id, {});
  }
  const Mode put_mode = mode == "create" ? Mode::create : Mode::update;
  std::string if_match;
  if (mode == "updateifmatchetag") {
    if_match = json::get_string_or(item, "etag", "");
    if (if_match.empty()) {
      co_return fail(errors::dps::kInvalidEnrollment, "updateIfMatchETag needs an etag");
    }
  }
  auto put_one =
      co_await put(std::move(instance), kind, id, std::move(item), std::move(if_match), put_mode);
  if (!put_one) co_return fail(std::move(put_one.error()));
  co_return Status();
}

Task<Result<json::Object>> Enrollments::bulk(Instance instance, EnrollmentKind kind,
                                             json::Value body) {
  const bool individual = kind == EnrollmentKind::individual;
  const std::string_view list_name = individual ? "enrollments" : "enrollmentGroups";
  const json::Value* list = json::find(body, list_name);
  // Node's type spells one of them differently.
  const std::string mode = to_lower(json::get_string_or(body, "mode", ""));
  if (mode != "create" && mode != "update" && mode != "updateifmatchetag" && mode != "delete") {
    co_return fail(errors::dps::kBadRequest,
                   "mode must be create, update, updateIfMatchETag or delete");
  }
  if (list == nullptr || !list->is_array()) {
    co_return fail(errors::dps::kBadRequest, fmt::format("{} must be an array", list_name));
  }
  if (list->get_array().size() > kBulkItemsMax) {
    co_return fail(errors::dps::kBadRequest,
                   fmt::format("a bulk operation has at most {} items", kBulkItemsMax));
  }
  json::Array problems;
  for (const json::Value& item : list->get_array()) {
    auto done = co_await bulk_item(instance, kind, item, mode);
    if (done) continue;
    const std::string_view id_name = individual ? "registrationId" : "enrollmentGroupId";
    const ServiceError& error =
        done.error().service != nullptr ? *done.error().service : errors::dps::kInternal;
    problems.push_back(json::Object{{id_name, json::get_string_or(item, id_name, "")},
                                    {"errorCode", error.number},
                                    {"errorStatus", done.error().message}});
  }
  json::Object result;
  result["isSuccessful"] = problems.empty();
  result["errors"] = std::move(problems);
  co_return result;
}

// ---- Registrations ----

Task<Result<std::optional<Registration>>> Enrollments::read_registration(
    std::shared_ptr<const store::Snapshot> snapshot, std::string key) {
  auto stored = co_await snapshot->get(std::move(key));
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return std::nullopt;
  auto registration = decode_registration(**stored);
  if (!registration) co_return fail(std::move(registration.error()));
  co_return *std::move(registration);
}

Task<Result<Registration>> Enrollments::get_registration(Instance instance, std::string id) {
  auto found =
      co_await read_registration(deps_.store.snapshot(), registration_key(instance->name, id));
  if (!found) co_return fail(std::move(found.error()));
  if (!*found) co_return fail(errors::dps::kRegistrationNotFound);
  co_return **std::move(found);
}

Task<Status> Enrollments::remove_registration(Instance instance, std::string id,
                                              std::string if_match) {
  auto arguments = std::make_shared<const PutArguments>(PutArguments{std::move(instance),
                                                                     EnrollmentKind::individual,
                                                                     std::move(id),
                                                                     {},
                                                                     std::move(if_match),
                                                                     Mode::update});
  std::function<Task<Result<bool>>(store::Transaction&)> staged =
      [this, arguments](store::Transaction& tx) { return remove_registration_in(tx, arguments); };
  auto removed = co_await store::transact<bool>(deps_.store, std::move(staged));
  if (!removed) co_return fail(std::move(removed.error()));
  co_return Status();
}

Task<Result<bool>> Enrollments::remove_registration_in(
    store::Transaction& tx, std::shared_ptr<const PutArguments> arguments) {
  const std::string_view instance = arguments->instance->name;
  const auto key = registration_key(instance, arguments->id);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  // A device that waits for approval is forgotten, too.
  auto approval = co_await tx.get(approval_key(instance, arguments->id));
  if (!approval) co_return fail(std::move(approval.error()));
  if (!*stored && !*approval) co_return fail(errors::dps::kRegistrationNotFound);
  auto erased = co_await erase_approval(tx, std::string(instance), arguments->id);
  if (!erased) co_return fail(std::move(erased.error()));
  if (!*stored) co_return true;
  auto registration = decode_registration(**stored);
  if (!registration) co_return fail(std::move(registration.error()));
  if (!etag_matches(arguments->if_match, shown_etag(*registration))) {
    co_return fail(errors::dps::kEtagMismatch);
  }
  tx.erase(key);
  if (!registration->group.empty()) {
    tx.erase(member_key(instance, registration->group, arguments->id));
  }
  co_return true;
}

}  // namespace doppel::provisioning
