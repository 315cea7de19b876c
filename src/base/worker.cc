#include "base/worker.h"

#include <utility>

#include <pthread.h>

namespace doppel {

Worker::Worker(std::string name)
    : name_(std::move(name)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

Worker::~Worker() {
  thread_.request_stop();
  thread_.join();
}

void Worker::post(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

Executor::TimerId Worker::post_after(Duration delay, Job job) {
  TimerId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_timer_;
    const auto due = clock_.steady() + delay;
    timers_.emplace(std::pair(due, id), std::move(job));
    due_.emplace(id, due);
  }
  wake_.notify_one();
  return id;
}

void Worker::cancel(TimerId timer) {
  Job dropped;  // destroyed after the lock: its captures may call back
  const std::lock_guard lock(mutex_);
  const auto at = due_.find(timer);
  if (at == due_.end()) return;
  const auto entry = timers_.find({at->second, timer});
  dropped = std::move(entry->second);
  timers_.erase(entry);
  due_.erase(at);
}

void Worker::run(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!timers_.empty() && timers_.begin()->first.first <= clock_.steady()) {
      auto due = timers_.extract(timers_.begin());
      due_.erase(due.key().second);
      jobs_.push_back(std::move(due.mapped()));
      continue;
    }
    if (jobs_.empty()) {
      const auto ready = [this] { return !jobs_.empty(); };
      const auto before = last_timer_;
      if (timers_.empty())
        wake_.wait(lock, stop, [&] { return ready() || last_timer_ != before; });
      else
        wake_.wait_until(lock, stop, timers_.begin()->first.first,
                         [&] { return ready() || last_timer_ != before; });
      continue;
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    {
      const Running running(*this);
      job();
      job = nullptr;
    }
    lock.lock();
  }
}

}  // namespace doppel
