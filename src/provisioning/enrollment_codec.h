// Enrollments at rest: the JSON that services see, keys included, sealed as a whole, since a
// webhook URL carries a function key too.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/random.h"
#include "base/result.h"
#include "provisioning/enrollment.h"
#include "security/secrets.h"

namespace doppel::provisioning {

// Decoded entries are remembered beside the bytes they came from, so a register costs no decryption
// and no parsing while its enrollment stays as it is; there is nothing to invalidate. Any thread.
class EnrollmentCodec {
 public:
  EnrollmentCodec(const security::SecretBox& box, Random& random) : box_(box), random_(random) {}

  std::string encode(const std::string& key, const Enrollment& enrollment) const;
  // Errors: internal, when the record is damaged or was sealed under another master key.
  Result<std::shared_ptr<const Enrollment>> decode(EnrollmentKind kind, const std::string& key,
                                                   const std::string& stored) const;

 private:
  Result<Enrollment> decode_anew(EnrollmentKind kind, const std::string& key,
                                 const std::string& stored) const;

  struct Known {
    std::string stored;
    std::shared_ptr<const Enrollment> enrollment;
  };
  const security::SecretBox& box_;
  Random& random_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, Known> known_;
};

inline constexpr std::size_t kKnownEnrollmentsMax = 4096;

}  // namespace doppel::provisioning
