#include "hub/twin_record.h"

#include <array>

#include "hub/record_reader.h"

namespace doppel::hub {
namespace {

constexpr std::uint8_t kFormatVersion = 1;

struct Section {
  json::Object DeviceTwin::* object;
};
constexpr std::array kSections = {
    Section{&DeviceTwin::tags},
    Section{&DeviceTwin::desired},
    Section{&DeviceTwin::desired_metadata},
    Section{&DeviceTwin::reported},
    Section{&DeviceTwin::reported_metadata},
};

}  // namespace

std::string encode_twin(const DeviceTwin& twin, std::string_view desired_delta) {
  std::string out;
  out.push_back(static_cast<char>(kFormatVersion));
  append_be(out, static_cast<std::uint64_t>(twin.desired_version));
  append_record_text(out, desired_delta);
  append_be(out, static_cast<std::uint64_t>(twin.reported_version));
  append_be(out, static_cast<std::uint64_t>(twin.version));
  append_be(out, twin.etag);
  append_record_text(out, twin.model_id);
  // One array, so that one parse reads it all.
  out.push_back('[');
  for (const auto& section : kSections) {
    if (&section != &kSections.front()) out.push_back(',');
    json::write_to(out, twin.*section.object);
  }
  out.push_back(']');
  return out;
}

Result<DeviceTwin> decode_twin(std::string_view record) {
  RecordReader in(record);
  if (in.byte() != kFormatVersion) return fail(Code::internal, "twin record: unknown format");
  DeviceTwin twin;
  twin.desired_version = in.number<std::int64_t>();
  in.text();
  twin.reported_version = in.number<std::int64_t>();
  twin.version = in.number<std::int64_t>();
  twin.etag = in.number<std::uint64_t>();
  twin.model_id = in.text();
  const auto text = in.rest();
  if (in.failed()) return fail(Code::internal, "twin record: damaged");
  auto sections = json::parse(text);
  if (!sections || !sections->is_array() || sections->get_array().size() != kSections.size())
    return fail(Code::internal, "twin record: damaged sections");
  for (std::size_t i = 0; i < kSections.size(); ++i) {
    auto& value = sections->get_array()[i];
    if (!value.is_object()) return fail(Code::internal, "twin record: damaged sections");
    twin.*kSections[i].object = std::move(value.get_object());
  }
  return twin;
}

std::optional<DesiredDelta> peek_desired_delta(std::string_view record) {
  RecordReader in(record);
  const auto version = in.byte();
  const auto desired_version = in.number<std::int64_t>();
  const auto body = in.text();
  if (in.failed() || version != kFormatVersion || body.empty()) return std::nullopt;
  return DesiredDelta{.version = desired_version, .body = body};
}

std::string_view peek_model_id(std::string_view record) {
  RecordReader in(record);
  in.byte();
  in.number<std::int64_t>();  // desired version
  in.text();
  in.number<std::int64_t>();  // reported version
  in.number<std::int64_t>();
  in.number<std::uint64_t>();
  return in.text();
}

}  // namespace doppel::hub
