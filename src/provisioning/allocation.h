// Choosing a hub: the policies, and what custom allocation asks and answers (dps.md section 4).
#pragma once

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
// and the operator shall read; cancelled.
Task<Result<functions::AllocationAnswer>> call_webhook(WebhookClient& client, const Clock& clock,
                                                       std::string url, std::string body,
                                                       std::stop_token stop);

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

// The hubs of this server that may take a device of the enrollment: those it names, or all linked
// ones, without those that allocation shall not use. `static` takes the hub it names anyway.
std::vector<const resources::LinkedHub*> candidates(const Enrollment& enrollment,
                                                    const resources::Dps& dps);

// Weighted rendezvous hashing: a device keeps its hub while the hub stays, and adding a hub moves
// only the devices that the new one wins. Null when `hubs` is empty.
const resources::LinkedHub* choose_by_hash(const std::vector<const resources::LinkedHub*>& hubs,
                                           std::string_view registration_id);

// static, hashed and geoLatency, which has no distances to measure here and is hashed
// (docs/concepts/provisioning.md). Errors: NoHub.
Result<const resources::LinkedHub*> choose_hub(const Enrollment& enrollment,
                                               const resources::Dps& dps,
                                               std::string_view registration_id);

}  // namespace doppel::provisioning
