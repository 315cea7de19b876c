// Names of streams, each kept once for the life of the process: an append then carries a pointer,
// and the committer finds the stream by a small number instead of hashing a long text.
//
// A name is never forgotten, so only those who append make them (from names of resources); reading
// takes any text.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace doppel::store {

// Any thread. Making one costs a lookup under a lock, copying it nothing.
class StreamName {
 public:
  StreamName() = default;  // of no stream
  // Implicit, so that a name is written where a stream is wanted.
  StreamName(std::string_view text)
      : entry_(intern(text)) {}        // NOLINT(google-explicit-constructor)
  StreamName(const std::string& text)  // NOLINT(google-explicit-constructor)
      : StreamName(std::string_view(text)) {}
  StreamName(const char* text)  // NOLINT(google-explicit-constructor)
      : StreamName(std::string_view(text)) {}

  std::string_view view() const { return entry_ == nullptr ? std::string_view() : entry_->text; }
  // Dense, from 0; the order in which the process first saw them. Not of an empty StreamName.
  std::uint32_t number() const { return entry_->number; }

  bool operator==(const StreamName&) const = default;

 private:
  struct Entry {
    std::string text;
    std::uint32_t number = 0;
  };
  static const Entry* intern(std::string_view text);
  friend struct StreamNameTable;

  const Entry* entry_ = nullptr;
};

// The few streams that get the same record.
class StreamNames {
 public:
  static constexpr std::size_t kMax = 4;

  StreamNames() = default;
  template <class Name>
    requires std::convertible_to<Name, StreamName>
  StreamNames(const Name& name) {  // NOLINT(google-explicit-constructor)
    add(name);
  }

  bool is_full() const { return count_ == kMax; }
  // Not when full.
  void add(StreamName name) { names_[count_++] = name; }
  bool empty() const { return count_ == 0; }
  std::span<const StreamName> all() const { return {names_.data(), count_}; }

 private:
  std::array<StreamName, kMax> names_;
  std::uint8_t count_ = 0;
};

}  // namespace doppel::store
