// Where a parsed query lives: nodes and strings in one block of memory that goes with the query.
#pragma once

#include <deque>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "query/value.h"

namespace doppel::query {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  template <class T>
  T* make(T value) {
    static_assert(std::is_trivially_destructible_v<T>, "nobody calls destructors here");
    return new (memory_.allocate(sizeof(T), alignof(T))) T(std::move(value));
  }

  template <class T>
  std::span<const T> copy(const std::vector<T>& values) {
    static_assert(std::is_trivially_destructible_v<T>, "nobody calls destructors here");
    if (values.empty()) return {};
    auto* place = static_cast<T*>(memory_.allocate(sizeof(T) * values.size(), alignof(T)));
    std::uninitialized_copy(values.begin(), values.end(), place);
    return {place, values.size()};
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    auto* place = static_cast<char*>(memory_.allocate(text.size(), 1));
    text.copy(place, text.size());
    return {place, text.size()};
  }

  // A constant that is a document of its own.
  const json::Value& keep(json::Value value) {
    constants_.push_back(std::move(value));
    return constants_.back();
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
  std::deque<json::Value> constants_;
};

}  // namespace doppel::query
