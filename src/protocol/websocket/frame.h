// WebSocket framing (RFC 6455) as a byte stream: MQTT and AMQP take no notice of message borders,
// so payload is handed on as it arrives, control frames whole. No I/O, no extensions, binary only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace doppel::websocket {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// RFC 6455 section 7.4.1. The peer may use any other code that the section allows.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_code = 1005,  // never on the wire: the peer's close frame was empty
  invalid_payload = 1007,
  policy_violation = 1008,
  too_big = 1009,
  internal_error = 1011,
};

// Who sent the frames that a reader reads: clients must mask, servers must not (section 5.1).
enum class Sender : std::uint8_t { client, server };

enum class EventKind : std::uint8_t {
  needs_more,  // unconsumed bytes stay with the caller
  data,        // payload bytes of a binary message
  ping,        // answer with a pong of the same payload
  pong,
  close,   // answer with a close frame of the same code, then close the connection
  failed,  // send a close frame with `code`, then close; `reason` is static text
};

struct Event {
  EventKind kind = EventKind::needs_more;
  std::size_t consumed = 0;    // to be removed from the front of the caller's buffer
  std::string_view payload{};  // points into that buffer, unmasked in place
  CloseCode code = CloseCode::no_code;
  std::string_view reason{};  // of close and failed
};

// A frame may not announce more. Payload is streamed, so the bound costs no memory; it only stops
// nonsense early. AMQP and MQTT clients send at most a packet a frame.
inline constexpr std::uint64_t kFrameBytesMax = 16 * 1024 * 1024;
inline constexpr std::size_t kControlPayloadMax = 125;  // section 5.5

class FrameReader {
 public:
  explicit FrameReader(Sender sender, std::uint64_t frame_bytes_max = kFrameBytesMax)
      : sender_(sender), frame_bytes_max_(frame_bytes_max) {}

  // One event from the front of `input`, which is changed in place. Call again while it is not
  // needs_more; after close or failed nothing more is read: all input is consumed as needs_more.
  Event next(std::span<char> input);

 private:
  struct Header;
  Event data(std::span<char> input, std::size_t header_size);
  Event control(std::span<char> input, const Header& header);
  Event fail(CloseCode code, std::string_view reason);

  Sender sender_;
  std::uint64_t frame_bytes_max_;
  std::uint64_t remaining_ = 0;  // payload bytes of the current data frame still to come
  std::uint32_t mask_ = 0;       // of the current data frame, rotated to its next byte
  bool in_message_ = false;      // the last data frame was not the final one of its message
  bool is_over_ = false;
};

// Appends one final frame. Clients give a fresh random mask (section 5.3), servers none.
void append_frame(std::string& out, Opcode opcode, std::string_view payload,
                  std::optional<std::uint32_t> mask = std::nullopt);

// A close frame; `reason` is cut to what fits. no_code gives an empty frame.
void append_close(std::string& out, CloseCode code, std::string_view reason = {},
                  std::optional<std::uint32_t> mask = std::nullopt);

}  // namespace doppel::websocket
