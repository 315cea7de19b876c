// Format codes of encoded values (OASIS AMQP 1.0 part 1, sections 1.2 and 1.6). The upper half of a
// code tells the width of what follows, so unknown codes could be skipped; we refuse them, because
// nothing we could answer would suit whoever sent one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocol/amqp/value.h"

namespace doppel::amqp {

using FormatCode = std::uint8_t;

inline constexpr FormatCode kDescribedCode = 0x00;
inline constexpr FormatCode kNullCode = 0x40;
inline constexpr FormatCode kTrueCode = 0x41;
inline constexpr FormatCode kFalseCode = 0x42;
inline constexpr FormatCode kUint0Code = 0x43;
inline constexpr FormatCode kUlong0Code = 0x44;
inline constexpr FormatCode kList0Code = 0x45;
inline constexpr FormatCode kUbyteCode = 0x50;
inline constexpr FormatCode kByteCode = 0x51;
inline constexpr FormatCode kSmallUintCode = 0x52;
inline constexpr FormatCode kSmallUlongCode = 0x53;
inline constexpr FormatCode kSmallIntCode = 0x54;
inline constexpr FormatCode kSmallLongCode = 0x55;
inline constexpr FormatCode kBooleanCode = 0x56;
inline constexpr FormatCode kUshortCode = 0x60;
inline constexpr FormatCode kShortCode = 0x61;
inline constexpr FormatCode kUintCode = 0x70;
inline constexpr FormatCode kIntCode = 0x71;
inline constexpr FormatCode kFloatCode = 0x72;
inline constexpr FormatCode kCharCode = 0x73;
inline constexpr FormatCode kDecimal32Code = 0x74;
inline constexpr FormatCode kUlongCode = 0x80;
inline constexpr FormatCode kLongCode = 0x81;
inline constexpr FormatCode kDoubleCode = 0x82;
inline constexpr FormatCode kTimestampCode = 0x83;
inline constexpr FormatCode kDecimal64Code = 0x84;
inline constexpr FormatCode kDecimal128Code = 0x94;
inline constexpr FormatCode kUuidCode = 0x98;
inline constexpr FormatCode kBinary8Code = 0xA0;
inline constexpr FormatCode kString8Code = 0xA1;
inline constexpr FormatCode kSymbol8Code = 0xA3;
inline constexpr FormatCode kBinary32Code = 0xB0;
inline constexpr FormatCode kString32Code = 0xB1;
inline constexpr FormatCode kSymbol32Code = 0xB3;
inline constexpr FormatCode kList8Code = 0xC0;
inline constexpr FormatCode kMap8Code = 0xC1;
inline constexpr FormatCode kList32Code = 0xD0;
inline constexpr FormatCode kMap32Code = 0xD1;
inline constexpr FormatCode kArray8Code = 0xE0;
inline constexpr FormatCode kArray32Code = 0xF0;
inline constexpr FormatCode kWideBit =
    0x10;  // set in the 32-bit form of an 8-bit code from 0xA0 on

// The type that a format code encodes; nothing for the code of described values and unknown ones.
std::optional<Type> type_of(FormatCode code);

// Bytes of a value after its code. Only for codes below kBinary8Code, whose width is fixed.
constexpr std::size_t fixed_width(FormatCode code) {
  constexpr std::array<std::size_t, 6> kWidths{0, 1, 2, 4, 8, 16};
  return kWidths[static_cast<std::size_t>((code >> 4) - 4)];
}

}  // namespace doppel::amqp
