// Secrets at rest: AES-256-GCM under one master key, with the key's id in front so that a wrong key
// is told from a damaged record (docs/wire/resources.md, last paragraph).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"

namespace doppel::security {

inline constexpr std::size_t kMasterKeySize = 32;  // bytes

class MasterKey {
 public:
  explicit MasterKey(const std::array<std::byte, kMasterKeySize>& key);
  static MasterKey generate(Random& random);

  // Reads base64 of 32 bytes, one line. Errors: not_found, invalid_argument (content, or readable
  // by group or others), unavailable.
  static Result<MasterKey> read_file(const std::string& path);
  // Creates the file with mode 0600, synced, never replacing one that is there (already_exists).
  Status create_file(const std::string& path) const;
  // Reads it if it is there, else creates it.
  static Result<MasterKey> ensure_file(const std::string& path, Random& random);

  const std::string& id() const {
    return id_;
  }  // 8 bytes derived from the key; tells keys apart, reveals nothing
  std::string_view bytes() const { return key_; }

 private:
  std::string key_;
  std::string id_;
};

// Any thread.
class SecretBox {
 public:
  SecretBox(MasterKey key, Random& random) : key_(std::move(key)), random_(&random) {}

  // `context` (e.g. the store key) is authenticated, not stored: a record moved elsewhere does not
  // open.
  std::string seal(std::string_view plain, std::string_view context) const;
  // Errors: invalid_argument; the message says whether another master key sealed it or the record
  // is damaged.
  Result<std::string> open(std::string_view sealed, std::string_view context) const;

  const std::string& key_id() const { return key_.id(); }

 private:
  MasterKey key_;
  Random* random_;
};

}  // namespace doppel::security
