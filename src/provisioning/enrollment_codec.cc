#include "provisioning/enrollment_codec.h"

#include "base/time_text.h"

namespace doppel::provisioning {
namespace {

constexpr std::int64_t kFormat = 1;

}  // namespace

std::string EnrollmentCodec::encode(const std::string& key, const Enrollment& enrollment) const {
  json::Object document = to_json(enrollment, ShowKeys::show);
  document["v"] = kFormat;
  return box_.seal(json::write(document), key);
}

Result<Enrollment> EnrollmentCodec::decode_anew(EnrollmentKind kind, const std::string& key,
                                                const std::string& stored) const {
  auto plain = box_.open(stored, key);
  if (!plain)
    return fail(Code::internal, "an enrollment cannot be opened: " + plain.error().message);
  auto document = json::parse(*plain);
  if (!document) return fail(Code::internal, "an enrollment cannot be read");
  const json::Value* format = json::find(*document, "v");
  if (format == nullptr || json::to_int64(*format) != kFormat) {
    return fail(Code::internal, "an enrollment has an unknown format");
  }
  // Hubs that were linked when the entry was written are good enough to read it.
  std::vector<std::string> hubs;
  if (const json::Value* named = json::find(*document, "iotHubs"); named && named->is_array()) {
    for (const auto& hub : named->get_array()) {
      if (json::is_string(hub)) hubs.emplace_back(json::view(hub.get_string()));
    }
  }
  const std::string_view id_name =
      kind == EnrollmentKind::individual ? "registrationId" : "enrollmentGroupId";
  const std::string id = json::get_string_or(*document, id_name, "");
  auto read = parse_enrollment(kind, id, *document, nullptr, hubs, random_);
  if (!read) return fail(Code::internal, "an enrollment cannot be read: " + read.error().message);
  read->etag = json::get_string_or(*document, "etag", "");
  const auto time = [&](std::string_view name) {
    return parse_iso8601(json::get_string_or(*document, name, "")).value_or(TimePoint{});
  };
  read->created = time("createdDateTimeUtc");
  read->updated = time("lastUpdatedDateTimeUtc");
  return read;
}

Result<std::shared_ptr<const Enrollment>> EnrollmentCodec::decode(EnrollmentKind kind,
                                                                  const std::string& key,
                                                                  const std::string& stored) const {
  {
    const std::scoped_lock lock(mutex_);
    const auto at = known_.find(key);
    if (at != known_.end() && at->second.stored == stored) return at->second.enrollment;
  }
  auto decoded = decode_anew(kind, key, stored);
  if (!decoded) return fail(std::move(decoded.error()));
  auto enrollment = std::make_shared<const Enrollment>(*std::move(decoded));
  const std::scoped_lock lock(mutex_);
  if (known_.size() >= kKnownEnrollmentsMax) known_.clear();
  known_.insert_or_assign(key, Known{stored, enrollment});
  return enrollment;
}

}  // namespace doppel::provisioning
