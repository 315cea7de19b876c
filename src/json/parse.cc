// The parser: Boost.JSON's push parser, which checks the grammar, UTF-8 and the depth, with our own
// handler, which decides what a number becomes. It never throws for what a peer sent.
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <string>

#include "json/number.h"
#include "json/value.h"

namespace doppel::json {
namespace {

namespace bj = boost::json;

// Most documents are built inside this; larger ones take heap memory.
constexpr std::size_t kStackBytes = 2048;

class Builder {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  Builder() : values_(bj::storage_ptr{}, memory_.data(), memory_.size()) { values_.reset(); }

  Value release() { return values_.release(); }

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) { return true; }
  bool on_object_end(std::size_t size, bj::error_code&) {
    values_.push_object(size);
    return true;
  }
  bool on_array_begin(bj::error_code&) { return true; }
  bool on_array_end(std::size_t size, bj::error_code&) {
    values_.push_array(size);
    return true;
  }
  bool on_key_part(bj::string_view text, std::size_t, bj::error_code&) {
    values_.push_chars(text);
    return true;
  }
  bool on_key(bj::string_view text, std::size_t, bj::error_code&) {
    values_.push_key(text);
    return true;
  }
  bool on_string_part(bj::string_view text, std::size_t, bj::error_code&) {
    values_.push_chars(text);
    return true;
  }
  bool on_string(bj::string_view text, std::size_t, bj::error_code&) {
    values_.push_string(text);
    return true;
  }
  bool on_number_part(bj::string_view text, bj::error_code&) {
    number_.append(text);
    return true;
  }
  bool on_int64(std::int64_t number, bj::string_view text, bj::error_code&) {
    const auto whole = whole_text(text);
    if (number == 0 && whole.starts_with('-')) {
      values_.push_double(-0.0);
    } else {
      values_.push_int64(number);
    }
    number_.clear();
    return true;
  }
  bool on_uint64(std::uint64_t number, bj::string_view, bj::error_code&) {
    values_.push_uint64(number);
    number_.clear();
    return true;
  }
  // Boost's own double may be off by a unit in the last place, so it is not used.
  bool on_double(double, bj::string_view text, bj::error_code&) {
    const auto whole = whole_text(text);
    double number = 0;
    // An integer this large is kept as text even if a double holds it: it must not gain a ".0".
    const bool is_integer = whole.find_first_of(".eE") == std::string_view::npos;
    if (!is_integer && parse_double_exactly(whole, &number)) {
      values_.push_double(number);
    } else {
      std::string marked(1, kNumberMark);
      marked.append(whole);
      values_.push_string(bj::string_view(marked.data(), marked.size()));
    }
    number_.clear();
    return true;
  }
  bool on_bool(bool value, bj::error_code&) {
    values_.push_bool(value);
    return true;
  }
  bool on_null(bj::error_code&) {
    values_.push_null();
    return true;
  }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }

 private:
  // The number's text, including a part that came before the parser's last pause.
  std::string_view whole_text(bj::string_view last) {
    if (number_.empty()) return {last.data(), last.size()};
    number_.append(last.data(), last.size());
    return number_;
  }

  std::array<unsigned char, kStackBytes> memory_;
  bj::value_stack values_;
  std::string number_;
};

}  // namespace

Result<Value> parse(std::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.size_max) {
    return fail(Code::too_large,
                "the JSON document has more than " + std::to_string(limits.size_max) + " bytes");
  }
  bj::parse_options options;
  options.max_depth = limits.depth_max;
  bj::basic_parser<Builder> parser(options);
  bj::error_code error;
  const auto used = parser.write_some(false, text.data(), text.size(), error);
  if (error == bj::error::too_deep) {
    return fail(Code::invalid_argument,
                "the JSON document is nested deeper than " + std::to_string(limits.depth_max));
  }
  if (error) {
    return fail(Code::invalid_argument,
                "not JSON: " + error.message() + " near byte " + std::to_string(used));
  }
  if (used != text.size()) {
    return fail(Code::invalid_argument,
                "not JSON: more text after the document at byte " + std::to_string(used));
  }
  return parser.handler().release();
}

}  // namespace doppel::json
