// Randomness is passed in, like time.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace doppel {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> bytes) = 0;

  std::uint64_t next();
  std::string bytes(std::size_t count);
  // A version-4 UUID in lower case, e.g. "f40da7ba-8c91-4796-8fc3-89e1dfbdbe05".
  std::string uuid();
};

// The kernel's generator; fit for keys. Any thread.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> bytes) override;
};

// Repeatable, for tests and the simulator. Not fit for keys. One thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::byte> bytes) override;

 private:
  std::uint64_t state_;
};

}  // namespace doppel
