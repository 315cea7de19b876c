// The store in memory: for tests and for trying things out; nothing survives it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "store/engine.h"
#include "store/store.h"

namespace doppel::store {

// What a test makes go wrong. Any thread; must outlive the store it is given to.
class FaultInjection {
 public:
  enum class Fault : std::uint8_t {
    none,
    lose_write,   // the next flush fails and nothing of it is kept
    lose_answer,  // the next flush is kept, but its commits are told `unavailable`
    refuse,       // the next flush refuses its commits with `unavailable`, as when the disk is full
  };

  // After the first two the store reopens by itself, and observers are told.
  void fail_next_flush(Fault fault);

  // From hold() on commits wait in the queue; release() flushes them together.
  void hold();
  void release();

  // For the engine.
  Fault next() const;
  void clear();
  bool is_held() const;
  void wait_until_released();
  void on_release(std::function<void()> pump);

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  Fault next_ = Fault::none;
  bool is_held_ = false;
  std::function<void()> pump_;
};

struct MemoryOptions {
  // Inline: commit() has written when it returns, and completions are posted to the executor it was
  // given; no thread is started.
  Threading threading = Threading::inline_commits;
  FaultInjection* faults = nullptr;
};

// `clock` must outlive the store.
std::unique_ptr<Store> open_memory(const Clock& clock, MemoryOptions options = {});

}  // namespace doppel::store
