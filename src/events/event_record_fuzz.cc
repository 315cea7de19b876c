// Whatever decode accepts, encode writes back to the same bytes: there is one form of each event.
#include "base/check.h"
#include "events/amqp_event.h"
#include "events/api.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace doppel::events;
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  const auto event = decode(record);
  if (is_amqp_record(record)) {
    const auto kept = decode_amqp(record);
    if (kept) doppel::check(encode(*kept) == record, "one form of each event");
  } else if (event) {
    doppel::check(encode(*event) == record, "one form of each event");
  }
  return 0;
}
