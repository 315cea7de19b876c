// Buffers of a connection between its bursts.
#pragma once

#include <cstddef>
#include <string>

namespace doppel::net {

// A buffer this small stays allocated between events; a larger one is given back.
inline constexpr std::size_t kBufferKeptBytes = 4096;

// Empties it. clear(), and an assignment of an empty string, would keep the memory of the largest
// burst for the life of the connection.
inline void empty_buffer(std::string& buffer) {
  if (buffer.capacity() > kBufferKeptBytes)
    std::string().swap(buffer);
  else
    buffer.clear();
}

}  // namespace doppel::net
