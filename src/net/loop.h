// Event loops: one thread with one io_context each, to which connections are pinned for life, so
// their state needs no locks. A Loop is the Executor of everything that belongs to its connections.
//
// Asio stays inside loop.cc: the rest of the folder waits for file descriptors with Watch and reads
// and writes by itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.h"
#include "net/wheel.h"

namespace doppel::net {

// How late a connection's time limit may fire.
inline constexpr Duration kWheelTick = std::chrono::milliseconds(250);
// Bytes that one wake-up of one connection reads at most before others get their turn; also the
// size of the read buffer that all connections of a loop share.
inline constexpr std::size_t kReadBufferBytes = 64 * 1024;

// Raises the limit of open files as far as allowed and ignores SIGPIPE (writing to a closed TLS
// socket raises it). Once a process, before threads start. Returns the limit of open files.
std::size_t prepare_process();

// Something with bytes to send; flushed once when the event, or the batch of jobs, that gave it the
// bytes is over. So all answers to one read, and all acknowledgements of one commit, leave in one
// write.
class Flushable {
 public:
  virtual ~Flushable() = default;

 protected:
  virtual void flush() = 0;

 private:
  friend class Loop;
  bool is_queued_ = false;
};

class Loop final : public Executor {
 public:
  Loop(std::string name, Duration tick);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void post(Job job) override;
  TimerId post_after(Duration delay, Job job) override;
  void cancel(TimerId timer) override;

  // Ends the thread after the job that runs, and destroys jobs and timers that are left. Not from
  // the loop itself.
  void stop();

  bool is_current() const { return Executor::current_or_null() == this; }

  // The rest is for the loop's own thread.
  void flush_soon(std::shared_ptr<Flushable> what);
  void set_timer(WheelTimer& timer, Duration delay);
  void clear_timer(WheelTimer& timer);
  Duration tick() const;
  std::span<char> read_buffer();

 private:
  friend class Watch;
  struct Impl;

  void run();
  void drain();
  void run_timers();
  void arm_timers();
  void turn_wheel();
  void flush_all();

  std::unique_ptr<Impl> impl_;
  std::jthread thread_;  // last: it uses the rest
};

// A set of loops, one a core.
class Loops {
 public:
  // `count` 0: one for each core.
  explicit Loops(std::size_t count = 0, Duration tick = kWheelTick);
  ~Loops();

  // Stops all threads; nothing runs on any loop afterwards. Not from a loop.
  void stop();

  std::size_t size() const { return loops_.size(); }
  Loop& at(std::size_t i) { return *loops_[i]; }
  // Round-robin. Any thread.
  Loop& next();

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::atomic<std::size_t> next_ = 0;
};

// Who is told that a descriptor can be read or written.
class Ready {
 public:
  virtual void on_readable() = 0;
  virtual void on_writable() = 0;

 protected:
  ~Ready() = default;
};

// Owns a non-blocking file descriptor and waits for it on a loop. Waits are one-shot; asking twice
// is asking once. Loop's thread only. Once destroyed (closing the descriptor) it calls nobody.
class Watch {
 public:
  Watch(Loop& loop, int fd, Ready& target);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void wait_readable();
  void wait_writable();
  int fd() const { return fd_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
  int fd_;
};

}  // namespace doppel::net
