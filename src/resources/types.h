// The resource types that exist here, in Azure's spelling. Compared without case.
#pragma once

#include <string_view>

namespace doppel::resources {

inline constexpr std::string_view kGroupType = "Microsoft.Resources/resourceGroups";
inline constexpr std::string_view kHubType = "Microsoft.Devices/IotHubs";
inline constexpr std::string_view kHubConsumerGroupType =
    "Microsoft.Devices/IotHubs/eventHubEndpoints/ConsumerGroups";
inline constexpr std::string_view kHubCertificateType = "Microsoft.Devices/IotHubs/certificates";
inline constexpr std::string_view kDpsCertificateType =
    "Microsoft.Devices/provisioningServices/certificates";
inline constexpr std::string_view kDpsType = "Microsoft.Devices/provisioningServices";
inline constexpr std::string_view kTwinsType = "Microsoft.DigitalTwins/digitalTwinsInstances";
inline constexpr std::string_view kTwinsEndpointType =
    "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints";
inline constexpr std::string_view kEventSpaceType = "Microsoft.EventHub/namespaces";
inline constexpr std::string_view kEventSpaceRuleType =
    "Microsoft.EventHub/namespaces/authorizationRules";
inline constexpr std::string_view kEventHubType = "Microsoft.EventHub/namespaces/eventhubs";
inline constexpr std::string_view kEventHubRuleType =
    "Microsoft.EventHub/namespaces/eventhubs/authorizationRules";
inline constexpr std::string_view kConsumerGroupType =
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups";
inline constexpr std::string_view kSiteType = "Microsoft.Web/sites";
inline constexpr std::string_view kSiteConfigType = "Microsoft.Web/sites/config";
inline constexpr std::string_view kFunctionKeyType = "Microsoft.Web/sites/functions/keys";

// The spelling of `type` as above; empty when there is no such type.
std::string_view known_type(std::string_view type);

inline constexpr std::string_view kDefaultConsumerGroup = "$Default";
inline constexpr std::string_view kRootRule = "RootManageSharedAccessKey";
inline constexpr std::string_view kAppSettings = "appsettings";

// The member of a stored document that is ours alone and never shown.
inline constexpr std::string_view kInternal = "$doppel";

}  // namespace doppel::resources
