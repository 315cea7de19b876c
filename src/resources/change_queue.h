// Lets changes of resources take turns. Each writes the guard key, so of several at once only one
// could commit and the others would start over, again and again; a script that makes fifty
// resources in parallel would see conflicts.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "base/result.h"
#include "base/task.h"

namespace doppel::resources {

// Beyond these the server is flooded; management is not a hot path.
inline constexpr std::size_t kWaitingChangesMax = 1000;

// Any thread. First come, first served.
class ChangeQueue {
 public:
  // Held while a change runs; letting go wakes the next.
  class Turn {
   public:
    explicit Turn(ChangeQueue& queue) : queue_(&queue) {}
    Turn(Turn&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (queue_ != nullptr) queue_->leave();
    }

   private:
    ChangeQueue* queue_;
  };

  // Errors: throttled (kWaitingChangesMax).
  Task<Result<Turn>> enter();

 private:
  using Wake = std::move_only_function<void(bool)>;
  void wait(Wake wake);
  void leave();

  std::mutex mutex_;
  bool is_taken_ = false;
  std::deque<Wake> waiting_;
};

}  // namespace doppel::resources
