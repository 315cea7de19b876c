// Any bytes as the body of an enrollment, individual and of a group: what is taken can be shown and
// read again, alone and over what is stored.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "provisioning/enrollment.h"

namespace {

using namespace doppel;
using namespace doppel::provisioning;

void try_as(EnrollmentKind kind, const json::Value& body, Random& random) {
  const std::vector<std::string> hubs = {"hub1.example.net"};
  const auto made = parse_enrollment(kind, "entry-1", body, nullptr, hubs, random);
  if (!made) return;
  const json::Value shown = to_json(*made, ShowKeys::show);
  const auto again = parse_enrollment(kind, "entry-1", shown, nullptr, hubs, random);
  check(again.has_value(), "what is shown can be read");
  check(json::equal(to_json(*again, ShowKeys::show)["attestation"],
                    to_json(*made, ShowKeys::show)["attestation"]),
        "and means the same");
  // Clients write back what they read, without secrets.
  const json::Value hidden = to_json(*made, ShowKeys::hide);
  const auto kept = parse_enrollment(kind, "entry-1", hidden, &*made, hubs, random);
  check(kept.has_value(), "what is hidden is kept");
  check(json::equal(to_json(*kept, ShowKeys::show)["attestation"],
                    to_json(*made, ShowKeys::show)["attestation"]),
        "as it was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SeededRandom random(1);
  const auto body = json::parse({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  try_as(EnrollmentKind::individual, *body, random);
  try_as(EnrollmentKind::group, *body, random);
  return 0;
}
