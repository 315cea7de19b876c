// The enrollment list and the registration records as service clients manage them (dps.md section
// 6). Knows no protocol.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "provisioning/enrollment_codec.h"
#include "provisioning/prover.h"
#include "provisioning/registration.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::provisioning {

inline constexpr std::size_t kBulkItemsMax = 10;
inline constexpr std::size_t kPageItemsDefault = 100;
inline constexpr std::size_t kPageItemsMax = 10'000;
inline constexpr std::size_t kPageBytesMax = 4 * 1024 * 1024;  // of JSON; then the page ends early
inline constexpr std::size_t kScannedPerPageMax = 20'000;      // entries looked at when few match

// Which entries a query wants: all, or those that the filter takes.
using Filter = std::function<bool(const json::Value& shown)>;

struct PageRequest {
  std::size_t items_max = kPageItemsDefault;
  std::string continuation;  // of the page before; empty: from the start
  Filter filter;             // empty: all
};
struct Page {
  json::Array items;
  std::string continuation;  // empty: this was the last page
};

class Enrollments {
 public:
  struct Deps {
    store::Store& store;
    const Clock& clock;
    Random& random;
    const EnrollmentCodec& codec;
  };
  explicit Enrollments(Deps deps) : deps_(deps) {}

  // An entry as clients see it, keys hidden; an individual one with its registrationState. Errors:
  // EnrollmentNotFound.
  Task<Result<json::Object>> get(Instance instance, EnrollmentKind kind, std::string id);
  // The entry itself, for `check` and attestationmechanism.
  Task<Result<std::shared_ptr<const Enrollment>>> find(Instance instance, EnrollmentKind kind,
                                                       std::string id);

  enum class Mode : std::uint8_t { upsert, create, update };
  // Makes or changes an entry. `if_match`: empty for none, "*", or an etag with or without quotes.
  // Answers with keys: who writes them may read them. Errors: InvalidEnrollment, EnrollmentExists
  // (create), EnrollmentNotFound (update), EtagMismatch, TooMany (groups).
  Task<Result<json::Object>> put(Instance instance, EnrollmentKind kind, std::string id,
                                 json::Value body, std::string if_match, Mode mode = Mode::upsert);
  // Registrations and hub identities stay (dps.md section 5). Errors: EnrollmentNotFound,
  // EtagMismatch.
  Task<Status> remove(Instance instance, EnrollmentKind kind, std::string id, std::string if_match);
  // Up to kBulkItemsMax changes, each for itself; returns BulkEnrollmentOperationResult. Errors:
  // BadRequest for what is no bulk operation at all.
  Task<Result<json::Object>> bulk(Instance instance, EnrollmentKind kind, json::Value body);
  // In the order of IDs. Errors: BadRequest (continuation).
  Task<Result<Page>> query(Instance instance, EnrollmentKind kind, PageRequest request);

  // Errors: RegistrationNotFound, EtagMismatch.
  Task<Result<Registration>> get_registration(Instance instance, std::string id);
  // Forgets the assignment; the identity in the hub stays.
  Task<Status> remove_registration(Instance instance, std::string id, std::string if_match);
  // Of one group, whether the group still exists or not.
  Task<Result<Page>> query_registrations(Instance instance, std::string group, PageRequest request);
  // Of the whole instance, individual ones too: our extension.
  Task<Result<Page>> query_all_registrations(Instance instance, PageRequest request);
  // For `check`: registrations of all kinds, after `after` (a registration ID, or empty).
  Task<Result<std::vector<Registration>>> list_registrations(std::string instance,
                                                             std::string after, std::size_t limit);

  // Everything of a deleted instance, in commits of its own. Safe to repeat.
  Task<Status> purge(std::string instance);

 private:
  struct PutArguments;
  Task<Result<json::Object>> put_in(store::Transaction& tx,
                                    std::shared_ptr<const PutArguments> arguments);
  Task<Result<bool>> remove_in(store::Transaction& tx,
                               std::shared_ptr<const PutArguments> arguments);
  Task<Result<bool>> remove_registration_in(store::Transaction& tx,
                                            std::shared_ptr<const PutArguments> arguments);
  Task<Status> count_groups(store::Transaction& tx, std::string instance, int change);
  Task<Status> bulk_item(Instance instance, EnrollmentKind kind, json::Value item,
                         std::string mode);
  Task<Result<std::optional<Registration>>> read_registration(
      std::shared_ptr<const store::Snapshot> snapshot, std::string key);
  using Show = std::function<Task<Result<std::optional<json::Object>>>(store::Entry)>;
  Task<Result<Page>> page(std::shared_ptr<const store::Snapshot> snapshot, std::string prefix,
                          PageRequest request, Show show);

  Deps deps_;
};

// The names of an instance's linked hubs, as enrollments may spell them.
std::vector<std::string> linked_host_names(const resources::Dps& instance);
// Whether the condition of an If-Match header holds for the current etag; an empty one always does.
bool etag_matches(std::string_view if_match, std::string_view current);

}  // namespace doppel::provisioning
