// Any bytes as values: whole is whole, what is passed over is what is decoded, and a value can be
// written and read again as the same.
#include "base/check.h"
#include "protocol/amqp/decoder.h"
#include "protocol/amqp/encoder.h"

namespace doppel::amqp {
namespace {

void run(std::string_view input) {
  const auto decoded = decode_value(input);
  Decoder skipped(input);
  skipped.skip();
  const auto passed = skipped.outcome(skipped.position());
  check(decoded.has_value() == passed.has_value(), "skipping accepts what decoding accepts");
  check(decoded.needs_more() == passed.needs_more(), "and waits for the same");
  if (decoded.is_malformed()) check(!decoded.reason().empty(), "a refusal has its reason");
  if (decoded.is_malformed()) check(decoded.reason() == passed.reason(), "for the same reason");
  check(!decode_value(input, Input::whole).needs_more(), "there is no more than the whole");
  if (!decoded.has_value()) return;

  check(decoded->consumed == *passed && *passed <= input.size(), "as long as it is");
  const auto part = decode_value(input.substr(0, decoded->consumed - 1));
  check(part.needs_more(), "a front part is never taken for the whole or refused");

  std::string out;
  append(out, decoded->value);
  const auto again = decode_value(out, Input::whole);
  check(again.has_value() && again->consumed == out.size(), "what we write is read whole");
  check(again->value == decoded->value, "as the same value");
}

}  // namespace
}  // namespace doppel::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  doppel::amqp::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
