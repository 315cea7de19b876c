// A linked hub that is not of this server (another Doppel, or Azure's), as provisioning needs it:
// identities and device twins over the hub's service REST API, with the key of the link
// (iot-hub.md section 5). Knows no sockets; whoever composes the server lends them.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "hub/api.h"
#include "json/value.h"
#include "resources/catalog.h"

namespace doppel::provisioning {

struct RemoteTimeouts {
  Duration connect;
  Duration total;
};
// Of one call. A registration makes a handful, and ends within kRegistrationWhole.
inline constexpr RemoteTimeouts kRemoteTimeouts{std::chrono::seconds(5), std::chrono::seconds(10)};
inline constexpr std::size_t kRemoteReplyMax = 1024 * 1024;  // bytes of body
inline constexpr Duration kRemoteTokenLife = std::chrono::hours(1);
inline constexpr std::string_view kHubApiVersion = "2021-04-12";

struct RemoteRequest {
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};
struct RemoteReply {
  int status = 0;
  std::string body;
};

// What the server lends: HTTPS with the system's trust store and the operator's own CA.
class RemoteTransport {
 public:
  virtual ~RemoteTransport() = default;
  // Errors: unavailable (whether the hub acted is unknown), timeout, too_large, cancelled,
  // bad_gateway (not HTTP), throttled.
  virtual Task<Result<RemoteReply>> send(RemoteRequest request, RemoteTimeouts timeouts,
                                         std::stop_token stop) = 0;
  // How long it takes to connect to `authority` ("host:port", 443 without one), once. Errors:
  // unavailable, timeout, unsupported.
  virtual Task<Result<Duration>> connect_time(std::string authority, RemoteTimeouts timeouts,
                                              std::stop_token stop);
};

// An identity as the hub shows it.
struct RemoteIdentity {
  GenerationId generation{};
  std::string etag{};  // without quotes
  std::string status_reason{};
  hub::Authentication authentication{};
  bool iot_edge = false;
  json::Object document{};  // all of it: an update gives back what it does not change

  // As provisioning sees identities of its own hubs.
  hub::Identity identity(const DeviceId& device) const;
};

// How to reach one hub. Plain data; `key` is a secret.
struct RemoteAddress {
  std::string authority;
  std::string key_name;
  std::string key;
};
RemoteAddress address_of(const resources::LinkedHub& linked);
// Where a device is told it lives, and what registration records and keys of the store call the
// hub: its host name in lower case.
std::string remote_name(const resources::LinkedHub& linked);
// Whether the hub is one that this server can put devices into.
bool is_usable(const resources::LinkedHub& linked);

// One hub, for as long as one piece of work. Cheap to make. All outlive it.
//
// Errors of all calls: unavailable (not reached, 429, 5xx, no HTTP: may pass), cancelled, and
// LinkedHubRefused (anything else that the hub says, its text in the message).
class RemoteHub {
 public:
  RemoteHub(RemoteTransport& transport, const Clock& clock, RemoteAddress address,
            std::stop_token stop)
      : transport_(transport),
        clock_(clock),
        address_(std::move(address)),
        stop_(std::move(stop)) {}

  // Nothing when the hub has no such device.
  Task<Result<std::optional<RemoteIdentity>>> find(DeviceId device) const;
  // Create-only; `reason` becomes its statusReason. Errors: already_exists.
  Task<Result<RemoteIdentity>> create(hub::EnsureIdentity wanted, std::string reason) const;
  // Changes what `wanted` says and keeps the rest of `current`. `reason` empty: keeps that, too.
  // Errors: precondition_failed (changed or removed meanwhile).
  Task<Result<RemoteIdentity>> update(RemoteIdentity current, hub::EnsureIdentity wanted,
                                      std::string reason) const;
  // Missing: succeeds. Errors: precondition_failed.
  Task<Status> remove(DeviceId device, std::string etag) const;

  // Tags and desired properties; `reported` is left empty, since no service can write it.
  Task<Result<std::optional<hub::DeviceTwin>>> find_twin(DeviceId device) const;
  // Replaces tags and desired properties.
  Task<Status> replace_twin(DeviceId device, hub::InitialTwin twin) const;

 private:
  Task<Result<RemoteReply>> call(std::string method, std::string path, std::string if_match,
                                 std::string body) const;

  RemoteTransport& transport_;
  const Clock& clock_;
  RemoteAddress address_;
  std::stop_token stop_;
};

// Whether two identities would be proven by the same keys or certificates; thumbprints compare
// without case.
bool same_credentials(const hub::Authentication& a, const hub::Authentication& b);

}  // namespace doppel::provisioning
