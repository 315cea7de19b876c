#include "protocol/amqp/sasl_frame.h"

#include "protocol/amqp/variants.h"

namespace doppel::amqp {

Decoded<SaslFrame> decode_sasl_frame(std::string_view frame_body) {
  Decoder in(frame_body, Input::whole);
  const auto descriptor = in.descriptor();
  SaslFrame frame;
  if (in.ok() && !read_alternative(in, descriptor, frame)) in.fail("unknown SASL frame");
  if (in.ok() && !in.is_at_end()) in.fail("a SASL frame has bytes past its end");
  return in.outcome(std::move(frame));
}

void append(std::string& out, const SaslFrame& frame) { append_alternative(out, frame); }

}  // namespace doppel::amqp
