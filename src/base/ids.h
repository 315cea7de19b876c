// The identifiers that more than one folder speaks of. Texts are kept as clients spell them.
#pragma once

#include <cstdint>

#include "base/strong_id.h"

namespace doppel {

using RegistrationId =
    StrongId<struct RegistrationIdTag>;  // DPS; compared without case, see provisioning/
using EnrollmentGroupId = StrongId<struct EnrollmentGroupIdTag>;
using DeviceId = StrongId<struct DeviceIdTag>;  // IoT Hub; case-sensitive
using ModuleId = StrongId<struct ModuleIdTag>;
using DigitalTwinId = StrongId<struct DigitalTwinIdTag>;
using RelationshipId = StrongId<struct RelationshipIdTag>;
using Dtmi = StrongId<struct DtmiTag>;        // e.g. dtmi:contosocom:DigitalTwins:Thermostat;1
using HubName = StrongId<struct HubNameTag>;  // the resource's name, not its host name
using TwinsInstanceName = StrongId<struct TwinsInstanceNameTag>;
using IdScope = StrongId<struct IdScopeTag>;  // e.g. 0ne00000001
using Etag = StrongId<struct EtagTag>;  // without quotes unless the service's own text has them

// Renewed whenever an identity is created, so that an event about an earlier device of the same
// name is told from one about this one.
using GenerationId = StrongId<struct GenerationIdTag>;

}  // namespace doppel
