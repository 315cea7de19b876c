// Finds enrollments by the certificates they name, however many enrollments there are. The keys
// stand in keys.h; they are staged with the entry itself, so they are never behind it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "provisioning/enrollment_codec.h"
#include "security/certificate.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::provisioning {

// Entries of one certificate, or groups of signing certificates with one subject, that are looked
// at; ours. More share a name only when somebody made the names alike on purpose.
inline constexpr std::size_t kNamedAlikeMax = 1000;

// Stages the difference between two states of an entry; null: it is not there.
void stage_certificates(store::Transaction& tx, std::string_view instance, const Enrollment* before,
                        const Enrollment* after);

// An entry as it was read.
struct FoundEnrollment {
  std::string key;
  std::string stored;
  std::shared_ptr<const Enrollment> enrollment;
};

// Reads of one snapshot for one instance. Lives as long as a look-up.
class CertificateIndex {
 public:
  CertificateIndex(std::shared_ptr<const store::Snapshot> snapshot, std::string instance,
                   const EnrollmentCodec& codec)
      : snapshot_(std::move(snapshot)), instance_(std::move(instance)), codec_(codec) {}

  // All entries that name the certificate itself, individual ones first, then in the order of IDs.
  Task<Result<std::vector<FoundEnrollment>>> naming(security::Certificate certificate) const;
  // Signing certificates of groups that may have issued `subject`, by their own words; none twice.
  Task<Result<std::vector<security::Certificate>>> issuers_of(security::Certificate subject) const;
  // Groups that refer to a certificate of the provisioning service by this name.
  Task<Result<std::vector<FoundEnrollment>>> referring_to(std::string name) const;

 private:
  Task<Result<std::vector<FoundEnrollment>>> read(std::string prefix) const;

  std::shared_ptr<const store::Snapshot> snapshot_;
  std::string instance_;
  const EnrollmentCodec& codec_;
};

}  // namespace doppel::provisioning
