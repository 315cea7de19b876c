#include "twins/twin_record.h"

#include <cstdint>

#include "base/check.h"
#include "twins/names.h"

namespace doppel::twins {
namespace {

constexpr char kFormat = 1;
constexpr char kIsBound = 1;
constexpr json::ParseLimits kLimits{.depth_max = 40, .size_max = 1024 * 1024};

void append_text(std::string& out, std::string_view text) {
  check(text.size() <= 0xFFFF, "an identifier fits into a record");
  out += static_cast<char>(text.size() & 0xFF);
  out += static_cast<char>(text.size() >> 8);
  out += text;
}

std::optional<std::string_view> take_text(std::string_view& record) {
  if (record.size() < 2) return std::nullopt;
  const auto size = static_cast<std::size_t>(static_cast<unsigned char>(record[0])) |
                    static_cast<std::size_t>(static_cast<unsigned char>(record[1])) << 8;
  if (record.size() - 2 < size) return std::nullopt;
  const auto text = record.substr(2, size);
  record.remove_prefix(2 + size);
  return text;
}

std::unexpected<Error> broken() {
  return fail(Code::internal, "a stored digital twin or relationship is unreadable");
}

Result<json::Object> parse_document(std::string_view text) {
  auto document = json::parse(text, kLimits);
  if (!document || !document->is_object()) return broken();
  return std::move(document->get_object());
}

}  // namespace

std::string encode(const DigitalTwin& twin) {
  std::string out;
  out.reserve(1024);
  out += kFormat;
  out += twin.made_for ? kIsBound : '\0';
  if (twin.made_for) {
    append_text(out, twin.made_for->hub.view());
    append_text(out, twin.made_for->device_id.view());
    append_text(out, twin.made_for->generation.view());
  }
  json::write_to(out, twin.document);
  return out;
}

Result<DigitalTwin> decode_twin(const DigitalTwinId& id, std::string_view record) {
  if (record.size() < 2 || record[0] != kFormat || (record[1] & ~kIsBound) != 0) return broken();
  const bool is_bound = record[1] == kIsBound;
  record.remove_prefix(2);
  DigitalTwin twin;
  twin.id = id;
  if (is_bound) {
    const auto hub = take_text(record);
    const auto device = hub ? take_text(record) : std::nullopt;
    const auto generation = device ? take_text(record) : std::nullopt;
    if (!generation) return broken();
    twin.made_for = DeviceBinding{HubName(*hub), DeviceId(*device), GenerationId(*generation)};
  }
  auto document = parse_document(record);
  if (!document) return fail(std::move(document.error()));
  twin.document = std::move(*document);
  const auto* metadata = twin.document.if_contains(names::kMetadata);
  const auto* etag = twin.document.if_contains(names::kEtag);
  if (metadata == nullptr || etag == nullptr || !etag->is_string()) return broken();
  twin.etag = json::view(etag->get_string());
  twin.model = Dtmi(json::get_string_or(*metadata, names::kModel, ""));
  return twin;
}

std::string encode(const Relationship& relationship) {
  std::string out(1, kFormat);
  json::write_to(out, relationship.document);
  return out;
}

Result<Relationship> decode_relationship(std::string_view record) {
  if (record.empty() || record[0] != kFormat) return broken();
  auto document = parse_document(record.substr(1));
  if (!document) return fail(std::move(document.error()));
  const json::Value value(std::move(*document));
  return Relationship{
      .id = RelationshipId(json::get_string_or(value, names::kRelationshipId, "")),
      .source = DigitalTwinId(json::get_string_or(value, names::kSourceId, "")),
      .target = DigitalTwinId(json::get_string_or(value, names::kTargetId, "")),
      .name = json::get_string_or(value, names::kRelationshipName, ""),
      .etag = json::get_string_or(value, names::kEtag, ""),
      .document = value.get_object(),
  };
}

}  // namespace doppel::twins
