// An upload of models from the first byte to the compiled model. A last entry that is an array
// holds values, each of which is checked against the schema of every content.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "json/value.h"
#include "twins/dtdl/interface.h"
#include "twins/dtdl/model.h"

using namespace doppel;
using namespace doppel::twins;

namespace {

void check_values(const dtdl::Model& model, const json::Array& values) {
  for (const auto& content : model.contents()) {
    check(model.find(content.content.name) == &content, "a content is found by its name");
    if (!content.content.schema) continue;
    for (const auto& value : values) {
      std::vector<std::string> violations;
      dtdl::check_value(*content.content.schema, value, content.content.name, "t", violations);
      check(violations.empty() == dtdl::fits(*content.content.schema, value),
            "a value fits exactly when nothing is said against it");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto document = json::parse(text);
  if (!document || !document->is_array()) return 0;
  auto& entries = document->get_array();
  json::Array values;
  if (!entries.empty() && entries.back().is_array()) {
    values = std::move(entries.back().get_array());
    entries.pop_back();
  }
  dtdl::Problems problems;
  std::vector<dtdl::Interface> interfaces;
  for (const auto& entry : entries) interfaces.push_back(dtdl::parse_interface(entry, problems));
  if (!problems.empty()) return 0;
  const auto models =
      dtdl::link(std::move(interfaces), [](std::string_view) { return nullptr; }, problems);
  if (!problems.empty()) return 0;
  for (const auto& model : models) check_values(*model, values);
  return 0;
}
