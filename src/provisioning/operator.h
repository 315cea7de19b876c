// What operators do beyond the enrollment list: take a device back in one go, and try an allocation
// function without a device.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "functions/api.h"
#include "hub/api.h"
#include "json/value.h"
#include "provisioning/allocation.h"
#include "provisioning/enrollments.h"
#include "provisioning/remote_saga.h"
#include "resources/catalog.h"
#include "store/store.h"

namespace doppel::provisioning {

inline constexpr std::size_t kTestedBodyShownMax = 4096;  // bytes of a webhook's answer

class Operator {
 public:
  struct Deps {
    store::Store& store;
    const Clock& clock;
    std::function<std::shared_ptr<const resources::Catalog>()> catalog;
    hub::Hubs& hubs;
    functions::Functions& functions;
    WebhookClient& webhooks;
    Enrollments& enrollments;
    RemoteSaga& remotes;
  };
  explicit Operator(Deps deps) : deps_(std::move(deps)) {}

  // Takes back what a registration gave: the record, the identity with its device twin, the digital
  // twin with its relationships, in one commit with the lifecycle event. The enrollment stays: who
  // shall not come back is disabled first. What is gone already is no error, but the record must be
  // there. An identity in a hub elsewhere is removed after the commit, which records that it must
  // be. Errors: RegistrationNotFound, EtagMismatch; those of RemoteHub.
  Task<Result<json::Object>> deprovision(Instance instance, std::string id, std::string if_match,
                                         std::stop_token stop = {});

  // Sends the allocation function of an enrollment a request as for a device, and tells what it
  // answered, how long it took and what would come of it. A built-in function runs as well, but
  // nothing of it is written; what a webhook does is its own affair. Errors: EnrollmentNotFound,
  // BadRequest when the enrollment has none.
  struct TestRequest {
    std::string registration_id;
    std::optional<json::Value> payload;
  };
  Task<Result<json::Object>> test_webhook(Instance instance, EnrollmentKind kind, std::string id,
                                          TestRequest request, std::stop_token stop);

 private:
  struct Removal;
  Task<Result<json::Object>> deprovision_in(store::Transaction& tx,
                                            std::shared_ptr<const Removal> removal);
  // What the hub elsewhere says of the registration's identity; nothing for our own hubs.
  Task<Result<std::optional<RemoteIdentity>>> look_elsewhere(Instance instance, std::string id,
                                                             std::stop_token stop);
  Task<Status> remove_device(store::Transaction& tx, const Registration& record,
                             json::Object& report);
  Task<json::Object> test_builtin(std::string app, json::Value request, Instance instance);
  Task<json::Object> test_outside(std::string url, json::Value request, Instance instance,
                                  std::stop_token stop);

  Deps deps_;
};

}  // namespace doppel::provisioning
