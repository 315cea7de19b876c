// Structured logs: one JSON object a line, written by a thread of its own so that no loop waits for
// a disk. Low layers return errors and do not log them; the layer that knows the device logs once,
// with the tracking ID that the client was shown.
//
//   log::warn("provisioning.refused", {{"tracking_id", id}, {"registration_id", reg}, {"reason",
//   "wrong key"}});
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace doppel::log {

enum class Level : std::uint8_t { debug, info, warn, error };

struct Field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  Field(std::string_view k, std::signed_integral auto v) : key(k), value(std::int64_t{v}) {}
  Field(std::string_view k, std::unsigned_integral auto v) : key(k), value(std::uint64_t{v}) {}
};

// Any thread; never blocks: when more than kQueuedLinesMax lines wait, the line is dropped and
// counted.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view event, std::initializer_list<Field> f = {}) {
  write(Level::debug, event, f);
}
inline void info(std::string_view event, std::initializer_list<Field> f = {}) {
  write(Level::info, event, f);
}
inline void warn(std::string_view event, std::initializer_list<Field> f = {}) {
  write(Level::warn, event, f);
}
inline void error(std::string_view event, std::initializer_list<Field> f = {}) {
  write(Level::error, event, f);
}

inline constexpr std::size_t kQueuedLinesMax = 65536;

void set_level(Level least);
// Where lines go: a file descriptor that stays open (default: standard error). Call before threads
// start.
void set_output(int fd);
// Waits until every line accepted so far is written. For orderly exit and tests.
void flush();
std::uint64_t dropped_lines();

}  // namespace doppel::log
