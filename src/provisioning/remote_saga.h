// Identities in hubs elsewhere, made and removed so that none is ever left behind.
//
// What a remote hub does cannot be part of our commit. So before the first call that changes
// anything there, a record says what is about to be made (`making`); the commit that writes the
// registration record erases it. A record that nobody finishes - the commit failed, the process
// died - turns into `removing`: the identity is deleted over there if it is the one we made, and
// only then the record goes. The same records remove the identity that a device leaves behind when
// it moves.
//
//   {"dps-remote", <instance>, <hub's host name>, <device ID>}     sealed JSON; a PendingIdentity
//
// Which identity is ours: a new one carries the record's marker in its statusReason until somebody
// writes another; one that is to be left behind is known by its generation. Deletes and updates
// name the etag, so of two that meet one sees that the other was faster, and looks again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "provisioning/background.h"
#include "provisioning/remote_hub.h"
#include "resources/catalog.h"
#include "security/secrets.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::provisioning {

// A registration with a remote hub in it ends within this; .NET over AMQP gives up at 60 s.
inline constexpr Duration kRemoteWhole = std::chrono::seconds(50);
// Between two tries of one registration; doubled each time, as long as the whole allows.
inline constexpr Duration kRemoteFirstBackOff = std::chrono::milliseconds(250);
inline constexpr int kRemoteTriesMax = 6;
// Between two tries of removing what was left; doubled each time.
inline constexpr Duration kRemovalFirstBackOff = std::chrono::seconds(1);
inline constexpr Duration kRemovalBackOffMax = std::chrono::minutes(5);
// What cannot be removed because its hub is not linked any more is given up, and logged, then.
inline constexpr Duration kRemovalGivenUpAfter = std::chrono::hours(24);
inline constexpr std::size_t kPendingPerScan = 200;

// Where an identity is in a remote hub.
struct RemotePlace {
  std::string instance;  // of DPS
  std::string hub;       // remote_name() of the linked hub
  DeviceId device;
  bool operator==(const RemotePlace&) const = default;
};
std::string pending_key(const RemotePlace& place);
std::string pending_prefix();

struct PendingIdentity {
  enum class State : std::uint8_t { making, removing };
  State state = State::making;
  RemotePlace place;
  std::string operation;        // the registration that makes it
  bool is_ours_to_undo = true;  // making: it was not there before
  std::string marker;           // of what is made; empty: none
  GenerationId generation;      // of what is left behind; empty: none
  RemoteAddress address;        // as the hub was linked when this was written
  int tries = 0;                // removals that failed
  TimePoint since{};
  TimePoint not_before{};
};

// Any thread.
class RemoteSaga {
 public:
  struct Deps {
    store::Store& store;
    const Clock& clock;
    Random& random;
    const security::SecretBox& box;
    std::function<std::shared_ptr<const resources::Catalog>()> catalog;
    RemoteTransport& transport;
  };
  explicit RemoteSaga(Deps deps) : deps_(std::move(deps)) {}

  // ---- For a registration. `linked` is the hub; `until` the end of the time it has. ----

  struct Request {
    RemotePlace place;
    RemoteAddress address;
    std::string operation;
    SteadyTime until;
    std::stop_token stop;
  };
  // Reads only. Errors: those of RemoteHub; unavailable was tried several times.
  Task<Result<std::optional<RemoteIdentity>>> find(Request request) const;
  Task<Result<std::optional<hub::DeviceTwin>>> find_twin(Request request) const;

  // Records the intent and makes the identity as `wanted` says, `existing` being what find() said.
  // Afterwards the record stands until stage_done() is committed or give_up() is called, which
  // the caller owes whatever this returns. Errors: those of RemoteHub, unavailable also when
  // another registration makes the same identity now; those of the store.
  Task<Result<RemoteIdentity>> make(Request request, hub::EnsureIdentity wanted,
                                    std::optional<RemoteIdentity> existing);

  enum class Pending : std::uint8_t { none, mine, other };
  // What is recorded about the place; the commit of `tx` depends on it.
  Task<Result<Pending>> pending(store::Transaction& tx, RemotePlace place, std::string operation);
  // The commit that makes the registration true erases the intent.
  void stage_done(store::Transaction& tx, const RemotePlace& place) const;
  // The commit that moves the device away records what must be removed.
  Task<Status> stage_removal(store::Transaction& tx, RemotePlace place, RemoteAddress address,
                             GenerationId generation);

  // The registration has come to its end: whatever of it was made and is not committed is undone,
  // now if `tries_now` and the hub answers, else in the background.
  Task<void> give_up(RemotePlace place, std::string operation, bool tries_now);

  // ---- In the background. ----

  // One pass: undoes what nobody works on, tries the removals that are due. Returns how long to
  // wait for the next.
  Task<Duration> clean();
  // Passes on `home` until stop(); what a crash left is undone first.
  void start(Executor& home);
  void wake() { background_.wake(); }
  Task<void> stop() { return background_.stop(); }

 private:
  RemoteHub hub(const RemoteAddress& address, std::stop_token stop) const;
  std::optional<RemoteAddress> current_address(const RemotePlace& place) const;
  Task<Result<std::optional<PendingIdentity>>> read(store::Transaction& tx, std::string key) const;
  void write(store::Transaction& tx, const PendingIdentity& pending) const;
  Result<PendingIdentity> decode(const std::string& key, const std::string& stored) const;

  struct Intent {
    PendingIdentity pending;
    bool takes_over = false;  // an identity that another record was to remove: gets our marker
  };
  Task<Result<Intent>> begin(Request request, std::optional<RemoteIdentity> existing);
  Task<Result<Intent>> begin_in(store::Transaction& tx, Request request,
                                std::optional<RemoteIdentity> existing) const;
  Task<Result<RemoteIdentity>> make_once(Request request, hub::EnsureIdentity wanted, Intent intent,
                                         std::optional<RemoteIdentity> existing) const;
  // Turns an abandoned intent into a removal, or forgets it. True: something is to be removed.
  Task<Result<bool>> abandon(std::string key, std::string operation);
  // One try; afterwards the record is gone, or due again later.
  Task<Status> remove(std::string key);
  Task<Status> settle(std::string key, std::string seen, PendingIdentity pending, Status removed);
  Task<Status> remove_over_there(const PendingIdentity& pending, RemoteAddress address) const;
  bool is_active(const std::string& key) const;
  bool claim(const std::string& key, const std::string& operation);
  void release(const std::string& key, const std::string& operation);

  Deps deps_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> active_;  // operations that run here, by the key they make
  Background background_;
};

}  // namespace doppel::provisioning
