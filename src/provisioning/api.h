// DPS as the server and later folders see it: one Provisioning object serves every instance.
// Protocols are in wire/.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "provisioning/enrollments.h"
#include "provisioning/guess_guard.h"
#include "provisioning/latencies.h"
#include "provisioning/operator.h"
#include "provisioning/registrar.h"
#include "provisioning/remote_saga.h"
#include "provisioning/throttle.h"
#include "provisioning/trace.h"
#include "resources/api.h"
#include "security/secrets.h"

namespace doppel::provisioning {

class Provisioning {
 public:
  // All outlive the object.
  struct Deps {
    store::Store& store;
    const Clock& clock;
    Random& random;  // any thread may call it
    const security::SecretBox& box;
    Registrar::CatalogSource catalog;
    hub::Hubs& hubs;
    functions::Functions& functions;
    WebhookClient& webhooks;
    Issuance::EnsureIssuer ensure_issuer;
    RemoteTransport* remote_hubs = nullptr;  // null: linked hubs elsewhere cannot be reached
    GuessLimits guess_limits{};
  };
  explicit Provisioning(Deps deps);

  Registrar& registrar() { return registrar_; }
  const Clock& clock() const { return deps_.clock; }
  Random& random() { return deps_.random; }
  Enrollments& enrollments() { return enrollments_; }
  RemoteSaga& remotes() { return remotes_; }
  Throttle& throttle() { return throttle_; }
  Traces& traces() { return traces_; }
  GuessGuard& guess_guard() { return guess_guard_; }
  Approvals& approvals() { return approvals_; }
  Operator& operator_tools() { return operator_; }

  // Null when there is none of that scope or name.
  Instance find_by_scope(std::string_view id_scope) const;
  Instance find_by_name(std::string_view name) const;
  Instance find_by_host(std::string_view host) const;  // may carry a port

  // For the first start: makes the group if it is not there yet, from the body that a client would
  // PUT. Errors: not_found (instance), those of Enrollments::put.
  Task<Status> ensure_enrollment_group(std::string instance, std::string group, json::Object body);

  // For Resources::on_deleted: forgets everything of an instance that is gone.
  Task<Status> purge(resources::DeletedResource gone);

  // Begins the work in the background: undoes what a crash left in hubs elsewhere, removes what
  // devices left there, measures how far they are. `home` outlives stop().
  void start(Executor& home);
  // Refuses new registrations, cancels webhooks, ends when nothing runs any more.
  Task<void> stop();

 private:
  Deps deps_;
  EnrollmentCodec codec_;
  Throttle throttle_;
  RemoteSaga remotes_;
  Latencies latencies_;
  Traces traces_;
  GuessGuard guess_guard_;
  Registrar registrar_;
  Approvals approvals_;
  Enrollments enrollments_;
  Operator operator_;
};

}  // namespace doppel::provisioning
