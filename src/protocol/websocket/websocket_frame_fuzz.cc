// Any bytes from either side: the reader says the same however they arrive, and its refusals are
// final. Any payload: what we write is read back.
#include <algorithm>
#include <string>

#include "base/check.h"
#include "protocol/websocket/frame.h"

namespace doppel::websocket {
namespace {

constexpr std::uint64_t kSmallFrame = 300;

std::string read(Sender sender, std::string_view input, std::size_t piece, std::uint64_t limit) {
  FrameReader reader(sender, limit);
  std::string said;
  std::string data;
  std::string buffer;
  bool is_over = false;
  while (!input.empty()) {
    const auto part = input.substr(0, piece);
    input.remove_prefix(part.size());
    buffer += part;
    for (;;) {
      const auto event = reader.next(buffer);
      check(event.consumed <= buffer.size(), "no more is consumed than there is");
      check(!is_over || event.kind == EventKind::needs_more, "nothing follows the end");
      if (event.kind == EventKind::data) {
        check(!event.payload.empty(), "data is never nothing");
        data += event.payload;
      } else if (event.kind != EventKind::needs_more) {
        check(event.payload.size() <= kControlPayloadMax, "control frames are short");
        said += data + '|' + std::to_string(static_cast<int>(event.kind)) +
                std::string(event.payload) + std::to_string(static_cast<int>(event.code));
        data.clear();
      }
      is_over |= event.kind == EventKind::close || event.kind == EventKind::failed;
      buffer.erase(0, event.consumed);
      if (event.kind == EventKind::needs_more) break;
    }
  }
  return said + data;
}

void writes_what_it_reads(std::string_view payload, std::uint32_t mask) {
  std::string wire;
  append_frame(wire, Opcode::binary, payload, mask);
  append_frame(wire, Opcode::ping, payload.substr(0, kControlPayloadMax), mask);
  append_close(wire, CloseCode::going_away, payload, mask);
  FrameReader reader(Sender::client);
  auto input = std::span(wire);
  std::string got;
  EventKind last{};
  for (;;) {
    const auto event = reader.next(input);
    input = input.subspan(event.consumed);
    if (event.kind == EventKind::needs_more) break;
    last = event.kind;
    if (event.kind == EventKind::data) got += event.payload;
    if (event.kind == EventKind::ping)
      check(event.payload == payload.substr(0, kControlPayloadMax), "the ping's payload");
  }
  check(got == payload, "the payload");
  check(last == EventKind::close, "our own close frame is well-formed");
}

}  // namespace
}  // namespace doppel::websocket

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel::websocket;
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto sender = (data[0] & 0x80) != 0 ? Sender::server : Sender::client;
  const auto limit = (data[0] & 0x40) != 0 ? kSmallFrame : kFrameBytesMax;
  const auto whole = read(sender, input, std::string_view::npos, limit);
  doppel::check(whole == read(sender, input, 1 + (data[0] & 0x1F), limit),
                "the same however it arrives");
  writes_what_it_reads(input, 0x01020304U * data[0]);
  return 0;
}
