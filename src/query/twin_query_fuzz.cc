// Any text is a twin query, a provisioning query or an error; rows of a query are documents.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "query/dps_query.h"
#include "query/grouping.h"
#include "query/twin_query.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const auto document = *json::parse(
      R"({"deviceId":"d","tags":{"a":1,"b":["x",2]},"properties":{"reported":{"t":1.5}},"version":3})");
  const query::JsonRow row(document);
  if (const auto dps = query::parse_dps_query(text)) (void)dps->matches(row);

  const auto twin = query::parse_twin_query(text);
  if (!twin) {
    check(!twin.error().message.empty(), "errors say why");
    return 0;
  }
  const bool matches = twin->matches(row);
  if (!twin->is_grouped()) {
    check(json::parse(json::write(twin->project(row))).has_value(), "rows are documents");
    return 0;
  }
  query::Grouping grouping(*twin);
  if (matches) check(grouping.add(row).has_value(), "one group is not too many");
  const auto rows = grouping.rows();
  check(rows.size() <= 1 && rows.size() <= twin->top(), "one row makes at most one group");
  return 0;
}
