// Strings that identify things are types: a registration ID and a device ID often hold the same
// text, and mixing them up should not compile.
//
//   using DeviceId = StrongId<struct DeviceIdTag>;
//
// Comparison is byte-wise (IDs are case-sensitive unless the code that makes one says otherwise).
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace doppel {

template <class Tag>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(std::string text) : text_(std::move(text)) {}
  explicit StrongId(std::string_view text) : text_(text) {}
  explicit StrongId(const char* text) : text_(text) {}

  const std::string& str() const { return text_; }
  std::string_view view() const { return text_; }
  bool empty() const { return text_.empty(); }

  auto operator<=>(const StrongId&) const = default;

 private:
  std::string text_;
};

// The same for numbers: versions, sequence numbers.
template <class Tag, class T>
struct StrongNumber {
  T value{};

  constexpr auto operator<=>(const StrongNumber&) const = default;
  constexpr StrongNumber next() const { return {static_cast<T>(value + 1)}; }
};

}  // namespace doppel

template <class Tag>
struct std::hash<doppel::StrongId<Tag>> {
  std::size_t operator()(const doppel::StrongId<Tag>& id) const noexcept {
    return std::hash<std::string_view>{}(id.view());
  }
};
