#include "store/store.h"

#include <coroutine>
#include <utility>

#include "base/bytes.h"

namespace doppel::store {
namespace {

constexpr char kEscape = '\x00';
constexpr char kEscapedZero = '\xFF';
constexpr char kPartEnd = '\x01';

// Resumes straight from the completion, which the engine already runs on the awaiting executor.
struct CommitAwaiter {
  Store& store;
  WriteSet changes;
  std::optional<Result<Committed>> outcome;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    // Another thread may resume, and so end, the frame that holds this before commit() returns.
    store.commit(std::move(changes), Executor::current(), [this, waiting](Result<Committed> done) {
      outcome.emplace(std::move(done));
      waiting.resume();
    });
  }
  Result<Committed> await_resume() { return std::move(*outcome); }
};

}  // namespace

Task<Result<Committed>> Store::commit(WriteSet changes) {
  CommitAwaiter awaiter{.store = *this, .changes = std::move(changes), .outcome = {}};
  co_return co_await awaiter;
}

std::string key(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size() + 2;
  std::string joined;
  joined.reserve(size);
  for (const auto part : parts) {
    for (std::size_t at = 0; at < part.size();) {
      const auto zero = std::min(part.find(kEscape, at), part.size());
      joined.append(part, at, zero - at);
      if (zero < part.size()) joined.append({kEscape, kEscapedZero});
      at = zero + 1;
    }
    joined.append({kEscape, kPartEnd});
  }
  return joined;
}

std::optional<std::vector<std::string>> split_key(std::string_view key) {
  std::vector<std::string> parts;
  std::string part;
  while (!key.empty()) {
    const auto escape = key.find(kEscape);
    if (escape == std::string_view::npos || escape + 1 == key.size()) return std::nullopt;
    part.append(key.substr(0, escape));
    const char what = key[escape + 1];
    key.remove_prefix(escape + 2);
    if (what == kEscapedZero) {
      part.push_back(kEscape);
    } else if (what == kPartEnd) {
      parts.push_back(std::exchange(part, {}));
    } else {
      return std::nullopt;
    }
  }
  if (!part.empty()) return std::nullopt;  // the last part has no end
  return parts;
}

std::string after_prefix(std::string_view prefix) {
  std::string after(prefix);
  while (!after.empty() && after.back() == '\xFF') after.pop_back();
  if (!after.empty())
    after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) + 1);
  return after;  // empty (no end) when the prefix is empty or all 0xFF
}

std::string number_part(std::uint64_t value) {
  std::string part;
  append_be(part, value);
  return part;
}

}  // namespace doppel::store
