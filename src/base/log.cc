#include "base/log.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/time_text.h"

namespace doppel::log {
namespace {

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  out += '"';
}

void append_value(std::string& out, const Field& field) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string_view>)
          append_json_string(out, value);
        else
          fmt::format_to(std::back_inserter(out), "{}", value);
      },
      field.value);
}

constexpr std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "?";
}

class Sink {
 public:
  Sink() : writer_([this](const std::stop_token& stop) { run(stop); }) {}

  void push(std::string line) {
    {
      const std::lock_guard lock(mutex_);
      if (lines_.size() >= kQueuedLinesMax) {
        ++dropped;
        return;
      }
      lines_.push_back(std::move(line));
      ++accepted_;
    }
    wake_.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex_);
    const auto target = accepted_;
    written_.wait(lock, [&] { return done_ >= target; });
  }

  std::atomic<int> fd = STDERR_FILENO;
  std::atomic<Level> least = Level::info;
  std::atomic<std::uint64_t> dropped = 0;

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, stop, [&] { return !lines_.empty(); });
      if (lines_.empty()) return;
      std::deque<std::string> batch;
      batch.swap(lines_);
      lock.unlock();
      std::string text;
      for (const auto& line : batch) text += line;
      write_all(text);
      lock.lock();
      done_ += batch.size();
      written_.notify_all();
    }
  }

  void write_all(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t wrote = ::write(fd, text.data(), text.size());
      if (wrote < 0 && errno != EINTR) return;  // nowhere left to complain to
      if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable written_;
  std::deque<std::string> lines_;
  std::uint64_t accepted_ = 0;
  std::uint64_t done_ = 0;
  std::jthread writer_;  // last: it uses the rest
};

Sink& sink() {
  static Sink instance;
  return instance;
}

}  // namespace

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  Sink& to = sink();
  if (level < to.least.load(std::memory_order_relaxed)) return;
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","event":)",
                                 to_iso8601(SystemClock().now()), name_of(level));
  append_json_string(line, event);
  for (const auto& field : fields) {
    line += ',';
    append_json_string(line, field.key);
    line += ':';
    append_value(line, field);
  }
  line += "}\n";
  to.push(std::move(line));
}

void set_level(Level least) { sink().least = least; }
void set_output(int fd) { sink().fd = fd; }
void flush() { sink().flush(); }
std::uint64_t dropped_lines() { return sink().dropped; }

}  // namespace doppel::log
