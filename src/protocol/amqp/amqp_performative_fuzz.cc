// Any bytes as bodies of AMQP and SASL frames: what is accepted can be written and read again as
// the same, with no byte of a transfer's payload lost.
#include "base/check.h"
#include "protocol/amqp/performative.h"
#include "protocol/amqp/sasl_frame.h"

namespace doppel::amqp {
namespace {

void run_performative(std::string_view body) {
  const auto decoded = decode_performative(body);
  check(!decoded.needs_more(), "a body is whole");
  if (!decoded.has_value()) return check(!decoded.reason().empty(), "a refusal has its reason");
  check(decoded->consumed > 0 && decoded->consumed <= body.size(), "the payload is what follows");
  check(decode_performative(body.substr(0, decoded->consumed - 1)).is_malformed(), "not before");

  std::string out;
  append(out, decoded->performative);
  const auto list = static_cast<unsigned char>(out.at(3));
  check(out.at(1) == 0x53 && (list == 0xC0 || list == 0xD0), "the form that Python's client reads");
  const auto again = decode_performative(out);
  check(again.has_value() && again->consumed == out.size(), "what we write is read whole");
  check(again->performative == decoded->performative, "as the same performative");
}

void run_sasl(std::string_view body) {
  const auto decoded = decode_sasl_frame(body);
  check(!decoded.needs_more(), "a body is whole");
  if (!decoded.has_value()) return check(!decoded.reason().empty(), "a refusal has its reason");
  std::string out;
  append(out, *decoded);
  const auto again = decode_sasl_frame(out);
  check(again.has_value() && *again == *decoded, "what we write is read as the same frame");
}

}  // namespace
}  // namespace doppel::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  doppel::amqp::run_performative(body);
  doppel::amqp::run_sasl(body);
  return 0;
}
