// Any text as a link's address and as a selector, any AMQP map as a filter: what is accepted says
// the same when it is written anew, and a refusal has words for the client.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "events/wire/link_address.h"
#include "protocol/amqp/decoder.h"

namespace doppel::events {
namespace {

bool is_same(const Position& a, const Position& b) {
  return a.kind == b.kind && a.is_inclusive == b.is_inclusive && a.value == b.value;
}

// A selector for the same position, as Node's client would write it.
std::string written(const Position& position) {
  const std::string sign = position.is_inclusive ? " >= '" : " > '";
  const std::string value = sign + std::to_string(position.value) + "'";
  switch (position.kind) {
    case Position::Kind::latest:
      return "amqp.annotation.x-opt-offset" + sign + "@latest'";
    case Position::Kind::earliest:
    case Position::Kind::sequence:
      return "amqp.annotation.x-opt-sequence-number" + value;
    case Position::Kind::time:
      return "amqp.annotation.x-opt-enqueued-time" + value;
  }
  return {};
}

void check_selector(std::string_view text) {
  const auto position = parse_selector(text);
  if (!position) {
    check(position.error().code == Code::invalid_argument, "the selector is the client's fault");
    return check(!position.error().message.empty(), "and it is told why");
  }
  const auto again = parse_selector(written(*position));
  check(again.has_value() && is_same(*again, *position), "written anew it says the same");
}

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_address(std::string_view text) {
  const auto address = parse_address(text);
  if (!address) return;
  check(!address->event_hub.empty(), "an address names an event hub");
  for (const auto part : {address->event_hub, address->consumer_group, address->publisher}) {
    check(lies_in(part, text), "views into the address");
    check(part.find('/') == part.npos, "a segment is one");
  }
  check(address->publisher.empty() || !address->partition, "a publisher has no partition");
  std::string anew(address->event_hub);
  if (!address->consumer_group.empty())
    anew.append("/ConsumerGroups/").append(address->consumer_group);
  if (address->partition) anew += "/Partitions/" + std::to_string(*address->partition);
  if (!address->publisher.empty()) anew.append("/Publishers/").append(address->publisher);
  if (address->is_management) anew += "/$management";
  const auto again = parse_address(anew);
  check(again.has_value() && again->event_hub == address->event_hub &&
            again->consumer_group == address->consumer_group &&
            again->publisher == address->publisher && again->partition == address->partition &&
            again->is_management == address->is_management,
        "written anew it says the same");
}

void check_filter(std::string_view bytes) {
  amqp::Decoder in(bytes, amqp::Input::whole);
  const auto map = in.map();
  if (!in.ok()) return;
  const auto position = parse_filter(&map);
  check(position.has_value() || !position.error().message.empty(), "a refusal has its reason");
}

}  // namespace
}  // namespace doppel::events

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  doppel::events::check_selector(input);
  doppel::events::check_address(input);
  doppel::events::check_filter(input);
  return 0;
}
