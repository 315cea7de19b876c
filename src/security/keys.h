// Small things about secrets: comparing them, making them, hashing client secrets.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"

namespace doppel::security {

// Takes the same time wherever the texts differ; only their lengths show.
bool constant_time_equal(std::string_view a, std::string_view b);

// base64 of `size` random bytes; Azure's keys have 32 (hubs, event hubs) or 64 (enrollments).
std::string random_key(Random& random, std::size_t size = 32);

// For client secrets at rest: "pbkdf2-sha256$iterations$salt$hash". Costs about 3 ms, on purpose.
std::string hash_secret(Random& random, std::string_view secret);
bool verify_secret(std::string_view hashed, std::string_view secret);

std::string sha256(std::string_view bytes);  // 32 raw bytes

}  // namespace doppel::security
