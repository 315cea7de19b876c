#include "provisioning/operations.h"

#include <atomic>

#include <fmt/format.h>

#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

// Shared by a timer and the end of an operation, of which exactly one ends the wait.
struct Wait {
  std::move_only_function<void(bool)> done;
  std::atomic<bool> finished = false;

  void finish(bool in_time) {
    if (!finished.exchange(true)) done(in_time);
  }
};

}  // namespace

std::string_view to_string(OutcomeStatus status) {
  switch (status) {
    case OutcomeStatus::assigned:
      return "assigned";
    case OutcomeStatus::failed:
      return "failed";
    case OutcomeStatus::disabled:
      return "disabled";
    case OutcomeStatus::waiting:
      return "assigning";
  }
  return "";
}

std::optional<Result<Outcome>> Operation::result() const {
  const std::scoped_lock lock(mutex_);
  return result_;
}

void Operation::when_done(std::function<void()> call) {
  {
    const std::scoped_lock lock(mutex_);
    if (!result_) {
      waiting_.push_back(std::move(call));
      return;
    }
  }
  call();
}

void Operation::finish(Result<Outcome> result) {
  std::vector<std::function<void()>> calls;
  {
    const std::scoped_lock lock(mutex_);
    result_.emplace(std::move(result));
    calls = std::move(waiting_);
  }
  for (auto& call : calls) call();
}

Task<bool> Operation::wait(std::shared_ptr<Operation> operation, Duration limit) {
  if (operation->result()) co_return true;
  auto state = std::make_shared<Wait>();
  Executor& home = Executor::current();
  Executor::TimerId timer = 0;
  std::move_only_function<void(std::move_only_function<void(bool)>)> start =
      [&](std::move_only_function<void(bool)> done) {
        state->done = std::move(done);
        timer = home.post_after(limit, [state] { state->finish(false); });
        operation->when_done([state] { state->finish(true); });
      };
  const bool in_time = co_await from_callback<bool>(std::move(start));
  if (in_time) home.cancel(timer);
  co_return in_time;
}

bool Operation::count_poll(SteadyTime now, std::size_t& polls) {
  const std::scoped_lock lock(mutex_);
  SteadyTime& oldest = last_polls_[polls_ % kPollsMax];
  if (polls_ >= kPollsMax && now - oldest < kPollWindow) return false;
  oldest = now;
  polls = ++polls_;
  return true;
}

Result<Operations::Begun> Operations::begin_or_join(const std::string& subject, std::string id) {
  const std::scoped_lock lock(mutex_);
  if (const auto at = running_.find(subject); at != running_.end()) {
    return Begun{at->second, false};
  }
  if (running_.size() >= kRunningOperationsMax) return fail(errors::dps::kThrottled);
  forget_old(clock_.steady());
  // Devices treat it as opaque; C and .NET paste it into a topic as it is. The shape is Azure's.
  if (id.empty()) id = fmt::format("4.{:016x}.{}", random_.next(), random_.uuid());
  auto operation = std::make_shared<Operation>(id, subject);
  running_.emplace(subject, operation);
  known_.emplace(std::move(id), operation);
  return Begun{std::move(operation), true};
}

void Operations::finish(const std::shared_ptr<Operation>& operation, Result<Outcome> result) {
  std::vector<std::function<void()>> idle;
  {
    const std::scoped_lock lock(mutex_);
    running_.erase(operation->subject());
    if (result && result->status == OutcomeStatus::waiting) {
      // The approval is what polls are answered from; it may last longer than any memory.
      const auto known = known_.find(operation->id());
      if (known != known_.end() && known->second == operation) known_.erase(known);
    } else {
      finished_.emplace_back(clock_.steady(), operation->id());
    }
    forget_old(clock_.steady());
    if (running_.empty()) idle = std::move(idle_);
  }
  operation->finish(std::move(result));
  for (auto& call : idle) call();
}

void Operations::forget_old(SteadyTime now) {
  while (!finished_.empty() && (finished_.size() > kFinishedOperationsMax ||
                                now - finished_.front().first > kFinishedOperationKept)) {
    known_.erase(finished_.front().second);
    finished_.pop_front();
  }
}

std::shared_ptr<Operation> Operations::find(const std::string& id,
                                            const std::string& subject) const {
  const std::scoped_lock lock(mutex_);
  const auto at = known_.find(id);
  return at != known_.end() && at->second->subject() == subject ? at->second : nullptr;
}

std::size_t Operations::running() const {
  const std::scoped_lock lock(mutex_);
  return running_.size();
}

Task<void> Operations::wait_until_idle() {
  std::move_only_function<void(std::move_only_function<void(bool)>)> start =
      [this](std::move_only_function<void(bool)> done) {
        {
          const std::scoped_lock lock(mutex_);
          if (!running_.empty()) {
            auto shared = std::make_shared<std::move_only_function<void(bool)>>(std::move(done));
            idle_.push_back([shared] { (*shared)(true); });
            return;
          }
        }
        done(true);
      };
  co_await from_callback<bool>(std::move(start));
}

}  // namespace doppel::provisioning
