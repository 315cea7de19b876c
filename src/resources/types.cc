#include "resources/types.h"

#include "base/encoding.h"

namespace doppel::resources {

std::string_view known_type(std::string_view type) {
  for (const auto known : {kGroupType, kHubType, kHubConsumerGroupType, kHubCertificateType,
                           kDpsType, kDpsCertificateType, kTwinsType, kTwinsEndpointType,
                           kEventSpaceType, kEventSpaceRuleType, kEventHubType, kEventHubRuleType,
                           kConsumerGroupType, kSiteType, kSiteConfigType, kFunctionKeyType}) {
    if (equal_ignoring_case(type, known)) return known;
  }
  return {};
}

}  // namespace doppel::resources
