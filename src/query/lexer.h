// Words of the query languages. The four dialects differ in what a name may contain; strings,
// numbers and operators are the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "query/arena.h"

namespace doppel::query {

// IoT Hub's limit for a query (quotas page); route conditions share it.
inline constexpr std::size_t kQueryBytesMax = 8 * 1024;

struct LexRules {
  // Routing: names are runs of nearly everything, '-' and '.' included, and "$..." is one word with
  // its brackets.
  bool has_wide_names = false;
  bool has_comments = false;      // /* */
  bool has_leading_point = true;  // .5; Digital Twins writes "*..2" and has none
};

struct Token {
  enum class Kind : std::uint8_t { end, name, escaped_name, dollar_path, string, number, symbol };

  Kind kind = Kind::end;
  std::string_view text;   // as written; of an escaped name and a string: what it stands for
  Value number = {};       // of a number
  std::size_t offset = 0;  // of the first byte

  bool is_symbol(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool is_word(std::string_view keyword) const;  // a name, in any case
};

// "line 1, column 8: why", which is how all errors of this folder read.
std::unexpected<Error> fail_at(std::string_view query, std::size_t offset, std::string_view why);

class Lexer {
 public:
  // Both must outlive the lexer; decoded strings live in `arena`.
  Lexer(std::string_view text, const LexRules& rules, Arena& arena)
      : text_(text), rules_(rules), arena_(arena) {}

  // Checks the size and the encoding and reads the first token. Call once, first.
  Status start();
  // The current token; valid until advance().
  const Token& token() const { return token_; }
  // Reads the next token.
  Status advance();
  // The byte after the current token: for "the text as written".
  std::size_t token_end() const { return at_; }
  std::string_view text() const { return text_; }

  // An error at the current token: "why near 'FORM'".
  std::unexpected<Error> unexpected(std::string_view why) const;

 private:
  Status skip_space();
  Status read_name();
  Status read_dollar_path();
  Status read_escaped_name();
  Status read_string(char quote);
  Status read_escape(std::string& out);
  Result<std::uint32_t> read_hex4();
  Status read_number();
  Status read_hex_number();
  Status read_symbol();

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  std::unexpected<Error> fail_here(std::string_view why) const { return fail_at(text_, at_, why); }

  std::string_view text_;
  LexRules rules_;
  Arena& arena_;
  std::size_t at_ = 0;
  Token token_;
};

}  // namespace doppel::query
