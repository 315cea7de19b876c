// An upload of models from the first byte to the compiled model, and a value checked against every
// property.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "json/value.h"
#include "twins/dtdl/interface.h"
#include "twins/dtdl/model.h"

using namespace doppel;
using namespace doppel::twins;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = json::parse(text);
  if (!document || !document->is_array()) return 0;
  dtdl::Problems problems;
  std::vector<dtdl::Interface> interfaces;
  for (const auto& entry : document->get_array())
    interfaces.push_back(dtdl::parse_interface(entry, problems));
  if (!problems.empty()) return 0;
  const auto models =
      dtdl::link(std::move(interfaces), [](std::string_view) { return nullptr; }, problems);
  if (!problems.empty()) return 0;
  for (const auto& model : models)
    for (const auto& content : model->contents())
      if (content.content.schema) dtdl::fits(*content.content.schema, document->get_array()[0]);
  return 0;
}
