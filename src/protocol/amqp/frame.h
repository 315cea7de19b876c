// The frames that carry AMQP 1.0 performatives, and the headers that open a stream (OASIS AMQP 1.0,
// part 2, sections 2.2 and 2.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/decoded.h"

namespace doppel::amqp {

inline constexpr std::size_t kFrameHeaderBytes = 8;
// Section 2.4.1: the least that every peer must take.
inline constexpr std::uint32_t kFrameBytesMin = 512;

enum class FrameType : std::uint8_t { amqp = 0, sasl = 1 };

// The eight bytes that open every frame (section 2.3.1).
struct FrameHeader {
  std::uint32_t size = 0;         // of the whole frame, these eight bytes included
  std::uint16_t body_offset = 8;  // where the body starts, in bytes (the wire counts words)
  std::uint8_t type = 0;          // a FrameType, or what the peer made up
  std::uint16_t channel = 0;      // SASL leaves this field unused

  bool operator==(const FrameHeader&) const = default;
};

// Reads a header from the front of `input` without consuming it. The caller decides what a frame
// larger than it agreed to means, because that limit changes when the peer's `open` arrives.
Decoded<FrameHeader> decode_frame_header(std::string_view input);

// Appends a header whose size is not known yet; returns where it stands, for end_frame.
std::size_t begin_frame(std::string& out, FrameType type, std::uint16_t channel);
// Writes the size of the frame that began at `start` and reaches to the end of `out`.
void end_frame(std::string& out, std::size_t start);
// A frame without a body: a sign of life (section 2.4.5).
void append_empty_frame(std::string& out);

// What a stream opens with (section 2.2, and part 5, section 5.3.2).
inline constexpr std::size_t kProtocolHeaderBytes = 8;
inline constexpr std::string_view kAmqpHeader{"AMQP\0\1\0\0", kProtocolHeaderBytes};
inline constexpr std::string_view kSaslHeader{"AMQP\3\1\0\0", kProtocolHeaderBytes};

}  // namespace doppel::amqp
