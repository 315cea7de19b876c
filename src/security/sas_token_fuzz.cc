// Any bytes as a token: parsing, reading what it is for and verifying must neither crash nor let it
// in.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "security/sas.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  using namespace doppel::security;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const SasResource odd = sas_resource(text);
  (void)covers(odd, {"devices", "d1"});
  const auto token = parse_sas(text);
  if (!token) return 0;
  (void)covers(sas_resource(token->resource), {"devices", "d1"});
  // A key the fuzzer cannot know (it has no way to make an HMAC by chance).
  const auto open =
      verify_sas(*token, "c2VjcmV0IG9mIHRoZSBzZXJ2ZXIsIDMyIGJ5dGVzISE=", KeyForm::base64,
                 TimePoint(std::chrono::seconds(1'800'000'000)));
  check(!open.has_value(), "no guessed token verifies");
  return 0;
}
