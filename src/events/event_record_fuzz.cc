// Whatever decode accepts, encode writes back to the same bytes: there is one form of each event.
#include "base/check.h"
#include "events/api.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  const auto event = doppel::events::decode(record);
  if (event) {
    doppel::check(doppel::events::encode(*event) == record, "one form of each event");
  }
  return 0;
}
