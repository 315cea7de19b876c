#include "query/twin_names.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::query {
namespace {

constexpr std::string_view kKeywords[] = {"SELECT", "FROM", "WHERE", "GROUP", "BY",  "AS",
                                          "TOP",    "IN",   "NIN",   "ORDER", "JOIN"};

constexpr std::string_view kTwinFields[] = {"deviceId",
                                            "moduleId",
                                            "etag",
                                            "deviceEtag",
                                            "status",
                                            "statusReason",
                                            "statusUpdateTime",
                                            "connectionState",
                                            "connectionStateUpdatedTime",
                                            "lastActivityTime",
                                            "version",
                                            "cloudToDeviceMessageCount",
                                            "x509Thumbprint",
                                            "modelId",
                                            "authenticationType",
                                            "deviceScope",
                                            "parentScopes",
                                            "capabilities",
                                            "tags",
                                            "properties",
                                            "configurations",
                                            "generationId"};

constexpr std::string_view kJobFields[] = {"deviceId",
                                           "jobId",
                                           "jobType",
                                           "status",
                                           "startTimeUtc",
                                           "endTimeUtc",
                                           "createdDateTimeUtc",
                                           "lastUpdatedDateTimeUtc"};

bool is_name(const json::PathStep& step, std::string_view name) {
  return !step.is_index && equal_ignoring_case(step.name, name);
}

std::string_view spelled(std::string_view name) {
  if (equal_ignoring_case(name, "id")) return "deviceId";
  for (const auto field : kTwinFields) {
    if (equal_ignoring_case(name, field)) return field;
  }
  for (const auto field : kJobFields) {
    if (equal_ignoring_case(name, field)) return field;
  }
  return name;
}

void adjust_twin_path(Path& path, Arena& arena) {
  auto steps = path.steps;
  // No twin has a field "devices", so the word can only be the qualifier.
  if (steps.size() > 1 && is_name(steps[0], "devices")) steps = steps.subspan(1);
  const bool was_qualified = steps.size() != path.steps.size();
  if (was_qualified && steps.size() > 1 &&
      (is_name(steps[0], "modules") || is_name(steps[0], "jobs"))) {
    steps = steps.subspan(1);
  }
  std::vector<json::PathStep> adjusted(steps.begin(), steps.end());
  if (!adjusted[0].is_index) adjusted[0].name = spelled(adjusted[0].name);
  path.steps = arena.copy(adjusted);
}

constexpr Dialect kDialect{.keywords = kKeywords, .adjust = adjust_twin_path};

}  // namespace

const Dialect& twin_dialect() { return kDialect; }

bool is_job_field(std::string_view name) {
  return std::ranges::find(kJobFields, name) != std::end(kJobFields);
}

}  // namespace doppel::query
