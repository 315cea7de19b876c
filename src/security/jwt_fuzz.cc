// Any bytes as a token must be refused; and the parser behind the signature is reached by signing
// the input ourselves.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"
#include "security/jwt.h"
#include "security/sas.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  using namespace doppel::security;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const std::string key(32, 'k');
  static const TokenSigner signer(key, "https://localhost/tenant/");
  const TimePoint now(std::chrono::seconds(1'800'000'000));
  check(!signer.verify(text, now).has_value(), "no guessed token verifies");

  // The first line is the header, the rest the claims, both signed as if they were ours.
  const auto line = text.find('\n');
  const auto header = text.substr(0, line);
  const auto claims = line == text.npos ? std::string_view{} : text.substr(line + 1);
  std::string token = base64url_encode(header) + "." + base64url_encode(claims);
  token += "." + base64url_encode(hmac_sha256(key, token));
  const auto verified = signer.verify(token, now);
  if (verified) check(verified->issuer == signer.issuer(), "only our issuer verifies");
  return 0;
}
