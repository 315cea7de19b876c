#include "protocol/amqp/frame.h"

#include "base/bytes.h"

namespace doppel::amqp {
namespace {

constexpr std::size_t kWordBytes = 4;

}  // namespace

Decoded<FrameHeader> decode_frame_header(std::string_view input) {
  if (input.size() < kFrameHeaderBytes) return NeedMore{};
  const auto size = load_be<std::uint32_t>(input.data());
  const auto body_offset = static_cast<unsigned char>(input[4]) * kWordBytes;
  // Checked before anything trusts them: a short `size` would make the reader loop without ever
  // moving forward, and a body offset past the end would make the body length negative.
  if (size < kFrameHeaderBytes) return Malformed{"frame is smaller than its own header"};
  if (body_offset < kFrameHeaderBytes) return Malformed{"body starts inside the header"};
  if (body_offset > size) return Malformed{"body starts past the end of the frame"};
  return FrameHeader{.size = size,
                     .body_offset = static_cast<std::uint16_t>(body_offset),
                     .type = static_cast<std::uint8_t>(input[5]),
                     .channel = load_be<std::uint16_t>(input.data() + 6)};
}

std::size_t begin_frame(std::string& out, FrameType type, std::uint16_t channel) {
  const auto start = out.size();
  const char header[kFrameHeaderBytes] = {0,
                                          0,
                                          0,
                                          0,
                                          2,
                                          static_cast<char>(type),
                                          static_cast<char>(channel >> 8),
                                          static_cast<char>(channel)};
  out.append(header, sizeof header);
  return start;
}

void end_frame(std::string& out, std::size_t start) {
  const auto size = static_cast<std::uint32_t>(out.size() - start);
  for (std::size_t i = 0; i < sizeof size; ++i)
    out[start + i] = static_cast<char>(size >> (8 * (sizeof size - 1 - i)));
}

void append_empty_frame(std::string& out) { end_frame(out, begin_frame(out, FrameType::amqp, 0)); }

}  // namespace doppel::amqp
