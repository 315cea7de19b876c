// What the power-cut tests share: lives of a store, each in a process of its own on a disk that
// forgets what was not flushed. A process ends when the power does: nothing is closed, nothing is
// destroyed, as in the real case.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/worker.h"
#include "forgetful_file_system.h"
#include "store/rocksdb/rocksdb_store.h"

namespace doppel::crash {

inline constexpr std::uint64_t kCutsInARun = 4;

// One life. Left to the end of its process: its threads may still work on it.
class Life {
 public:
  Life(std::string directory, std::uint64_t seed, store::Durability durability);
  virtual ~Life() = default;

  // `is_cut`: lives until the power goes off; else only opens and looks. `at_cut` is called at that
  // moment, before anything is forgotten: what a thread learns later nobody may hear of.
  void run(bool is_cut, const std::function<void()>& at_cut);

 protected:
  // On a thread of its own, because it may come to stand still at any disk operation.
  virtual void look(store::Store& store) = 0;
  virtual void write(store::Store& store) = 0;

  // Any thread.
  void violation(std::string_view what);
  bool has_failed() const { return has_failed_.load(); }
  // What was broken, cut to the room there is; `room` stays zeros when nothing was.
  template <std::size_t kSize>
  void copy_violation(char (&room)[kSize]) {
    const std::lock_guard lock(violation_mutex_);
    violation_.copy(room, kSize - 1);
  }

  SeededRandom random_;
  SystemClock clock_;
  Worker worker_{"acknowledged"};

 private:
  ForgetfulFileSystem::Cut choose_cut();
  void live(bool is_cut);

  const std::string directory_;
  const store::Durability durability_;
  std::mutex violation_mutex_;
  std::string violation_;
  std::atomic<bool> has_failed_ = false;
  std::shared_ptr<ForgetfulFileSystem> disk_;
};

// Runs `live`, which returns plain data, in a child process; nothing when the child did not come to
// its end.
template <class Live, class Outcome = std::invoke_result_t<Live>>
std::optional<Outcome> in_child(Live live) {
  static_assert(std::is_trivially_copyable_v<Outcome> && sizeof(Outcome) <= 4096,
                "it comes through a pipe whole");
  int pipe[2];
  check(::pipe2(pipe, O_CLOEXEC) == 0, "a pipe can be made");
  const auto child = ::fork();
  check(child >= 0, "a process can be started");
  if (child == 0) {
    // Not before: the log has a thread, and a process is forked safely only without any.
    log::set_output(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const Outcome outcome = live();
    const auto written = ::write(pipe[1], &outcome, sizeof(outcome));
    ::_exit(written == sizeof(outcome) ? 0 : 1);
  }
  ::close(pipe[1]);
  Outcome outcome;
  const auto size = ::read(pipe[0], &outcome, sizeof(outcome));
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (size != sizeof(outcome) || status != 0) return std::nullopt;
  return outcome;
}

}  // namespace doppel::crash
