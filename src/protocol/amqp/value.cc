#include "protocol/amqp/value.h"

#include <bit>

namespace doppel::amqp {

bool List::operator==(const List&) const = default;
bool Map::operator==(const Map&) const = default;

const Value* Map::find(std::string_view key) const {
  for (const auto& entry : entries) {
    const auto* text = entry.key.text_if();
    if (text != nullptr && *text == key) return &entry.value;
  }
  return nullptr;
}

Map& Map::add(Value key, Value value) {
  entries.push_back({std::move(key), std::move(value)});
  return *this;
}

Map& Map::add_symbol(std::string_view symbol_key, Value value) {
  return add(Symbol(symbol_key), std::move(value));
}

Map& Map::add_string(std::string_view string_key, Value value) {
  return add(string_key, std::move(value));
}

Value::Value(std::string_view text) : value_(std::string(text)) {}
Value::Value(const char* text) : value_(std::string(text)) {}
Value::Value(Array array) : value_(Box<Array>(std::move(array))) {}
Value::Value(Described described) : value_(Box<Described>(std::move(described))) {}

const Array* Value::array_if() const {
  const auto* box = std::get_if<Box<Array>>(&value_);
  return box == nullptr ? nullptr : &**box;
}

const Described* Value::described_if() const {
  const auto* box = std::get_if<Box<Described>>(&value_);
  return box == nullptr ? nullptr : &**box;
}

const std::string* Value::text_if() const {
  if (const auto* symbol = get_if<Symbol>()) return &symbol->text;
  return get_if<std::string>();
}

bool Value::operator==(const Value& other) const {
  if (const auto* mine = get_if<float>()) {
    const auto* theirs = other.get_if<float>();
    return theirs && std::bit_cast<std::uint32_t>(*mine) == std::bit_cast<std::uint32_t>(*theirs);
  }
  if (const auto* mine = get_if<double>()) {
    const auto* theirs = other.get_if<double>();
    return theirs && std::bit_cast<std::uint64_t>(*mine) == std::bit_cast<std::uint64_t>(*theirs);
  }
  return value_ == other.value_;
}

bool Described::is(std::uint64_t code, std::string_view symbol) const {
  if (const auto* number = descriptor.get_if<std::uint64_t>()) return *number == code;
  const auto* text = descriptor.get_if<Symbol>();
  return text != nullptr && *text == symbol;
}

namespace {

template <class Item>
Array array_of(Type type, const std::vector<std::string>& texts) {
  Array array{.element_type = type};
  array.items.reserve(texts.size());
  for (const auto& text : texts) array.items.emplace_back(Item(text));
  return array;
}

}  // namespace

Array string_array(const std::vector<std::string>& texts) {
  return array_of<std::string>(Type::string, texts);
}

Array symbol_array(const std::vector<std::string>& texts) {
  return array_of<Symbol>(Type::symbol, texts);
}

}  // namespace doppel::amqp
