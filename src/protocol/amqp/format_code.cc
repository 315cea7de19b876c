#include "protocol/amqp/format_code.h"

namespace doppel::amqp {
namespace {

constexpr std::uint8_t kUnknown = 0xFF;

constexpr std::array<std::uint8_t, 256> make_types() {
  std::array<std::uint8_t, 256> types{};
  types.fill(kUnknown);
  const auto set = [&](Type type, std::initializer_list<FormatCode> codes) {
    for (const auto code : codes) types[code] = static_cast<std::uint8_t>(type);
  };
  set(Type::null, {kNullCode});
  set(Type::boolean, {kTrueCode, kFalseCode, kBooleanCode});
  set(Type::ubyte, {kUbyteCode});
  set(Type::ushort, {kUshortCode});
  set(Type::uint, {kUintCode, kSmallUintCode, kUint0Code});
  set(Type::ulong, {kUlongCode, kSmallUlongCode, kUlong0Code});
  set(Type::byte, {kByteCode});
  set(Type::short_, {kShortCode});
  set(Type::int_, {kIntCode, kSmallIntCode});
  set(Type::long_, {kLongCode, kSmallLongCode});
  set(Type::float_, {kFloatCode});
  set(Type::double_, {kDoubleCode});
  set(Type::decimal32, {kDecimal32Code});
  set(Type::decimal64, {kDecimal64Code});
  set(Type::decimal128, {kDecimal128Code});
  set(Type::char_, {kCharCode});
  set(Type::timestamp, {kTimestampCode});
  set(Type::uuid, {kUuidCode});
  set(Type::binary, {kBinary8Code, kBinary32Code});
  set(Type::string, {kString8Code, kString32Code});
  set(Type::symbol, {kSymbol8Code, kSymbol32Code});
  set(Type::list, {kList0Code, kList8Code, kList32Code});
  set(Type::map, {kMap8Code, kMap32Code});
  set(Type::array, {kArray8Code, kArray32Code});
  return types;
}

constexpr auto kTypes = make_types();

}  // namespace

std::optional<Type> type_of(FormatCode code) {
  const auto type = kTypes[code];
  if (type == kUnknown) return std::nullopt;
  return static_cast<Type>(type);
}

}  // namespace doppel::amqp
