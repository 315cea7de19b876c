// Any bytes as a token must be refused; and the parser behind the signature is reached by signing
// the input ourselves: as header and claims, and as claims under the header that verify() wants.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"
#include "security/jwt.h"
#include "security/keys.h"
#include "security/sas.h"

namespace {

using namespace doppel;
using namespace doppel::security;

constexpr TimePoint kNow(std::chrono::seconds(1'800'000'000));

const std::string& key() {
  static const std::string bytes(32, 'k');
  return bytes;
}

std::string sign(std::string_view header, std::string_view claims) {
  const std::string signed_part = base64url_encode(header) + "." + base64url_encode(claims);
  return signed_part + "." + base64url_encode(hmac_sha256(key(), signed_part));
}

// What verifies is what issue() would have written: ours, and of this time.
void verify(const TokenSigner& signer, const std::string& token) {
  const auto claims = signer.verify(token, kNow);
  if (!claims) return;
  check(claims->issuer == signer.issuer(), "only our issuer verifies");
  check(kNow < claims->expires + kJwtLeeway, "nothing expired verifies");
  check(claims->not_before <= kNow + kJwtLeeway, "nothing of the future verifies");
  const auto again = signer.verify(signer.issue(*claims), kNow);
  check(again.has_value() && *again == *claims, "claims survive being issued again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const TokenSigner signer(key(), "https://localhost/tenant/");
  check(!signer.verify(text, kNow).has_value(), "no guessed token verifies");

  // The first line is the header, the rest the claims.
  const auto line = text.find('\n');
  const auto claims = line == text.npos ? std::string_view{} : text.substr(line + 1);
  verify(signer, sign(text.substr(0, line), claims));

  static const std::string issued = signer.issue({});
  static const std::string header = base64url_decode(issued.substr(0, issued.find('.'))).value();
  verify(signer, sign(header, text));
  return 0;
}
