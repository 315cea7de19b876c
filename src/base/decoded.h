// The answer of a decoder: a value, "need more bytes", or "malformed, because". Mixing up the last
// two hangs a connection or drops a healthy one, so they are different types.
#pragma once

#include <string_view>
#include <utility>
#include <variant>

namespace doppel {

struct NeedMore {};

// `reason` points to static storage.
struct Malformed {
  std::string_view reason;
};

template <class T>
class [[nodiscard]] Decoded {
 public:
  Decoded(T value) : state_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Decoded(NeedMore) : state_(NeedMore{}) {}       // NOLINT(google-explicit-constructor)
  Decoded(Malformed why) : state_(why) {}         // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  bool needs_more() const { return state_.index() == 1; }
  bool is_malformed() const { return state_.index() == 2; }

  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  std::string_view reason() const { return std::get<2>(state_).reason; }

 private:
  std::variant<T, NeedMore, Malformed> state_;
};

}  // namespace doppel
