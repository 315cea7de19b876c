#include <charconv>
#include <cmath>

#include "json/number.h"
#include "json/value.h"

namespace doppel::json {
namespace {

constexpr std::size_t kIndent = 2;
// U+2028 and U+2029 in UTF-8 are E2 80 A8 and E2 80 A9: legal in JSON, but line ends in old
// JavaScript, so they leave escaped.
constexpr std::string_view kLineSeparatorPrefix = "\xE2\x80";

bool needs_escape(unsigned char c) { return c < 0x20 || c == '"' || c == '\\' || c == 0xE2; }

void append_escaped(std::string& out, unsigned char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\b':
      out.append("\\b");
      return;
    case '\f':
      out.append("\\f");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default:
      out.append("\\u00");
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
  }
}

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!needs_escape(c)) [[likely]]
      continue;
    if (c == 0xE2) {
      const auto end = text.substr(i, 3);
      if (end.size() < 3 || !end.starts_with(kLineSeparatorPrefix) ||
          (end[2] != '\xA8' && end[2] != '\xA9')) {
        continue;
      }
      out.append(text.substr(done, i - done)).append(end[2] == '\xA8' ? "\\u2028" : "\\u2029");
      i += 2;
    } else {
      out.append(text.substr(done, i - done));
      append_escaped(out, c);
    }
    done = i + 1;
  }
  out.append(text.substr(done));
  out.push_back('"');
}

template <class Integer>
void append_integer(std::string& out, Integer number) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  out.append(buffer, end);
}

// `Pretty` adds line breaks; `indent` is the depth. Recursion is bounded by the depth of the value,
// which the parser and the patches bound.
template <bool Pretty>
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void write(const Value& value, std::size_t indent) {
    switch (value.kind()) {
      case boost::json::kind::null:
        out_.append("null");
        return;
      case boost::json::kind::bool_:
        out_.append(value.get_bool() ? "true" : "false");
        return;
      case boost::json::kind::int64:
        append_integer(out_, value.get_int64());
        return;
      case boost::json::kind::uint64:
        append_integer(out_, value.get_uint64());
        return;
      case boost::json::kind::double_:
        // No JSON text is infinite or no number; arithmetic of ours might be. As JavaScript does.
        if (std::isfinite(value.get_double())) {
          append_double(out_, value.get_double());
        } else {
          out_.append("null");
        }
        return;
      case boost::json::kind::string: {
        const auto text = view(value.get_string());
        if (text.starts_with(kNumberMark)) {
          out_.append(text.substr(1));
        } else {
          append_string(out_, text);
        }
        return;
      }
      case boost::json::kind::array:
        write_array(value.get_array(), indent);
        return;
      case boost::json::kind::object:
        write_object(value.get_object(), indent);
        return;
    }
  }

 private:
  void write_array(const Array& array, std::size_t indent) {
    out_.push_back('[');
    bool first = true;
    for (const auto& element : array) {
      separate(first, indent + 1);
      write(element, indent + 1);
    }
    if (!first) new_line(indent);
    out_.push_back(']');
  }

  void write_object(const Object& object, std::size_t indent) {
    out_.push_back('{');
    bool first = true;
    for (const auto& [name, member] : object) {
      separate(first, indent + 1);
      append_string(out_, {name.data(), name.size()});
      out_.append(Pretty ? ": " : ":");
      write(member, indent + 1);
    }
    if (!first) new_line(indent);
    out_.push_back('}');
  }

  void separate(bool& first, std::size_t indent) {
    if (!first) out_.push_back(',');
    first = false;
    new_line(indent);
  }

  void new_line(std::size_t indent) {
    if constexpr (Pretty) {
      out_.push_back('\n');
      out_.append(indent * kIndent, ' ');
    }
  }

  std::string& out_;
};

}  // namespace

void write_to(std::string& out, const Value& value) { Writer<false>(out).write(value, 0); }

std::string write(const Value& value) {
  std::string out;
  write_to(out, value);
  return out;
}

std::string write_pretty(const Value& value) {
  std::string out;
  Writer<true>(out).write(value, 0);
  return out;
}

}  // namespace doppel::json
