// Any bytes as certificates of a device: reading them, telling their facts and looking for a path
// must neither crash nor lead to a CA whose key the fuzzer does not have.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "security/certificate_path.h"
#include "security/certificate_testing.h"

namespace {

using namespace doppel;
using namespace doppel::security;

const Certificate& anchor() {
  static const Certificate made = testing::issue(testing::ca("Root")).certificate;
  return made;
}

void tell_facts(const Certificate& one) {
  (void)one.common_name();
  (void)one.subject();
  (void)one.issuer();
  (void)one.serial_number();
  (void)one.version();
  (void)one.not_before();
  (void)one.not_after();
  (void)one.key_bits();
  (void)one.may_sign_certificates();
  check(Certificate::parse(one.pem()).has_value(), "what was read can be written and read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto text = Certificate::parse(rest);
  if (text) tell_facts(*text);
  (void)Certificate::parse_chain(rest, 3);
  // A chain of DER: two bytes of length before each.
  std::vector<Certificate> chain;
  while (rest.size() > 2 && chain.size() < kPresentedMax) {
    const std::size_t length = static_cast<unsigned char>(rest[0]) * std::size_t{256} +
                               static_cast<unsigned char>(rest[1]);
    const auto one = Certificate::from_der(rest.substr(2, length));
    if (one) {
      tell_facts(*one);
      chain.push_back(*one);
    }
    rest.remove_prefix(std::min(rest.size(), length + 2));
  }
  if (text) chain.push_back(*text);
  if (chain.empty()) return 0;
  const TimePoint now(std::chrono::seconds(1'800'000'000));
  (void)check_alone(chain.front(), now);
  const auto path = verify_path(chain.front(), chain, std::span(&anchor(), 1), now);
  check(!path || path->back() == anchor(), "a path ends at an anchor");
  check(!path || is_signed_by((*path)[path->size() - 2], anchor()),
        "and its key signed the last step");
  for (const Certificate& one : chain) (void)claims_issuer(chain.front(), one);
  return 0;
}
