#include "provisioning/prover.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/keys.h"
#include "provisioning/registration.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kGroupsNotedMax = 10;  // that did not fit, one by one

std::unexpected<Error> refuse(std::string reason) {
  return fail(errors::dps::kUnauthorized, std::move(reason));
}

// The parts of a token that do not depend on a key.
Status check_token(const security::SasToken& token, const resources::Dps& dps,
                   std::string_view id) {
  // Python's token has no key name at all; others say "registration".
  if (!token.key_name.empty() && !equal_ignoring_case(token.key_name, "registration")) {
    return refuse("the token names another key than 'registration'");
  }
  const auto wanted = fmt::format("{}/registrations/{}", dps.id_scope.view(), id);
  if (!equal_ignoring_case(token.resource, wanted)) {
    return refuse("the token is for another resource");
  }
  return {};
}

Status verify(const security::SasToken& token, const SymmetricKeys& keys, TimePoint now) {
  return security::verify_sas(token, keys.primary, keys.secondary, security::KeyForm::base64, now);
}

Result<SymmetricKeys> derive(const SymmetricKeys& group, std::string_view id) {
  auto primary = security::derive_device_key(group.primary, id);
  if (!primary) return fail(std::move(primary.error()));
  auto secondary = security::derive_device_key(group.secondary, id);
  if (!secondary) return fail(std::move(secondary.error()));
  return SymmetricKeys{*std::move(primary), *std::move(secondary)};
}

// The keys of device `id` by which `token` verifies. Keys are derived from the ID as presented;
// some tools write it in lower case first.
Result<SymmetricKeys> verify_derived(const security::SasToken& token, const SymmetricKeys& group,
                                     std::string_view id, TimePoint now) {
  auto keys = derive(group, id);
  if (!keys) return keys;
  auto verified = verify(token, *keys, now);
  if (verified) return keys;
  const std::string lower = to_lower(id);
  if (lower == id) return fail(std::move(verified.error()));
  keys = derive(group, lower);
  if (!keys) return keys;
  verified = verify(token, *keys, now);
  if (!verified) return fail(std::move(verified.error()));
  return keys;
}

// By keys: the device's own, or those derived for it.
Proven proven_by_keys(std::shared_ptr<const Enrollment> enrollment, std::string key,
                      std::string stored, SymmetricKeys keys) {
  return {.enrollment = std::move(enrollment),
          .key = std::move(key),
          .stored = std::move(stored),
          .authentication = {.type = hub::AuthenticationType::sas,
                             .primary_key = std::move(keys.primary),
                             .secondary_key = std::move(keys.secondary)},
          .runtime_context = json::Object{{"symmetricKey", json::Object()}}};
}

}  // namespace

Task<Result<Proven>> Prover::prove(Instance instance, RegistrationId id, Proof proof,
                                   Trail trail) const {
  if (!is_valid_registration_id(id.view())) co_return refuse("not a registration ID");
  if (!proof.sas_token.empty()) {
    co_return co_await prove_by_token(instance, id, std::move(proof), std::move(trail));
  }
  if (proof.certificates) {
    co_return co_await prove_by_certificate(instance, id, std::move(proof.certificates),
                                            std::move(trail));
  }
  co_return refuse("no proof was presented");
}

Task<Result<Proven>> Prover::prove_by_token(Instance instance, RegistrationId id, Proof proof,
                                            Trail trail) const {
  auto token = security::parse_sas(proof.sas_token);
  if (!token) co_return refuse(token.error().message);
  if (trail) {
    trail.note("token", Verdict::noted, "for {}, key name '{}', until {}", token->resource,
               token->key_name, to_iso8601(token->expires()));
  }
  if (auto good = check_token(*token, *instance, id.view()); !good) co_return fail(good.error());

  const auto snapshot = store_.snapshot();
  auto key = enrollment_key(instance->name, EnrollmentKind::individual, id.view());
  auto stored = co_await snapshot->get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return co_await prove_by_group(instance, id, *std::move(token), snapshot, trail);

  auto enrollment = codec_.decode(EnrollmentKind::individual, key, **stored);
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  trail.set_known();
  // The first entry found decides: an individual one hides every group, whatever its attestation.
  if ((*enrollment)->attestation == AttestationType::tpm) {
    auto proven = tpm_.prove(*instance, id, **enrollment, *token, proof.tpm);
    if (!proven) co_return fail(std::move(proven.error()));
    co_return Proven{.enrollment = *std::move(enrollment),
                     .key = std::move(key),
                     .stored = **std::move(stored),
                     .authentication = {.type = hub::AuthenticationType::sas},
                     .runtime_context = json::Object{{"tpm", json::Object()}},
                     .tpm = *std::move(proven)};
  }
  if ((*enrollment)->attestation != AttestationType::symmetric_key) {
    co_return refuse("the individual enrollment wants another attestation");
  }
  if (auto verified = verify(*token, (*enrollment)->keys, clock_.now()); !verified) {
    co_return refuse(fmt::format("individual enrollment: {}", verified.error().message));
  }
  SymmetricKeys keys = (*enrollment)->keys;
  co_return proven_by_keys(*std::move(enrollment), std::move(key), **std::move(stored),
                           std::move(keys));
}

Task<Result<Proven>> Prover::prove_by_group(Instance instance, RegistrationId id,
                                            security::SasToken token,
                                            std::shared_ptr<const store::Snapshot> snapshot,
                                            Trail trail) const {
  trail.note("enrollment", Verdict::skipped, "there is no individual one of this registration ID");
  const auto now = clock_.now();
  // The token does not name its group. A device that was here before is asked for its group first.
  auto record = co_await snapshot->get(registration_key(instance->name, id.view()));
  if (!record) co_return fail(std::move(record.error()));
  std::string first_key;
  if (*record) {
    trail.set_known();
    if (auto known = decode_registration(**record); known && !known->group.empty()) {
      first_key = enrollment_key(instance->name, EnrollmentKind::group, known->group);
    }
  }
  if (!first_key.empty()) {
    auto stored = co_await snapshot->get(first_key);
    if (!stored) co_return fail(std::move(stored.error()));
    if (*stored) {
      auto group = codec_.decode(EnrollmentKind::group, first_key, **stored);
      if (!group) co_return fail(std::move(group.error()));
      if ((*group)->attestation == AttestationType::symmetric_key) {
        auto keys = verify_derived(token, (*group)->keys, id.view(), now);
        if (keys) {
          co_return proven_by_keys(*group, std::move(first_key), **std::move(stored),
                                   *std::move(keys));
        }
      }
    }
  }

  const auto prefix = enrollments_prefix(instance->name, EnrollmentKind::group);
  auto groups = co_await snapshot->scan(prefix, store::after_prefix(prefix), kGroupsMax);
  if (!groups) co_return fail(std::move(groups.error()));
  std::string reason = "no enrollment covers this registration ID";
  std::size_t passed_over = 0;
  const auto pass_over = [&](const Enrollment& group, std::string_view why) {
    if (++passed_over > kGroupsNotedMax) return;
    trail.note("enrollment", Verdict::skipped, "group {}: {}", group.id, why);
  };
  for (store::Entry& entry : *groups) {
    if (entry.key == first_key) continue;
    auto group = codec_.decode(EnrollmentKind::group, entry.key, entry.value);
    if (!group) co_return fail(std::move(group.error()));
    if ((*group)->attestation != AttestationType::symmetric_key) {
      pass_over(**group, "wants another attestation");
      continue;
    }
    auto keys = verify_derived(token, (*group)->keys, id.view(), now);
    if (keys) {
      co_return proven_by_keys(*group, std::move(entry.key), std::move(entry.value),
                               *std::move(keys));
    }
    pass_over(**group, keys.error().message);
    reason = fmt::format("no enrollment group's key made the token: {}", keys.error().message);
  }
  if (passed_over > kGroupsNotedMax) {
    trail.note("enrollment", Verdict::skipped, "and {} groups more", passed_over - kGroupsNotedMax);
  }
  co_return refuse(std::move(reason));
}

}  // namespace doppel::provisioning
