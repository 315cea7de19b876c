// Where provisioning keeps its things in the store. IDs are compared without case, so keys hold
// them in lower case; the presented spelling stands in the value.
//
//   {"dps", <instance>, "enrollment", <registration ID>}        an individual enrollment
//   {"dps", <instance>, "group", <group ID>}                    an enrollment group
//   {"dps", <instance>, "registration", <registration ID>}      where a device was assigned
//   {"dps", <instance>, "approval", <registration ID>}          a device that waits for a person
//   {"dps", <instance>, "approval-count"}                       how many of these there are
//   {"dps", <instance>, "member", <group ID>, <registration ID>}  empty; a group's registrations
//
// Indexes, with empty values, written with the entry:
//   {"dps", <instance>, "certificate", <SHA-256>, <part>, <ID>}   entries that name a certificate
//   {"dps", <instance>, "signer", <hash of its subject>, <group ID>}  groups with a signing
//   certificate
//   {"dps", <instance>, "reference", <name>, <group ID>}          groups that refer to a CA by name
#pragma once

#include <string>
#include <string_view>

#include "base/encoding.h"
#include "provisioning/enrollment.h"
#include "store/store.h"

namespace doppel::provisioning {

inline constexpr std::string_view kSpace = "dps";

inline std::string_view part_of(EnrollmentKind kind) {
  return kind == EnrollmentKind::individual ? "enrollment" : "group";
}
inline std::string instance_prefix(std::string_view instance) {
  return store::key({kSpace, to_lower(instance)});
}
inline std::string enrollments_prefix(std::string_view instance, EnrollmentKind kind) {
  return store::key({kSpace, to_lower(instance), part_of(kind)});
}
inline std::string enrollment_key(std::string_view instance, EnrollmentKind kind,
                                  std::string_view id) {
  return store::key({kSpace, to_lower(instance), part_of(kind), to_lower(id)});
}
inline std::string registrations_prefix(std::string_view instance) {
  return store::key({kSpace, to_lower(instance), "registration"});
}
inline std::string registration_key(std::string_view instance, std::string_view id) {
  return store::key({kSpace, to_lower(instance), "registration", to_lower(id)});
}
inline std::string approvals_prefix(std::string_view instance) {
  return store::key({kSpace, to_lower(instance), "approval"});
}
inline std::string approval_key(std::string_view instance, std::string_view id) {
  return store::key({kSpace, to_lower(instance), "approval", to_lower(id)});
}
inline std::string approval_count_key(std::string_view instance) {
  return store::key({kSpace, to_lower(instance), "approval-count"});
}
inline std::string members_prefix(std::string_view instance, std::string_view group) {
  return store::key({kSpace, to_lower(instance), "member", to_lower(group)});
}
inline std::string member_key(std::string_view instance, std::string_view group,
                              std::string_view id) {
  return store::key({kSpace, to_lower(instance), "member", to_lower(group), to_lower(id)});
}

inline std::string naming_prefix(std::string_view instance, std::string_view sha256) {
  return store::key({kSpace, to_lower(instance), "certificate", sha256});
}
inline std::string naming_key(std::string_view instance, std::string_view sha256,
                              EnrollmentKind kind, std::string_view id) {
  return store::key(
      {kSpace, to_lower(instance), "certificate", sha256, part_of(kind), to_lower(id)});
}
// `subject` is Certificate::subject_hash, in hex.
inline std::string signers_prefix(std::string_view instance, std::string_view subject) {
  return store::key({kSpace, to_lower(instance), "signer", subject});
}
inline std::string signer_key(std::string_view instance, std::string_view subject,
                              std::string_view group) {
  return store::key({kSpace, to_lower(instance), "signer", subject, to_lower(group)});
}
inline std::string references_prefix(std::string_view instance, std::string_view name) {
  return store::key({kSpace, to_lower(instance), "reference", to_lower(name)});
}
inline std::string reference_key(std::string_view instance, std::string_view name,
                                 std::string_view group) {
  return store::key({kSpace, to_lower(instance), "reference", to_lower(name), to_lower(group)});
}

}  // namespace doppel::provisioning
