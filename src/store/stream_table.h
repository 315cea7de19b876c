// Where every stream begins and ends. The committer moves heads ahead while it stages a batch; what
// everybody else sees moves when the batch is durable.
#pragma once

#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/engine.h"
#include "store/store.h"

namespace doppel::store {

class StreamTable {
 public:
  struct Stream {
    std::string name;
    std::optional<std::uint32_t> place;  // in by_name_number_, once it was appended to by name
    StreamNumber number = 0;             // as staged; 0: does not exist
    StreamBounds staged;
    StreamNumber durable_number = 0;
    StreamBounds durable;
    bool is_touched = false;  // by the batch being staged
    std::uint32_t head = 0;   // its place in touched_heads(), when touched
  };
  struct Position {
    StreamNumber number = 0;
    StreamBounds bounds;
  };

  // Any thread: what is durable.
  Position position(std::string_view name) const;

  // The rest is the committer's.
  void reset(std::vector<Recovered::Stream> streams);
  // Null when there is no such stream.
  Stream* find(std::string_view name);
  Stream& find_or_add(StreamName name);
  // Puts the stream on the list of those whose heads the batch writes.
  void touch(Stream& stream);
  // The heads to write; views are valid until forget_dropped() or reset().
  std::vector<StreamHead>& touched_heads();
  // The batch is durable: everybody sees the new heads.
  void publish();
  // Frees what publish() found dropped. Until then the names of touched_heads() stay valid.
  void forget_dropped();

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Streams =
      std::unordered_map<std::string_view, std::unique_ptr<Stream>, Hash, std::equal_to<>>;

  // Held to change the map or what is durable in it, and to read from other threads than the
  // committer's.
  mutable std::shared_mutex mutex_;
  Streams streams_;                      // the keys are views of Stream::name
  std::vector<Stream*> by_name_number_;  // null: not appended to yet, or dropped
  std::vector<Stream*> touched_;
  std::vector<std::unique_ptr<Stream>> dropped_;
  std::vector<StreamHead> heads_;
};

}  // namespace doppel::store
