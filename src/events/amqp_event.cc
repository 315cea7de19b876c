#include "events/amqp_event.h"

#include "events/varint.h"

namespace doppel::events {
namespace {

constexpr unsigned char kFormatVersion = 2;
constexpr std::size_t kHeadBytesMax = 32;  // the version and four lengths

}  // namespace

std::string encode(const AmqpEvent& event) {
  std::string out;
  out.reserve(kHeadBytesMax + event.partition_key.size() + event.annotations.size() +
              event.message.size());
  out.push_back(static_cast<char>(kFormatVersion));
  append_text(out, event.partition_key);
  append_varint(out, event.annotation_count);
  if (event.annotation_count > 0) append_text(out, event.annotations);
  out.append(event.message);
  return out;
}

bool is_amqp_record(std::string_view record) {
  return !record.empty() && static_cast<unsigned char>(record.front()) == kFormatVersion;
}

Result<AmqpEvent> decode_amqp(std::string_view record) {
  RecordReader in(record);
  AmqpEvent event;
  if (in.byte() != kFormatVersion) in.refuse("not of the AMQP format");
  event.partition_key = in.text();
  const auto count = in.varint();
  if (count > in.rest().size()) in.refuse("a count passes the end");
  event.annotation_count = static_cast<std::uint32_t>(count);
  if (count > 0) event.annotations = in.text();
  if (in.failed()) return fail(Code::internal, "event record: " + std::string(in.reason()));
  event.message = in.rest();
  return event;
}

}  // namespace doppel::events
