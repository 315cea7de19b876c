// Reads a described value as the alternative of a variant that its descriptor names.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "protocol/amqp/decoder.h"
#include "protocol/amqp/encoder.h"

namespace doppel::amqp {

// The composites among the alternatives have a kCode; the others (Value, std::monostate) are left
// out. `found` tells whether there was one.
template <class Variant, std::size_t kIndex = 0>
bool read_alternative(Decoder& in, const Descriptor& descriptor, Variant& out) {
  if constexpr (kIndex == std::variant_size_v<Variant>) {
    return false;
  } else {
    using Alternative = std::variant_alternative_t<kIndex, Variant>;
    if constexpr (requires { Alternative::kCode; }) {
      if (descriptor.is<Alternative>()) {
        read_fields(in, out.template emplace<kIndex>());
        return true;
      }
    }
    return read_alternative<Variant, kIndex + 1>(in, descriptor, out);
  }
}

// The same, with described values of other types kept as a Value.
template <class Variant>
void read_alternative_or_value(Decoder& in, Variant& out) {
  Decoder ahead = in;
  const auto descriptor = ahead.descriptor();
  if (ahead.ok() && read_alternative(ahead, descriptor, out)) {
    in = ahead;
    return;
  }
  if (in.peek() != Type::described) return in.fail("expected a described value");
  out = in.value();
}

template <class Variant>
void append_alternative(std::string& out, const Variant& variant) {
  std::visit(
      [&](const auto& alternative) {
        if constexpr (std::is_same_v<decltype(alternative), const std::monostate&>)
          append_null(out);
        else
          append(out, alternative);
      },
      variant);
}

}  // namespace doppel::amqp
