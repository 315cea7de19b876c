// Choosing a hub: the policies, and what custom allocation asks and answers (dps.md section 4).
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "functions/api.h"
#include "json/value.h"
#include "provisioning/enrollment.h"
#include "provisioning/registration.h"
#include "provisioning/trace.h"
#include "resources/catalog.h"

namespace doppel::provisioning {

// ---- An outside function, called over HTTP. ----

struct WebhookTimeouts {
  Duration connect;
  Duration total;
};
// Ours: Microsoft documents none. The .NET AMQP client gives the whole registration 60 s, so two
// attempts must end before 50.
inline constexpr WebhookTimeouts kWebhookTimeouts{std::chrono::seconds(5),
                                                  std::chrono::seconds(30)};
inline constexpr Duration kWebhookWhole = std::chrono::seconds(48);
inline constexpr std::size_t kWebhookReplyMax = 1024 * 1024;  // bytes of body

struct WebhookReply {
  int status = 0;
  std::string body;
};

// What the server lends: a POST of JSON to a URL, with certificate checks as any HTTPS client.
class WebhookClient {
 public:
  virtual ~WebhookClient() = default;
  // Sends `Content-Type: application/json; charset=utf-8`; reads at most kWebhookReplyMax bytes.
  // Errors: unavailable (no connection), timeout, too_large, cancelled, bad_gateway (not HTTP).
  virtual Task<Result<WebhookReply>> post(std::string url, std::string body,
                                          WebhookTimeouts timeouts, std::stop_token stop) = 0;
};

// Calls the webhook, once more on connect errors, time-outs, 502, 503 and 504 (it may have effects,
// so nothing else is repeated), and reads the answer. Errors: AllocationFailed with what the device
// and the operator shall read; cancelled. Each call is a step of `trail`.
Task<Result<functions::AllocationAnswer>> call_webhook(WebhookClient& client, const Clock& clock,
                                                       std::string url, std::string body,
                                                       std::stop_token stop, Trail trail = {});

// The URL as people and functions may see it: its query holds the function's key.
std::string masked_url(std::string_view url);

// Reads the body of an answer with status 200. Errors: AllocationFailed.
Result<functions::AllocationAnswer> read_allocation_answer(std::string_view body);

// ---- The request, for webhooks and built-in functions alike. `proof` is how the device proved
// itself, as deviceRuntimeContext tells it (Proven::runtime_context). ----
json::Object allocation_request(const Enrollment& enrollment, const RegistrationId& id,
                                const json::Object& proof, const Registration* current,
                                const std::optional<json::Value>& payload,
                                const std::vector<const resources::LinkedHub*>& hubs);

// ---- The built-in policies. ----

AllocationPolicy effective_policy(const Enrollment& enrollment, const resources::Dps& dps);

// The linked hubs that may take a device of the enrollment: those it names, or all, without those
// that allocation shall not use. `static` takes the hub it names anyway.
std::vector<const resources::LinkedHub*> candidates(const Enrollment& enrollment,
                                                    const resources::Dps& dps);

// Weighted rendezvous hashing: a device keeps its hub while the hub stays, and adding a hub moves
// only the devices that the new one wins. Null when `hubs` is empty.
const resources::LinkedHub* choose_by_hash(const std::vector<const resources::LinkedHub*>& hubs,
                                           std::string_view registration_id);

// What is called `hub` in hashes, measurements and the records of remote hubs: the resource's name,
// else the host name in lower case. Public names may change, an assignment should not.
std::string label_of(const resources::LinkedHub& hub);

// Of the linked hubs whose link gives no latencyMs; nothing when there is no measurement yet.
using MeasuredLatency = std::function<std::optional<Duration>(const resources::LinkedHub& hub)>;

// How near a hub is: as its link says, else nothing for a hub of this server, else as measured.
Duration latency_of(const resources::LinkedHub& hub, const MeasuredLatency& measured);

// static, hashed and geoLatency: the nearest hub, those equally near by weighted hash
// (docs/concepts/provisioning.md). A custom policy whose function leaves the choice to us takes the
// instance's. Errors: NoHub.
Result<const resources::LinkedHub*> choose_hub(const Enrollment& enrollment,
                                               const resources::Dps& dps,
                                               std::string_view registration_id,
                                               const MeasuredLatency& measured = {});

}  // namespace doppel::provisioning
