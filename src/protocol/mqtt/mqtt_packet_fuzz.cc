// Any bytes from either side: packets that are accepted can be written and read again with the same
// meaning, and no front part of a packet is taken for a whole one or refused.
#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_writer.h"
#include "protocol/mqtt/text_rules.h"

namespace doppel::mqtt {
namespace {

void check_text(std::string_view text) {
  const bool expected = is_valid_utf8(text) && !text.contains('\0');
  check(is_valid_text(text) == expected, "the fast check agrees with the plain one");
}

struct CheckTopics {
  void operator()(const Publish& packet) const {
    if (packet.topic.empty()) {
      check(packet.properties.number(PropertyId::topic_alias).has_value(),
            "an alias stands for it");
      return;
    }
    check(is_topic_name(packet.topic) && is_topic_filter(packet.topic), "a name is a filter too");
    check(matches_filter(packet.topic, packet.topic), "a topic matches itself");
    check(matches_filter("#", packet.topic) != packet.topic.starts_with('$'), "[MQTT-4.7.2-1]");
    check_text(packet.topic);
  }
  void operator()(const Subscribe& packet) const {
    for (const auto& filter : packet.filters) {
      check(is_topic_filter(filter.topic), "filters are judged");
      static_cast<void>(matches_filter(filter.topic, "devices/d/messages/events/"));
    }
  }
  void operator()(const auto&) const {}
};

bool is_our_protocol(const Packet& packet) {
  const auto* connect = std::get_if<Connect>(&packet);
  return connect == nullptr || is_known_protocol(*connect);
}

void survives_writing(Sender sender, Version version, const Packet& packet) {
  if (!is_our_protocol(packet)) return;  // only its name and level were read
  std::string bytes;
  append(bytes, packet, version);
  auto again = PacketReader(sender, kRemainingLengthMax, version).next(bytes);
  check(again.has_value() && again->consumed == bytes.size(), "what we write is read whole");
  const auto copy = std::move(*again).to_owned();
  check(copy.index() == packet.index(), "as the same packet");
  std::string twice;
  append(twice, copy, version);
  check(twice == bytes, "with the same fields");
}

void run(Sender sender, Version version, std::size_t limit, std::string_view input) {
  const PacketReader reader(sender, limit, version);
  while (true) {
    auto decoded = reader.next(input);
    for (const std::size_t cut : {input.size() / 3, input.size() / 2, input.size() - 1}) {
      if (cut >= input.size()) continue;
      const auto part = reader.next(input.substr(0, cut));
      if (part.is_malformed()) check(decoded.is_malformed(), "refused early, refused late");
      if (part.has_value())
        check(decoded.has_value() && part->consumed == decoded->consumed, "whole is whole");
      if (decoded.has_value()) check(part.has_value() == (cut >= decoded->consumed), "not before");
    }
    if (decoded.is_malformed()) check(!decoded.reason().empty(), "a refusal has its reason");
    if (!decoded.has_value()) return;
    const auto consumed = decoded->consumed;
    check(consumed >= 2 && consumed <= std::min(input.size(), limit), "progress within limits");
    const auto packet = std::move(*decoded).to_owned();
    std::visit(CheckTopics{}, packet);
    survives_writing(sender, version, packet);
    input.remove_prefix(consumed);
  }
}

}  // namespace
}  // namespace doppel::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel::mqtt;
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  check_text(input);
  run((data[0] & 1) != 0 ? Sender::server : Sender::client,
      (data[0] & 4) != 0 ? Version::v5 : Version::v3_1_1, (data[0] & 2) != 0 ? 64 : kPacketBytesMax,
      input);
  return 0;
}
