#include "net/loop.h"

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <exception>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/log.h"

namespace doppel::net {
namespace asio = boost::asio;
namespace {

using IoExecutor = asio::io_context::executor_type;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, IoExecutor>;
using Descriptor = asio::posix::basic_stream_descriptor<IoExecutor>;

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

// The top of everything that runs on a loop. What escapes here was foreseen by nobody.
template <class Work>
void run_guarded(Work&& work) {
  try {
    work();
  } catch (const std::exception& error) {
    log::error("net.job_failed", {{"reason", error.what()}});
  }
}

}  // namespace

std::size_t prepare_process() {
  // NOLINTNEXTLINE(cert-err33-c): cannot fail for a valid signal
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

struct Loop::Impl {
  Impl(std::string loop_name, Duration tick)
      : name(std::move(loop_name)),
        next_timer(io.get_executor()),
        wheel_timer(io.get_executor()),
        wheel(tick) {}

  std::string name;

  // Shared with other threads, under the mutex.
  std::mutex mutex;
  std::vector<Job> jobs;
  std::map<std::pair<SteadyTime, TimerId>, Job> timers;
  std::unordered_map<TimerId, SteadyTime> due;
  TimerId last_timer = 0;
  bool is_drain_posted = false;
  bool is_stopped = false;

  // The loop's own.
  asio::io_context io{1};
  SteadyTimer next_timer;
  SteadyTimer wheel_timer;
  Wheel wheel;
  bool is_wheel_turning = false;
  std::vector<Job> batch;
  std::vector<std::shared_ptr<Flushable>> dirty;
  std::vector<std::shared_ptr<Flushable>> flushing;
  std::vector<char> read_buffer = std::vector<char>(kReadBufferBytes);
};

Loop::Loop(std::string name, Duration tick)
    : impl_(std::make_unique<Impl>(std::move(name), tick)), thread_([this] { run(); }) {}

Loop::~Loop() { stop(); }

void Loop::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->is_stopped = true;
  }
  impl_->io.stop();
  if (thread_.joinable()) thread_.join();
  // What is left will not run. Captures may own connections, whose watches need the io_context; and
  // somebody may wait for a promise among them to break.
  std::vector<Job> jobs;
  std::map<std::pair<SteadyTime, TimerId>, Job> timers;
  {
    const std::lock_guard lock(impl_->mutex);
    jobs.swap(impl_->jobs);
    timers.swap(impl_->timers);
  }
  jobs.clear();
  timers.clear();
  impl_->dirty.clear();
}

void Loop::run() {
  ::pthread_setname_np(::pthread_self(), impl_->name.substr(0, 15).c_str());
  const auto work = asio::make_work_guard(impl_->io);
  impl_->io.run();
}

void Loop::post(Job job) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->is_stopped) return;
  impl_->jobs.push_back(std::move(job));
  if (std::exchange(impl_->is_drain_posted, true)) return;
  asio::post(impl_->io, [this] { drain(); });
}

void Loop::drain() {
  const Running running(*this);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->batch.swap(impl_->jobs);
    // Jobs posted from now on get a drain of their own, so sockets have their turn in between.
    impl_->is_drain_posted = false;
  }
  for (auto& job : impl_->batch) {
    run_guarded([&] {
      job();
      job = nullptr;  // destroyed here, while this executor is current
    });
  }
  impl_->batch.clear();
  flush_all();
}

Executor::TimerId Loop::post_after(Duration delay, Job job) {
  const auto due = steady_now() + delay;
  const std::lock_guard lock(impl_->mutex);
  const auto id = ++impl_->last_timer;
  if (impl_->is_stopped) return id;
  impl_->due.emplace(id, due);
  const auto at = impl_->timers.emplace(std::pair(due, id), std::move(job)).first;
  if (at == impl_->timers.begin()) asio::post(impl_->io, [this] { arm_timers(); });
  return id;
}

void Loop::cancel(TimerId timer) {
  Job dropped;  // destroyed after the lock: its captures may call back
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->due.find(timer);
  if (at == impl_->due.end()) return;
  const auto entry = impl_->timers.find({at->second, timer});
  dropped = std::move(entry->second);
  impl_->timers.erase(entry);
  impl_->due.erase(at);
}

void Loop::arm_timers() {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->timers.empty()) return;
  const auto due = impl_->timers.begin()->first.first;
  impl_->next_timer.expires_at(std::chrono::steady_clock::time_point(due));
  impl_->next_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) run_timers();
  });
}

void Loop::run_timers() {
  const Running running(*this);
  std::vector<Job> due_jobs;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto now = steady_now();
    while (!impl_->timers.empty() && impl_->timers.begin()->first.first <= now) {
      auto entry = impl_->timers.extract(impl_->timers.begin());
      impl_->due.erase(entry.key().second);
      due_jobs.push_back(std::move(entry.mapped()));
    }
  }
  for (auto& job : due_jobs) {
    run_guarded([&] {
      job();
      job = nullptr;
    });
  }
  flush_all();
  arm_timers();
}

void Loop::set_timer(WheelTimer& timer, Duration delay) {
  if (impl_->wheel.empty()) impl_->wheel.advance(steady_now());
  impl_->wheel.set(timer, delay);
  if (std::exchange(impl_->is_wheel_turning, true)) return;
  impl_->wheel_timer.expires_after(impl_->wheel.tick());
  impl_->wheel_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) turn_wheel();
  });
}

void Loop::clear_timer(WheelTimer& timer) { impl_->wheel.clear(timer); }

void Loop::turn_wheel() {
  const Running running(*this);
  run_guarded([&] { impl_->wheel.advance(steady_now()); });
  flush_all();
  impl_->is_wheel_turning = !impl_->wheel.empty();
  if (!impl_->is_wheel_turning) return;
  impl_->wheel_timer.expires_after(impl_->wheel.tick());
  impl_->wheel_timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) turn_wheel();
  });
}

Duration Loop::tick() const { return impl_->wheel.tick(); }

std::span<char> Loop::read_buffer() { return impl_->read_buffer; }

void Loop::flush_soon(std::shared_ptr<Flushable> what) {
  if (std::exchange(what->is_queued_, true)) return;
  impl_->dirty.push_back(std::move(what));
}

void Loop::flush_all() {
  while (!impl_->dirty.empty()) {
    impl_->flushing.swap(impl_->dirty);
    for (auto& what : impl_->flushing) {
      what->is_queued_ = false;
      run_guarded([&] { what->flush(); });
    }
    impl_->flushing.clear();
  }
}

Loops::Loops(std::size_t count, Duration tick) {
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i)
    loops_.push_back(std::make_unique<Loop>("loop-" + std::to_string(i), tick));
}

Loops::~Loops() { stop(); }

void Loops::stop() {
  for (auto& loop : loops_) loop->stop();
}

Loop& Loops::next() {
  return *loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
}

// Outlives its Watch while Asio still holds a wait.
struct Watch::State {
  State(Loop& owner, int fd, Ready& ready)
      : loop(owner), descriptor(owner.impl_->io.get_executor(), fd), target(&ready) {}
  Loop& loop;
  Descriptor descriptor;
  Ready* target;  // null once the Watch is gone
  bool is_waiting_read = false;
  bool is_waiting_write = false;

  template <bool kIsRead>
  void ready(const boost::system::error_code& error) {
    (kIsRead ? is_waiting_read : is_waiting_write) = false;
    if (error || target == nullptr) return;
    const Executor::Running running(loop);
    run_guarded([&] { kIsRead ? target->on_readable() : target->on_writable(); });
    loop.flush_all();
  }
};

Watch::Watch(Loop& loop, int fd, Ready& target)
    : state_(std::make_shared<State>(loop, fd, target)), fd_(fd) {}

Watch::~Watch() {
  state_->target = nullptr;
  boost::system::error_code ignored;
  // NOLINTNEXTLINE(bugprone-unused-return-value): nothing to do about a close that fails
  state_->descriptor.close(ignored);
}

void Watch::wait_readable() {
  if (std::exchange(state_->is_waiting_read, true)) return;
  state_->descriptor.async_wait(
      Descriptor::wait_read,
      [state = state_](const boost::system::error_code& error) { state->ready<true>(error); });
}

void Watch::wait_writable() {
  if (std::exchange(state_->is_waiting_write, true)) return;
  state_->descriptor.async_wait(
      Descriptor::wait_write,
      [state = state_](const boost::system::error_code& error) { state->ready<false>(error); });
}

}  // namespace doppel::net
