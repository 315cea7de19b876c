// The small types of performatives and SASL frames (OASIS AMQP 1.0 part 2, section 2.8; part 3,
// section 3.5; part 5, section 5.3.3.6), for the composites made from schemas/amqp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/amqp/value.h"

namespace doppel::amqp {

// Of the end that sends the performative.
enum class Role : bool { sender = false, receiver = true };

enum class SenderSettleMode : std::uint8_t { unsettled = 0, settled = 1, mixed = 2 };
enum class ReceiverSettleMode : std::uint8_t { first = 0, second = 1 };
enum class TerminusDurability : std::uint32_t { none = 0, configuration = 1, unsettled_state = 2 };
enum class SaslCode : std::uint8_t { ok = 0, auth = 1, sys = 2, sys_perm = 3, sys_temp = 4 };

inline constexpr std::size_t kDeliveryTagBytesMax = 32;  // part 2, section 2.8.7

// Names a delivery on its link. Lies inside its performative: a transfer needs no memory.
class DeliveryTag {
 public:
  DeliveryTag() = default;

  // Nothing when the tag is too long.
  static std::optional<DeliveryTag> from(std::string_view bytes) {
    if (bytes.size() > kDeliveryTagBytesMax) return std::nullopt;
    DeliveryTag tag;
    tag.size_ = static_cast<std::uint8_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), tag.bytes_.begin());
    return tag;
  }

  std::string_view view() const { return {bytes_.data(), size_}; }
  bool operator==(const DeliveryTag& other) const { return view() == other.view(); }

 private:
  std::uint8_t size_ = 0;
  std::array<char, kDeliveryTagBytesMax> bytes_{};
};

}  // namespace doppel::amqp
