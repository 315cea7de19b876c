// Registrations that are under way or were finished a little while ago. A device registers, and
// asks for the outcome by operation ID until it has it; here is where the outcome waits.
//
// Two register calls for one registration ID at a time share one operation: a device that lost an
// answer sends its register again, and the allocation function must not run twice for that.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "json/value.h"

namespace doppel::provisioning {

inline constexpr std::size_t kRunningOperationsMax = 10'000;   // beyond: throttled
inline constexpr std::size_t kFinishedOperationsMax = 20'000;  // kept for polls, oldest go first
inline constexpr Duration kFinishedOperationKept = std::chrono::minutes(10);
inline constexpr std::size_t kPollsMax = 5;  // of a running operation, in kPollWindow; dps.md
inline constexpr Duration kPollWindow = std::chrono::seconds(10);  // section 8

// `waiting`: for a person's approval. It is no end for the device, which is told "assigning", but
// one for the operation: a later poll begins it again.
enum class OutcomeStatus : std::uint8_t { assigned, failed, disabled, waiting };
std::string_view to_string(OutcomeStatus status);

// How a registration ended: the members of RegistrationOperationStatus.
struct Outcome {
  OutcomeStatus status = OutcomeStatus::failed;
  json::Object state;  // registrationState
};

class Operation {
 public:
  Operation(std::string id, std::string subject)
      : id_(std::move(id)), subject_(std::move(subject)) {}

  const std::string& id() const { return id_; }
  const std::string& subject() const { return subject_; }

  // Nothing while it runs.
  std::optional<Result<Outcome>> result() const;
  // Waits for the result at most `limit`; true when it is there.
  static Task<bool> wait(std::shared_ptr<Operation> operation, Duration limit);
  // Counts a poll; false when there were too many. The count of all is `polls`.
  bool count_poll(SteadyTime now, std::size_t& polls);

 private:
  friend class Operations;
  void finish(Result<Outcome> result);
  void when_done(std::function<void()> call);

  const std::string id_;
  const std::string subject_;  // instance and registration ID
  mutable std::mutex mutex_;
  std::optional<Result<Outcome>> result_;
  std::vector<std::function<void()>> waiting_;
  std::array<SteadyTime, kPollsMax> last_polls_{};
  std::size_t polls_ = 0;
};

// Any thread.
class Operations {
 public:
  Operations(const Clock& clock, Random& random) : clock_(clock), random_(random) {}

  struct Begun {
    std::shared_ptr<Operation> operation;
    bool is_new = false;  // the caller runs it and calls finish; else somebody does already
  };
  // `id`, if given, is that of an operation which ended waiting (or before a restart) and goes on.
  // Errors: throttled.
  Result<Begun> begin_or_join(const std::string& subject, std::string id = {});
  void finish(const std::shared_ptr<Operation>& operation, Result<Outcome> result);
  // Null when unknown, forgotten, or another subject's.
  std::shared_ptr<Operation> find(const std::string& id, const std::string& subject) const;

  std::size_t running() const;
  // Ends when nothing runs any more. Nobody may begin meanwhile.
  Task<void> wait_until_idle();

 private:
  void forget_old(SteadyTime now);

  const Clock& clock_;
  Random& random_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Operation>> running_;  // by subject
  std::unordered_map<std::string, std::shared_ptr<Operation>> known_;    // by ID, running ones too
  std::deque<std::pair<SteadyTime, std::string>> finished_;              // oldest first
  std::vector<std::function<void()>> idle_;
};

}  // namespace doppel::provisioning
