#include <fmt/format.h>

#include "errors/dps.h"
#include "provisioning/allocation.h"
#include "provisioning/twin_text.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kExcerptMax = 200;  // bytes of a refusal's body that the device is told

std::unexpected<Error> failed(std::string text) {
  return fail(errors::dps::kAllocationFailed, "Custom allocation failed" + std::move(text));
}

// The begin of `body`, fit for a JSON text whatever the function sent. Node's MQTT client reads
// error texts as ASCII anyway.
std::string excerpt(std::string_view body) {
  std::string text(body.substr(0, kExcerptMax));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = c == '\n' || c == '\r' || c == '\t' ? ' ' : '?';
  }
  return text;
}

bool may_pass_next_time(const Result<WebhookReply>& reply) {
  if (reply) return reply->status == 502 || reply->status == 503 || reply->status == 504;
  return reply.error().code == Code::unavailable || reply.error().code == Code::timeout;
}

void note_reply(const Trail& trail, const Result<WebhookReply>& reply, Duration took) {
  if (!trail) return;
  const auto ms = std::chrono::duration<double, std::milli>(took).count();
  if (!reply) {
    trail.note("webhook", Verdict::refused, "no answer after {:.1f} ms: {}", ms,
               reply.error().message);
    return;
  }
  trail.note("webhook", reply->status == 200 ? Verdict::passed : Verdict::refused,
             "status {} after {:.1f} ms, {} bytes: {}", reply->status, ms, reply->body.size(),
             excerpt(reply->body));
}

}  // namespace

Result<functions::AllocationAnswer> read_allocation_answer(std::string_view body) {
  auto document = json::parse(body);
  if (!document) return failed(": the answer is not JSON: " + document.error().message);
  if (!document->is_object()) return failed(": the answer is not a JSON object");
  functions::AllocationAnswer answer;
  // The documentation spells it both ways. Left out, the built-in policy chooses: our extension,
  // like deviceId.
  const json::Value* host = json::find_ignoring_case(*document, "iotHubHostName");
  if (host != nullptr && !host->is_null()) {
    if (!json::is_string(*host) || host->get_string().empty()) {
      return failed(": the answer's iotHubHostName is no host name");
    }
    answer.hub_host_name = json::view(host->get_string());
  }
  const json::Value* device = json::find_ignoring_case(*document, "deviceId");
  if (device != nullptr && !device->is_null()) {
    if (!json::is_string(*device) || !is_valid_device_id(json::view(device->get_string()))) {
      return failed(": the answer's deviceId is not one that IoT Hub takes");
    }
    answer.device_id = DeviceId(json::view(device->get_string()));
  }
  const json::Value* twin = json::find_ignoring_case(*document, "initialTwin");
  if (twin != nullptr && !twin->is_null()) {
    auto read = read_twin(*twin);
    if (!read) return failed(": the answer's initialTwin: " + read.error().message);
    answer.initial_twin = *std::move(read);
  }
  const json::Value* payload = json::find_ignoring_case(*document, "payload");
  if (payload != nullptr && !payload->is_null()) answer.payload = *payload;
  return answer;
}

Task<Result<functions::AllocationAnswer>> call_webhook(WebhookClient& client, const Clock& clock,
                                                       std::string url, std::string body,
                                                       std::stop_token stop, Trail trail) {
  trail.note("webhook", Verdict::noted, "POST {} with {} bytes", masked_url(url), body.size());
  const auto end = clock.steady() + kWebhookWhole;
  auto begun = clock.steady();
  auto reply = co_await client.post(url, body, kWebhookTimeouts, stop);
  note_reply(trail, reply, clock.steady() - begun);
  const Duration left = end - clock.steady();
  if (may_pass_next_time(reply) && left > kWebhookTimeouts.connect) {
    const WebhookTimeouts shorter{kWebhookTimeouts.connect, std::min(kWebhookTimeouts.total, left)};
    trail.note("webhook", Verdict::noted, "POST once more");
    begun = clock.steady();
    reply = co_await client.post(url, body, shorter, stop);
    note_reply(trail, reply, clock.steady() - begun);
  }
  if (!reply) {
    if (reply.error().code == Code::cancelled) co_return fail(std::move(reply.error()));
    co_return failed(fmt::format(": {}", reply.error().message));
  }
  if (reply->status != 200) {
    co_return failed(fmt::format(" with status code: {}{}{}", reply->status,
                                 reply->body.empty() ? "" : ": ", excerpt(reply->body)));
  }
  co_return read_allocation_answer(reply->body);
}

}  // namespace doppel::provisioning
