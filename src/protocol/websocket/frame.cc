#include "protocol/websocket/frame.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "base/check.h"
#include "base/encoding.h"

namespace doppel::websocket {
namespace {

// Section 5.2, first two bytes.
constexpr unsigned kFinal = 0x80;
constexpr unsigned kReserved = 0x70;
constexpr unsigned kOpcode = 0x0F;
constexpr unsigned kMasked = 0x80;
constexpr unsigned kLength = 0x7F;
constexpr unsigned kLength16 = 126;
constexpr unsigned kLength64 = 127;
constexpr std::size_t kMaskSize = 4;

bool is_control(Opcode opcode) { return (static_cast<unsigned>(opcode) & 8) != 0; }

bool is_known(Opcode opcode) {
  return opcode <= Opcode::binary || (opcode >= Opcode::close && opcode <= Opcode::pong);
}

// XORs with the key, whose first byte on the wire is the highest; returns the key for the byte
// behind the last.
std::uint32_t apply_mask(std::span<char> bytes, std::uint32_t mask) {
  std::size_t i = 0;
  const std::uint64_t twice =
      std::byteswap((std::uint64_t{mask} << 32) | mask);  // in memory order on little endian
  static_assert(std::endian::native == std::endian::little);
  for (; i + sizeof twice <= bytes.size(); i += sizeof twice) {
    std::uint64_t word{};
    std::memcpy(&word, bytes.data() + i, sizeof word);
    word ^= twice;
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  for (; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ (mask >> 24));
    mask = std::rotl(mask, 8);
  }
  return mask;
}

// Which codes may stand in a close frame (section 7.4): not the ones reserved for local use.
bool is_sendable(std::uint16_t code) {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}  // namespace

struct FrameReader::Header {
  Opcode opcode{};
  bool is_final = false;
  bool is_masked = false;
  std::size_t size = 0;        // of the header itself, mask included
  std::uint64_t length = 0;    // of the payload
  std::uint32_t mask = 0;      // 0 without one: XOR with it changes nothing
  std::string_view refused{};  // why the length is not acceptable
};

namespace {

// Fills all of `header` that `input` holds; false when bytes are missing.
template <class Header>
bool read_header(std::span<const char> input, Header& header) {
  if (input.size() < 2) return false;
  const auto first = static_cast<unsigned char>(input[0]);
  const auto second = static_cast<unsigned char>(input[1]);
  header.opcode = Opcode{static_cast<std::uint8_t>(first & kOpcode)};
  header.is_final = (first & kFinal) != 0;
  header.is_masked = (second & kMasked) != 0;
  header.length = second & kLength;
  header.size = 2;
  if (header.length == kLength16) {
    if (input.size() < 4) return false;
    header.length = load_be<std::uint16_t>(input.data() + 2);
    header.size = 4;
    if (header.length < kLength16) header.refused = "length is not in its shortest form";
  } else if (header.length == kLength64) {
    if (input.size() < 10) return false;
    header.length = load_be<std::uint64_t>(input.data() + 2);
    header.size = 10;
    if (header.length <= 0xFFFF) header.refused = "length is not in its shortest form";
  }
  if (!header.is_masked) return true;
  if (input.size() < header.size + kMaskSize) return false;
  header.mask = load_be<std::uint32_t>(input.data() + header.size);
  header.size += kMaskSize;
  return true;
}

}  // namespace

Event FrameReader::fail(CloseCode code, std::string_view reason) {
  is_over_ = true;
  return {.kind = EventKind::failed, .code = code, .reason = reason};
}

Event FrameReader::data(std::span<char> input, std::size_t header_size) {
  const auto payload = input.subspan(header_size);
  const auto size = std::min<std::uint64_t>(payload.size(), remaining_);
  mask_ = apply_mask(payload.first(size), mask_);
  remaining_ -= size;
  return {.kind = size > 0 ? EventKind::data : EventKind::needs_more,
          .consumed = header_size + size,
          .payload = {payload.data(), size}};
}

Event FrameReader::control(std::span<char> input, const Header& header) {
  if (!header.is_final) return fail(CloseCode::protocol_error, "fragmented control frame");
  if (header.length > kControlPayloadMax)
    return fail(CloseCode::protocol_error, "control frame is too long");
  const std::size_t size = header.size + header.length;
  if (input.size() < size) return {};
  const auto bytes = input.subspan(header.size, header.length);
  apply_mask(bytes, header.mask);
  const std::string_view payload(bytes.data(), bytes.size());
  Event event{.consumed = size, .payload = payload};
  if (header.opcode != Opcode::close) {
    event.kind = header.opcode == Opcode::ping ? EventKind::ping : EventKind::pong;
    return event;
  }
  if (payload.size() == 1) return fail(CloseCode::protocol_error, "half a close code");
  if (payload.size() >= 2) {
    const auto code = load_be<std::uint16_t>(payload.data());
    if (!is_sendable(code)) return fail(CloseCode::protocol_error, "reserved close code");
    if (!is_valid_utf8(payload.substr(2)))
      return fail(CloseCode::invalid_payload, "close reason is not UTF-8");
    event.code = CloseCode{code};
    event.reason = payload.substr(2);
  }
  event.kind = EventKind::close;
  is_over_ = true;
  return event;
}

Event FrameReader::next(std::span<char> input) {
  if (is_over_) return {.consumed = input.size()};
  if (remaining_ > 0) return data(input, 0);

  std::size_t skipped = 0;  // empty data frames
  for (;;) {
    const auto rest = input.subspan(skipped);
    // What the first two bytes forbid is refused before the rest of the header is there.
    if (!rest.empty() && (static_cast<unsigned char>(rest[0]) & kReserved) != 0)
      return fail(CloseCode::protocol_error, "reserved bits are set without an extension");
    Header header;
    if (!read_header(rest, header)) return {.consumed = skipped};
    if (!is_known(header.opcode)) return fail(CloseCode::protocol_error, "reserved opcode");
    if (header.is_masked != (sender_ == Sender::client))
      return fail(CloseCode::protocol_error, sender_ == Sender::client
                                                 ? "a client's frame is not masked"
                                                 : "a server's frame is masked");
    if (!header.refused.empty()) return fail(CloseCode::protocol_error, header.refused);
    if (is_control(header.opcode)) {
      auto event = control(rest, header);
      event.consumed += skipped;
      return event;
    }
    if (header.opcode == Opcode::text)
      return fail(CloseCode::unsupported_data, "text frames are not spoken here");
    if (in_message_ != (header.opcode == Opcode::continuation))
      return fail(CloseCode::protocol_error,
                  in_message_ ? "a message begins inside another" : "a continuation of nothing");
    if (header.length > frame_bytes_max_) return fail(CloseCode::too_big, "frame is too large");
    in_message_ = !header.is_final;
    remaining_ = header.length;
    mask_ = header.mask;
    auto event = data(rest, header.size);
    event.consumed += skipped;
    if (event.kind == EventKind::data || remaining_ > 0) return event;
    skipped = event.consumed;
  }
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload,
                  std::optional<std::uint32_t> mask) {
  check(!is_control(opcode) || payload.size() <= kControlPayloadMax,
        "a control frame's payload fits");
  const unsigned masked = mask ? kMasked : 0;
  out += static_cast<char>(kFinal | static_cast<unsigned>(opcode));
  if (payload.size() < kLength16) {
    out += static_cast<char>(masked | payload.size());
  } else if (payload.size() <= 0xFFFF) {
    out += static_cast<char>(masked | kLength16);
    append_be(out, static_cast<std::uint16_t>(payload.size()));
  } else {
    out += static_cast<char>(masked | kLength64);
    append_be(out, static_cast<std::uint64_t>(payload.size()));
  }
  if (mask) append_be(out, *mask);
  const std::size_t start = out.size();
  out += payload;
  if (mask) apply_mask(std::span(out).subspan(start), *mask);
}

void append_close(std::string& out, CloseCode code, std::string_view reason,
                  std::optional<std::uint32_t> mask) {
  std::string payload;
  if (code != CloseCode::no_code) {
    append_be(payload, static_cast<std::uint16_t>(code));
    auto kept = reason.substr(0, kControlPayloadMax - payload.size());
    // Not in the middle of a character.
    while (!kept.empty() && !is_valid_utf8(kept)) kept.remove_suffix(1);
    payload += kept;
  }
  append_frame(out, Opcode::close, payload, mask);
}

}  // namespace doppel::websocket
