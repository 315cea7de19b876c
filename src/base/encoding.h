// Text encodings: base64, hex, percent. Decoders refuse what is not exactly of the form; none
// throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace doppel {

std::string base64_encode(std::string_view bytes);
// Standard alphabet, padding required (as Azure's keys have it); no white space.
std::optional<std::string> base64_decode(std::string_view text);
// RFC 4648 section 5, without padding; the decoder takes padding too.
std::string base64url_encode(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);

std::string hex_encode(std::string_view bytes);  // lower case
std::optional<std::string> hex_decode(std::string_view text);

// RFC 3986: everything but A-Z a-z 0-9 - . _ ~ becomes %XX (upper case).
std::string percent_encode(std::string_view text);
// A '%' that is not followed by two hex digits is malformed. '+' stays '+'.
std::optional<std::string> percent_decode(std::string_view text);

std::string to_lower(std::string_view ascii);
bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
bool is_valid_utf8(std::string_view text);

}  // namespace doppel
