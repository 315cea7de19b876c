#include "base/executor.h"

#include <utility>

#include "base/check.h"

namespace doppel {
namespace {

thread_local Executor* running = nullptr;

}  // namespace

Executor& Executor::current() {
  check(running != nullptr, "an executor is running on this thread");
  return *running;
}

Executor* Executor::current_or_null() { return running; }

Executor::Running::Running(Executor& executor) : previous_(std::exchange(running, &executor)) {}
Executor::Running::~Running() { running = previous_; }

}  // namespace doppel
