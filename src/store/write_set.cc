#include "store/write_set.h"

#include <string>
#include <string_view>

#include <fmt/core.h>

namespace doppel::store {
namespace {

// What an item of a write set takes in memory besides its bytes.
constexpr std::size_t kItemOverhead = sizeof(Put);

Status check_key(std::string_view key, const char* what) {
  if (key.size() > kKeySizeMax)
    return fail(Code::too_large, fmt::format("a {} of {} bytes is longer than the {} allowed", what,
                                             key.size(), kKeySizeMax));
  return {};
}

Status check_value(const std::string& value, const char* what) {
  if (value.size() > kValueSizeMax)
    return fail(Code::too_large, fmt::format("a {} of {} bytes is larger than the {} allowed", what,
                                             value.size(), kValueSizeMax));
  return {};
}

}  // namespace

Result<std::size_t> measure(const WriteSet& changes) {
  std::size_t bytes = 0;
  for (const auto& required : changes.required) bytes += required.size();
  for (const auto& put : changes.puts) {
    if (auto ok = check_key(put.key, "key"); !ok) return fail(std::move(ok.error()));
    if (auto ok = check_value(put.value, "value"); !ok) return fail(std::move(ok.error()));
    bytes += put.key.size() + put.value.size();
  }
  for (const auto& erased : changes.erases) {
    if (auto ok = check_key(erased, "key"); !ok) return fail(std::move(ok.error()));
    bytes += erased.size();
  }
  for (const auto& append : changes.appends) {
    for (const auto& stream : append.streams.all())
      if (auto ok = check_key(stream.view(), "stream name"); !ok)
        return fail(std::move(ok.error()));
    if (auto ok = check_value(append.record, "record"); !ok) return fail(std::move(ok.error()));
    bytes += append.record.size() * append.streams.all().size();
  }
  if (bytes > kWriteSetSizeMax)
    return fail(Code::too_large, fmt::format("a commit of {} bytes is larger than the {} allowed",
                                             bytes, kWriteSetSizeMax));
  const auto items = changes.required.size() + changes.puts.size() + changes.erases.size() +
                     changes.appends.size();
  return bytes + items * kItemOverhead;
}

}  // namespace doppel::store
