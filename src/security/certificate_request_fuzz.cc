// Any bytes as a signing request: reading it must not crash, and what is taken can be answered.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"
#include "security/certificate_authority.h"
#include "security/certificate_path.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  using namespace doppel::security;
  static SeededRandom random(1);
  static const TimePoint now(std::chrono::seconds(1'800'000'000));
  static const CertificateAuthority authority =
      CertificateAuthority::make("Issuer", now, std::chrono::days(1), random);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)CertificateRequest::parse(bytes);
  const auto request = CertificateRequest::from_der(bytes);
  if (!request) return 0;
  check(CertificateRequest::parse(base64_encode(bytes)).has_value(), "base64 makes no difference");
  (void)request->common_name();
  const auto leaf = authority.issue(*request, "device", now, std::chrono::hours(1), random);
  check(request->has_key_of(leaf), "the answer is for the request's key");
  check(is_signed_by(leaf, authority.certificate()), "and signed by the issuer");
  return 0;
}
