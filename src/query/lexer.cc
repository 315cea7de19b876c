#include "query/lexer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/encoding.h"

namespace doppel::query {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (static_cast<unsigned char>(c) >= 0x80);
}
bool is_name_start(char c) { return is_letter(c) || c == '_' || c == '$'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }
bool is_wide_name_part(char c) {
  constexpr std::string_view kMore = "-.#~^&";
  return is_name_part(c) || kMore.contains(c);
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto push = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    push(point);
  } else if (point < 0x800) {
    push(0xC0 | point >> 6);
    push(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    push(0xE0 | point >> 12);
    push(0x80 | (point >> 6 & 0x3F));
    push(0x80 | (point & 0x3F));
  } else {
    push(0xF0 | point >> 18);
    push(0x80 | (point >> 12 & 0x3F));
    push(0x80 | (point >> 6 & 0x3F));
    push(0x80 | (point & 0x3F));
  }
}

}  // namespace

bool Token::is_word(std::string_view keyword) const {
  return kind == Kind::name && equal_ignoring_case(text, keyword);
}

std::unexpected<Error> fail_at(std::string_view query, std::size_t offset, std::string_view why) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char c : query.substr(0, offset)) {
    if (c == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++column;  // characters, not bytes
    }
  }
  return fail(Code::invalid_argument, "line " + std::to_string(line) + ", column " +
                                          std::to_string(column) + ": " + std::string(why));
}

std::unexpected<Error> Lexer::unexpected(std::string_view why) const {
  constexpr std::size_t kShown = 40;
  std::string message(why);
  if (token_.kind == Token::Kind::end) {
    message += ", but the text ends";
  } else {
    auto word = text_.substr(token_.offset, at_ - token_.offset);
    if (word.size() > kShown) {
      word = word.substr(0, kShown);
      // Not in the middle of a character.
      while (!word.empty() && !is_valid_utf8(word)) word.remove_suffix(1);
    }
    message.append(" near '").append(word).append("'");
  }
  return fail_at(text_, token_.offset, message);
}

Status Lexer::start() {
  if (text_.size() > kQueryBytesMax) {
    return fail(Code::too_large,
                "a query has at most " + std::to_string(kQueryBytesMax) + " bytes");
  }
  if (!is_valid_utf8(text_)) return fail(Code::invalid_argument, "a query must be UTF-8");
  return advance();
}

Status Lexer::advance() {
  if (auto skipped = skip_space(); !skipped) return skipped;
  token_ = Token{.kind = Token::Kind::end, .text = {}, .number = {}, .offset = at_};
  if (at_ == text_.size()) return {};
  const char c = peek();
  if (c == '$' && rules_.has_wide_names) return read_dollar_path();
  if (is_name_start(c)) return read_name();
  if (c == '\'' || c == '"') return read_string(c);
  if (c == '[' && peek(1) == '[') return read_escaped_name();
  if (is_digit(c) || (c == '.' && rules_.has_leading_point && is_digit(peek(1)))) {
    return read_number();
  }
  return read_symbol();
}

Status Lexer::skip_space() {
  for (;;) {
    while (is_space(peek())) ++at_;
    if (!rules_.has_comments || peek() != '/' || peek(1) != '*') return {};
    const auto end = text_.find("*/", at_ + 2);
    if (end == std::string_view::npos) return fail_here("this comment has no end");
    at_ = end + 2;
  }
}

Status Lexer::read_name() {
  const auto begin = at_;
  const auto is_part = rules_.has_wide_names ? is_wide_name_part : is_name_part;
  while (is_part(peek())) ++at_;
  // '\0' is no part of a name, so the end of the text ends it.
  token_.kind = Token::Kind::name;
  token_.text = text_.substr(begin, at_ - begin);
  return {};
}

Status Lexer::read_dollar_path() {
  const auto begin = at_;
  ++at_;
  while (is_wide_name_part(peek()) || peek() == '[' || peek() == ']') ++at_;
  token_.kind = Token::Kind::dollar_path;
  token_.text = text_.substr(begin, at_ - begin);
  // In "$body.a IN [$body.b]" the last bracket belongs to the list.
  std::size_t open = 0;
  for (std::size_t i = 0; i < token_.text.size(); ++i) {
    if (token_.text[i] == '[') ++open;
    if (token_.text[i] != ']') continue;
    if (open == 0) {
      token_.text = token_.text.substr(0, i);
      at_ = begin + i;
      break;
    }
    --open;
  }
  if (token_.text.size() == 1) return unexpected("a name is missing after '$'");
  return {};
}

Status Lexer::read_escaped_name() {
  const auto end = text_.find("]]", at_ + 2);
  if (end == std::string_view::npos) return fail_here("this '[[' has no ']]'");
  token_.kind = Token::Kind::escaped_name;
  token_.text = text_.substr(at_ + 2, end - at_ - 2);
  if (token_.text.empty()) return fail_here("there is no name between '[[' and ']]'");
  at_ = end + 2;
  return {};
}

Status Lexer::read_string(char quote) {
  const auto begin = at_++;
  std::string value;
  for (;;) {
    if (at_ == text_.size()) return fail_at(text_, begin, "this string has no end");
    const char c = text_[at_];
    if (c == quote) {
      if (peek(1) != quote) break;
      ++at_;  // doubled, as SQL has it
    } else if (c == '\\') {
      if (auto read = read_escape(value); !read) return read;
      continue;
    }
    value.push_back(c);
    ++at_;
  }
  ++at_;
  token_.kind = Token::Kind::string;
  token_.text = arena_.copy(value);
  return {};
}

Status Lexer::read_escape(std::string& out) {
  constexpr std::string_view kNames = "'\"\\/bfnrt";
  constexpr std::string_view kMeanings = "'\"\\/\b\f\n\r\t";
  const char c = peek(1);
  if (c != 'u') {
    const auto place = c == '\0' ? std::string_view::npos : kNames.find(c);
    if (place == std::string_view::npos) return fail_here("there is no such escape in a string");
    out.push_back(kMeanings[place]);
    at_ += 2;
    return {};
  }
  auto point = read_hex4();
  if (!point) return fail(point.error());
  if (*point >= 0xDC00 && *point <= 0xDFFF) return fail_here("this is half a surrogate pair");
  if (*point >= 0xD800 && *point <= 0xDBFF) {
    if (peek() != '\\' || peek(1) != 'u') return fail_here("half a surrogate pair is missing");
    const auto low = read_hex4();
    if (!low) return fail(low.error());
    if (*low < 0xDC00 || *low > 0xDFFF) return fail_here("half a surrogate pair is missing");
    *point = 0x10000 + ((*point - 0xD800) << 10) + (*low - 0xDC00);
  }
  append_utf8(out, *point);
  return {};
}

Result<std::uint32_t> Lexer::read_hex4() {
  std::uint32_t value = 0;
  for (std::size_t i = 2; i < 6; ++i) {
    const int digit = hex_value(peek(i));
    if (digit < 0) return fail_here("'\\u' needs four hexadecimal digits");
    value = value * 16 + static_cast<std::uint32_t>(digit);
  }
  at_ += 6;
  return value;
}

Status Lexer::read_number() {
  if (peek() == '0' && (peek(1) | 0x20) == 'x') return read_hex_number();
  const auto begin = at_;
  while (is_digit(peek())) ++at_;
  // "1..3" is a range of hops in Digital Twins queries, not a fraction.
  if (peek() == '.' && is_digit(peek(1))) {
    ++at_;
    while (is_digit(peek())) ++at_;
  }
  if ((peek() | 0x20) == 'e') {
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if (is_digit(peek(1 + sign))) {
      at_ += 1 + sign;
      while (is_digit(peek())) ++at_;
    }
  }
  token_.kind = Token::Kind::number;
  token_.text = text_.substr(begin, at_ - begin);
  if (is_name_part(peek())) return fail_here("a number cannot be followed by a name");
  // JSON has neither ".5" nor "007"; both are numbers here.
  std::string exact(token_.text);
  if (exact.starts_with('.')) exact.insert(0, "0");
  while (exact.size() > 1 && exact[0] == '0' && is_digit(exact[1])) exact.erase(0, 1);
  auto value = json::parse(exact);
  if (!value || !std::isfinite(json::to_double(*value))) {
    return fail_at(text_, begin, "this number is too large");
  }
  token_.number = Value::of(arena_.keep(std::move(*value)));
  return {};
}

Status Lexer::read_hex_number() {
  const auto begin = at_;
  at_ += 2;
  const auto digits = at_;
  while (hex_value(peek()) >= 0) ++at_;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text_.data() + digits, text_.data() + at_, value, 16);
  if (error != std::errc{} || end != text_.data() + at_ || is_name_part(peek())) {
    return fail_at(text_, begin, "this is no hexadecimal number of at most 63 bits");
  }
  token_.kind = Token::Kind::number;
  token_.text = text_.substr(begin, at_ - begin);
  token_.number = Value::of(arena_.keep(json::Value(value)));
  return {};
}

Status Lexer::read_symbol() {
  constexpr std::array<std::string_view, 6> kPairs = {"<=", ">=", "!=", "<>", "||", "??"};
  constexpr std::string_view kSingles = "()[]{},.*/%+-<>=:|";
  const auto rest = text_.substr(at_);
  std::size_t size = 0;
  for (const auto pair : kPairs) {
    if (rest.starts_with(pair)) size = 2;
  }
  if (size == 0 && kSingles.contains(rest[0])) size = 1;
  if (size == 0) {
    return fail_here("the character '" + std::string(rest.substr(0, 1)) + "' has no meaning here");
  }
  token_.kind = Token::Kind::symbol;
  token_.text = rest.substr(0, size);
  at_ += size;
  return {};
}

}  // namespace doppel::query
