#include "twins/keys.h"

#include "store/store.h"

namespace doppel::twins::keys {

using store::key;

std::string model(const TwinsInstanceName& instance, std::string_view id) {
  return key({kModel, instance.view(), id});
}
std::string models(const TwinsInstanceName& instance) { return key({kModel, instance.view()}); }
std::string model_revision(const TwinsInstanceName& instance) {
  return key({kModelRevision, instance.view()});
}

std::string twin(const TwinsInstanceName& instance, const DigitalTwinId& id) {
  return key({kTwin, instance.view(), id.view()});
}
std::string twins(const TwinsInstanceName& instance) { return key({kTwin, instance.view()}); }

std::string relationship(const TwinsInstanceName& instance, const DigitalTwinId& source,
                         const RelationshipId& id) {
  return key({kRelationship, instance.view(), source.view(), id.view()});
}
std::string relationships(const TwinsInstanceName& instance, const DigitalTwinId& source) {
  return key({kRelationship, instance.view(), source.view()});
}
std::string incoming(const TwinsInstanceName& instance, const DigitalTwinId& target,
                     const DigitalTwinId& source, const RelationshipId& id) {
  return key({kIncoming, instance.view(), target.view(), source.view(), id.view()});
}
std::string incomings(const TwinsInstanceName& instance, const DigitalTwinId& target) {
  return key({kIncoming, instance.view(), target.view()});
}

std::string links(const TwinsInstanceName& instance, const DigitalTwinId& id) {
  return key({kLinks, instance.view(), id.view()});
}
std::string alive(const TwinsInstanceName& instance, const DigitalTwinId& id) {
  return key({kAlive, instance.view(), id.view()});
}

}  // namespace doppel::twins::keys
