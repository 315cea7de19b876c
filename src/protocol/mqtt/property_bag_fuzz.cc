// Any topic text: bags and requests that are accepted can be written and read again.
#include "base/check.h"
#include "base/encoding.h"
#include "protocol/mqtt/property_bag.h"
#include "protocol/mqtt/request_topic.h"
#include "protocol/mqtt/text_rules.h"

namespace doppel::mqtt {
namespace {

void check_bag(std::string_view text) {
  const auto bag = parse_property_bag(text);
  if (!bag) return;
  check(bag->size() <= kPropertiesMax, "the bag's limit");
  const auto written = encode_property_bag(*bag);
  check(written.find_first_of("/+#$ ") == std::string::npos, "fits one topic level of any SDK");
  auto expected = *bag;
  for (auto& property : expected) {
    check(!property.key.empty() && is_valid_utf8(property.key), "keys are text");
    if (!property.value) property.value = "";  // a null goes out as an empty text
  }
  check(parse_property_bag(written) == expected, "written and read again");
}

struct CheckRequest {
  std::string_view topic;

  template <class Request>
  void operator()(const Request& request) const {
    check(!request.rid.empty(), "an answer needs its rid");
    const auto answer = twin_response_topic(200, request.rid, 7);
    check(is_valid_utf8(answer), "topics are text");
    const auto query = parse_property_bag(std::string_view(answer).substr(answer.find('?')));
    check(query && query->size() == 2 && *find_property(*query, "$rid") == request.rid,
          "the rid comes back and stays one pair");
  }
  void operator()(const DpsRegister& request) const { check_dps(request.rid); }
  void operator()(const DpsPoll& request) const {
    check(!request.operation_id.empty(), "a poll names its operation");
    check_dps(request.rid);
  }

 private:
  static void check_dps(std::string_view rid) {
    check(!rid.empty() && rid.size() <= kDpsRidBytesMax, "an answer needs its rid");
    const auto answer = dps_response_topic(202, rid, 3);
    check(is_valid_utf8(answer), "topics are text");
    std::string read;
    for_each_pair(std::string_view(answer).substr(answer.find('?') + 1),
                  [&](std::string_view key, std::string_view value) {
                    read += std::string(key) + '=' + std::string(value) + ' ';
                  });
    check(read == "$rid=" + std::string(rid) + " retry-after=3 ", "the rid stays one pair");
  }
};

}  // namespace
}  // namespace doppel::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel::mqtt;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_bag(text);
  if (const auto request = parse_request_topic(text)) std::visit(CheckRequest{text}, *request);
  const auto method = method_request_topic(text, "1");
  doppel::check(method.empty() || !is_valid_text(method) || is_topic_name(method),
                "a method's name never makes a wildcard");
  return 0;
}
