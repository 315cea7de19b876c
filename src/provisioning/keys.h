// Where provisioning keeps its things in the store. IDs are compared without case, so keys hold
// them in lower case; the presented spelling stands in the value.
//
//   {"dps", <instance>, "enrollment", <registration ID>}        an individual enrollment
//   {"dps", <instance>, "group", <group ID>}                    an enrollment group
//   {"dps", <instance>, "registration", <registration ID>}      where a device was assigned
//   {"dps", <instance>, "member", <group ID>, <registration ID>}  empty; a group's registrations
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
inline std::string members_prefix(std::string_view instance, std::string_view group) {
  return store::key({kSpace, to_lower(instance), "member", to_lower(group)});
}
inline std::string member_key(std::string_view instance, std::string_view group,
                              std::string_view id) {
  return store::key({kSpace, to_lower(instance), "member", to_lower(group), to_lower(id)});
}

}  // namespace doppel::provisioning
