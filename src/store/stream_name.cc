#include "store/stream_name.h"

#include <deque>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace doppel::store {

struct StreamNameTable {
  std::shared_mutex mutex;
  std::unordered_map<std::string_view, const StreamName::Entry*> by_text;  // views of the entries
  std::deque<StreamName::Entry> entries;                                   // never moved
};

const StreamName::Entry* StreamName::intern(std::string_view text) {
  static auto& table = *new StreamNameTable;  // outlives whoever is destroyed at exit
  {
    const std::shared_lock lock(table.mutex);
    if (const auto known = table.by_text.find(text); known != table.by_text.end())
      return known->second;
  }
  const std::unique_lock lock(table.mutex);
  if (const auto known = table.by_text.find(text); known != table.by_text.end())
    return known->second;
  auto& entry = table.entries.emplace_back(
      Entry{.text = std::string(text), .number = static_cast<std::uint32_t>(table.entries.size())});
  table.by_text.emplace(entry.text, &entry);
  return &entry;
}

}  // namespace doppel::store
