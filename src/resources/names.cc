#include "resources/names.h"

#include <cstddef>
#include <string>

#include "base/encoding.h"
#include "errors/arm.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct Rule {
  std::string_view type;
  std::size_t size_min;
  std::size_t size_max;
  std::string_view others;  // allowed beside letters and digits
  bool alphanumeric_ends;   // whether these may not stand at the ends
};

constexpr Rule kRules[] = {
    {kHubType, 3, 50, "-", true},
    {kDpsType, 3, 64, "-", true},
    {kTwinsType, 3, 63, "-", true},
    {kTwinsEndpointType, 2, 49, "-", true},
    {kEventSpaceType, 3, 50, "-", true},
    {kEventHubType, 1, 256, "-._", true},
    {kEventSpaceRuleType, 1, 50, "-._", true},
    {kEventHubRuleType, 1, 50, "-._", true},
    {kConsumerGroupType, 1, 50, "-._", true},
    {kHubConsumerGroupType, 1, 50, "-._", true},
    {kHubCertificateType, 1, 64, "-._", false},
    {kDpsCertificateType, 1, 64, "-._", false},
    {kSiteType, 2, 60, "-", true},
    {kFunctionKeyType, 1, 128, "-._", false},
};

// Hubs and event hubs share link addresses on one host name (docs/wire/one-address.md), so these
// would be ambiguous.
bool is_reserved_event_hub(std::string_view name) {
  return name.starts_with('$') || equal_ignoring_case(name, "devices") ||
         equal_ignoring_case(name, "messages") || equal_ignoring_case(name, "twins");
}

std::unexpected<Error> refuse(std::string_view name, const std::string& why) {
  // The name is the caller's and may be anything: show a bounded piece of it.
  return fail(errors::arm::kInvalidResourceName,
              "The resource name '" + std::string(name.substr(0, 64)) + "' is not valid: " + why);
}

}  // namespace

Status check_group_name(std::string_view name) {
  bool is_good = !name.empty() && name.size() <= 90 && !name.ends_with('.');
  for (const char c : name)
    is_good = is_good &&
              (is_alphanumeric(c) || std::string_view("-._()").find(c) != std::string_view::npos);
  if (is_good) return {};
  return fail(errors::arm::kInvalidResourceGroup,
              "The resource group name may have 1 to 90 letters, digits, '-', '.', '_', '(' and "
              "')', and must not "
              "end with a period.");
}

Status check_resource_name(std::string_view type, std::string_view name) {
  if (equal_ignoring_case(type, kEventHubType) && is_reserved_event_hub(name)) {
    return refuse(
        name, "'devices', 'messages', 'twins' and names that begin with '$' belong to IoT hubs");
  }
  // Made by the server with its event hub or hub; putting it again is harmless.
  if ((equal_ignoring_case(type, kConsumerGroupType) ||
       equal_ignoring_case(type, kHubConsumerGroupType)) &&
      equal_ignoring_case(name, kDefaultConsumerGroup))
    return {};
  for (const Rule& rule : kRules) {
    if (!equal_ignoring_case(type, rule.type)) continue;
    const bool has_size = name.size() >= rule.size_min && name.size() <= rule.size_max;
    bool has_characters = true;
    for (const char c : name) {
      has_characters =
          has_characters && (is_alphanumeric(c) || rule.others.find(c) != rule.others.npos);
    }
    const bool has_ends = !rule.alphanumeric_ends || name.empty() ||
                          (is_alphanumeric(name.front()) && is_alphanumeric(name.back()));
    if (has_size && has_characters && has_ends) return {};
    std::string why = "it needs " + std::to_string(rule.size_min) + " to " +
                      std::to_string(rule.size_max) + " letters, digits and '" +
                      std::string(rule.others) + "'";
    if (rule.alphanumeric_ends) why += ", with a letter or digit at both ends";
    return refuse(name, why);
  }
  if (name.empty() || name.size() > 256) return refuse(name, "it needs 1 to 256 characters");
  return {};
}

}  // namespace doppel::resources
