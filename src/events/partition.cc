// Names of partitions, and which one a key belongs to.
#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "events/api.h"

namespace doppel::events {
namespace {

constexpr std::string_view kStreamSpace = "event";
constexpr std::string_view kCheckpointSpace = "checkpoint";

std::uint32_t byte_at(std::string_view key, std::size_t i) {
  return static_cast<unsigned char>(key[i]);
}

std::uint32_t word_at(std::string_view key, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4 && at + i < key.size(); ++i)
    word |= byte_at(key, at + i) << (8 * i);
  return word;
}

// Bob Jenkins' lookup3 (public domain), "hashlittle2" with both seeds 0, byte-wise little endian:
// c XOR b. Azure's client libraries compute the same for their buffered producers.
std::uint32_t lookup3(std::string_view key) {
  const auto seed = 0xDEADBEEFu + static_cast<std::uint32_t>(key.size());
  std::uint32_t a = seed, b = seed, c = seed;
  if (key.empty()) return c ^ b;

  std::size_t at = 0;
  for (; key.size() - at > 12; at += 12) {
    a += word_at(key, at);
    b += word_at(key, at + 4);
    c += word_at(key, at + 8);
    a -= c;
    a ^= std::rotl(c, 4);
    c += b;
    b -= a;
    b ^= std::rotl(a, 6);
    a += c;
    c -= b;
    c ^= std::rotl(b, 8);
    b += a;
    a -= c;
    a ^= std::rotl(c, 16);
    c += b;
    b -= a;
    b ^= std::rotl(a, 19);
    a += c;
    c -= b;
    c ^= std::rotl(b, 4);
    b += a;
  }
  a += word_at(key, at);
  b += word_at(key, at + 4);
  c += word_at(key, at + 8);
  c ^= b;
  c -= std::rotl(b, 14);
  a ^= c;
  a -= std::rotl(c, 11);
  b ^= a;
  b -= std::rotl(a, 25);
  c ^= b;
  c -= std::rotl(b, 16);
  a ^= c;
  a -= std::rotl(c, 4);
  b ^= a;
  b -= std::rotl(a, 14);
  c ^= b;
  c -= std::rotl(b, 24);
  return c ^ b;
}

}  // namespace

std::uint32_t partition_of(std::string_view key, std::uint32_t partition_count) {
  check(partition_count > 0, "a log has at least one partition");
  // The remainder truncates towards zero before the sign is dropped, as in the clients.
  const auto logical = static_cast<std::int16_t>(lookup3(key) & 0xFFFF);
  return static_cast<std::uint32_t>(
      std::abs(std::int64_t{logical} % std::int64_t{partition_count}));
}

std::string stream_name(const Partition& partition) {
  const auto index = store::number_part(partition.index);
  return store::key({kStreamSpace, partition.log.space, partition.log.name, index});
}

// Ordered by log first, so that dropping a log finds its checkpoints.
std::string checkpoint_key(std::string_view consumer, const Partition& partition) {
  const auto index = store::number_part(partition.index);
  return store::key({kCheckpointSpace, partition.log.space, partition.log.name, index, consumer});
}

std::string checkpoint_prefix(const LogName& log) {
  return store::key({kCheckpointSpace, log.space, log.name});
}

}  // namespace doppel::events
