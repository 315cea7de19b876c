// Where the twin graph lies in the store. Every key begins with its kind and the instance, so one
// prefix holds one kind of one instance.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace doppel::twins::keys {

inline constexpr std::string_view kModel = "twins.model";
inline constexpr std::string_view kModelRevision = "twins.models";
inline constexpr std::string_view kTwin = "twins.twin";
inline constexpr std::string_view kRelationship = "twins.edge";
inline constexpr std::string_view kIncoming = "twins.in";
inline constexpr std::string_view kLinks = "twins.links";
inline constexpr std::string_view kAlive = "twins.alive";

std::string model(const TwinsInstanceName& instance, std::string_view id);
std::string models(const TwinsInstanceName& instance);  // prefix of them
// A number that every change of the instance's models raises: whoever read it has seen them all.
std::string model_revision(const TwinsInstanceName& instance);

std::string twin(const TwinsInstanceName& instance, const DigitalTwinId& id);
std::string twins(const TwinsInstanceName& instance);

std::string relationship(const TwinsInstanceName& instance, const DigitalTwinId& source,
                         const RelationshipId& id);
std::string relationships(const TwinsInstanceName& instance, const DigitalTwinId& source);
// The same relationships by target; the value is the relationship's name.
std::string incoming(const TwinsInstanceName& instance, const DigitalTwinId& target,
                     const DigitalTwinId& source, const RelationshipId& id);
std::string incomings(const TwinsInstanceName& instance, const DigitalTwinId& target);

// Two guards keep "delete a twin" and "add a relationship to it" from both winning, without making
// relationships of one twin wait for each other: whoever adds one writes `links` of both ends and
// depends on `alive` of both; whoever deletes a twin writes its `alive` and depends on its `links`.
// `alive` never holds a value; only its writes count.
std::string links(const TwinsInstanceName& instance, const DigitalTwinId& id);
std::string alive(const TwinsInstanceName& instance, const DigitalTwinId& id);

}  // namespace doppel::twins::keys
