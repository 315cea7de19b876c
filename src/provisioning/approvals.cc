#include "provisioning/approvals.h"

#include <charconv>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {
namespace {

constexpr std::int64_t kFormat = 1;

std::int64_t nanos(TimePoint time) { return time.time_since_epoch().count(); }

TimePoint read_time(const json::Value& stored, std::string_view name) {
  const json::Value* member = json::find(stored, name);
  return TimePoint(Duration(member != nullptr ? json::to_int64(*member).value_or(0) : 0));
}

// Approvals are counted; the counter also makes two requests at once take turns.
Task<Status> count(store::Transaction& tx, std::string instance, int change) {
  auto key = approval_count_key(instance);
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  std::int64_t waiting = 0;
  if (*stored) {
    std::from_chars((*stored)->data(), (*stored)->data() + (*stored)->size(), waiting);
  }
  waiting += change;
  if (change > 0 && waiting > static_cast<std::int64_t>(kApprovalsMax)) {
    co_return fail(errors::dps::kThrottled, "too many devices wait for approval");
  }
  tx.put(std::move(key), std::to_string(std::max<std::int64_t>(waiting, 0)));
  co_return Status();
}

Task<Result<std::optional<Approval>>> read(store::Transaction& tx, std::string key) {
  auto stored = co_await tx.get(std::move(key));
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return std::nullopt;
  auto approval = decode_approval(**stored);
  if (!approval) co_return fail(std::move(approval.error()));
  co_return *std::move(approval);
}

Task<Result<ApprovalState>> ask_in(store::Transaction& tx,
                                   std::shared_ptr<const ApprovalRequest> request) {
  const Approval& wanted = request->wanted;
  const std::string& instance = request->instance->name;
  auto key = approval_key(instance, wanted.id.view());
  auto known = co_await read(tx, key);
  if (!known) co_return fail(std::move(known.error()));
  // What was decided was decided about a device of that group.
  if (*known && equal_ignoring_case((*known)->group, wanted.group)) co_return (*known)->state;
  if (wanted.payload && json::write(*wanted.payload).size() > kApprovalPayloadMax) {
    co_return fail(errors::dps::kTooLarge,
                   fmt::format("a payload of more than {} bytes cannot wait for approval",
                               kApprovalPayloadMax));
  }
  if (!*known) {
    auto counted = co_await count(tx, instance, +1);
    if (!counted) co_return fail(std::move(counted.error()));
  }
  tx.put(std::move(key), encode(wanted));
  co_return ApprovalState::pending;
}

struct Decision {
  Instance instance;
  std::string id;
  ApprovalState state;
  std::string by;
  TimePoint now;
};

Task<Result<Approval>> decide_in(store::Transaction& tx, std::shared_ptr<const Decision> decision) {
  auto key = approval_key(decision->instance->name, decision->id);
  auto known = co_await read(tx, key);
  if (!known) co_return fail(std::move(known.error()));
  if (!*known) {
    co_return fail(errors::dps::kRegistrationNotFound,
                   "no device of that registration ID waits for approval");
  }
  Approval decided = **std::move(known);
  if (decided.state == decision->state) co_return decided;
  decided.state = decision->state;
  decided.decided = decision->now;
  decided.decided_by = decision->by;
  tx.put(std::move(key), encode(decided));
  co_return decided;
}

}  // namespace

std::string_view to_string(ApprovalState state) {
  switch (state) {
    case ApprovalState::pending:
      return "pending";
    case ApprovalState::approved:
      return "approved";
    case ApprovalState::rejected:
      return "rejected";
  }
  return "";
}

std::optional<ApprovalState> parse_approval_state(std::string_view text) {
  for (const auto state :
       {ApprovalState::pending, ApprovalState::approved, ApprovalState::rejected}) {
    if (equal_ignoring_case(text, to_string(state))) return state;
  }
  return std::nullopt;
}

std::string encode(const Approval& a) {
  json::Object out;
  out["v"] = kFormat;
  out["id"] = a.id.str();
  out["group"] = a.group;
  out["state"] = to_string(a.state);
  out["api"] = a.api_version;
  out["proof"] = a.proof;
  out["requested"] = nanos(a.requested);
  if (a.state != ApprovalState::pending) {
    out["decided"] = nanos(a.decided);
    out["by"] = a.decided_by;
  }
  if (a.payload) out["payload"] = *a.payload;
  if (!a.csr.empty()) out["csr"] = a.csr;
  return json::write(out);
}

Result<Approval> decode_approval(std::string_view stored) {
  auto parsed = json::parse(stored);
  if (!parsed || !parsed->is_object()) return fail(Code::internal, "an approval cannot be read");
  const json::Value* format = json::find(*parsed, "v");
  if (format == nullptr || json::to_int64(*format) != kFormat) {
    return fail(Code::internal, "an approval has an unknown format");
  }
  const auto text = [&](std::string_view name) { return json::get_string_or(*parsed, name, ""); };
  const auto state = parse_approval_state(text("state"));
  if (!state) return fail(Code::internal, "an approval has an unknown state");
  Approval a;
  a.id = RegistrationId(text("id"));
  a.group = text("group");
  a.state = *state;
  a.api_version = text("api");
  a.proof = text("proof");
  a.requested = read_time(*parsed, "requested");
  a.decided = read_time(*parsed, "decided");
  a.decided_by = text("by");
  a.csr = text("csr");
  if (const json::Value* payload = json::find(*parsed, "payload")) a.payload = *payload;
  return a;
}

json::Object state_json(const Approval& a) {
  json::Object out;
  out["registrationId"] = a.id.str();
  out["createdDateTimeUtc"] = to_iso8601(a.requested);
  out["lastUpdatedDateTimeUtc"] =
      to_iso8601(a.state == ApprovalState::pending ? a.requested : a.decided);
  out["status"] = a.state == ApprovalState::rejected ? "failed" : "assigning";
  json::Object approval{{"state", to_string(a.state)},
                        {"enrollmentGroupId", a.group},
                        {"attestation", a.proof},
                        {"requestedUtc", to_iso8601(a.requested)}};
  if (a.state != ApprovalState::pending) {
    approval["decidedUtc"] = to_iso8601(a.decided);
    approval["decidedBy"] = a.decided_by;
  }
  out["approval"] = std::move(approval);
  if (a.payload) out["payload"] = *a.payload;
  return out;
}

// ---- Parts of a registration ----

Task<Result<ApprovalState>> ask_approval(store::Store& store, ApprovalRequest request) {
  auto shared = std::make_shared<const ApprovalRequest>(std::move(request));
  std::function<Task<Result<ApprovalState>>(store::Transaction&)> body =
      [shared](store::Transaction& tx) { return ask_in(tx, shared); };
  auto state = co_await store::transact<ApprovalState>(store, std::move(body));
  if (!state) co_return fail(std::move(state.error()));
  if (*state == ApprovalState::rejected) co_return fail(errors::dps::kRegistrationRejected);
  co_return *state;
}

Task<Result<bool>> is_approved(store::Transaction& tx, std::string instance, std::string group,
                               std::string id) {
  auto known = co_await read(tx, approval_key(instance, id));
  if (!known) co_return fail(std::move(known.error()));
  co_return known->has_value() &&
      (*known)->state == ApprovalState::approved&& equal_ignoring_case((*known)->group, group);
}

Task<Status> erase_approval(store::Transaction& tx, std::string instance, std::string id) {
  auto key = approval_key(instance, id);
  auto known = co_await tx.get(key);
  if (!known) co_return fail(std::move(known.error()));
  if (!*known) co_return Status();
  tx.erase(std::move(key));
  co_return co_await count(tx, std::move(instance), -1);
}

// ---- For operators ----

Task<Result<std::optional<Approval>>> Approvals::find(Instance instance, std::string id) const {
  auto stored = co_await store_.snapshot()->get(approval_key(instance->name, id));
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return std::nullopt;
  auto approval = decode_approval(**stored);
  if (!approval) co_return fail(std::move(approval.error()));
  co_return *std::move(approval);
}

Task<Result<Page>> Approvals::list(Instance instance, std::optional<ApprovalState> state,
                                   PageRequest request) const {
  constexpr std::size_t kChunk = 256;
  const auto prefix = approvals_prefix(instance->name);
  const auto last = store::after_prefix(prefix);
  std::string from = prefix;
  if (!request.continuation.empty()) {
    const auto after = base64url_decode(request.continuation);
    if (!after || !after->starts_with(prefix)) {
      co_return fail(errors::dps::kBadRequest, "the continuation token is not one of this list");
    }
    from = *after + '\0';
  }
  const std::size_t items_max = std::clamp<std::size_t>(request.items_max, 1, kPageItemsMax);
  const auto snapshot = store_.snapshot();
  Page page;
  std::size_t bytes = 0;
  while (true) {
    auto entries = co_await snapshot->scan(from, last, kChunk);
    if (!entries) co_return fail(std::move(entries.error()));
    for (const store::Entry& entry : *entries) {
      if (page.items.size() >= items_max || bytes >= kPageBytesMax) {
        from.pop_back();  // the key of the last entry looked at
        page.continuation = base64url_encode(from);
        co_return page;
      }
      from = entry.key + '\0';
      auto approval = decode_approval(entry.value);
      if (!approval) co_return fail(std::move(approval.error()));
      if (state && approval->state != *state) continue;
      bytes += entry.value.size();
      page.items.push_back(state_json(*approval));
    }
    if (entries->size() < kChunk) co_return page;
  }
}

Task<Result<Approval>> Approvals::decide(Instance instance, std::string id, ApprovalState decision,
                                         std::string by) {
  auto shared = std::make_shared<const Decision>(
      Decision{std::move(instance), std::move(id), decision, std::move(by), clock_.now()});
  std::function<Task<Result<Approval>>(store::Transaction&)> body =
      [shared](store::Transaction& tx) { return decide_in(tx, shared); };
  auto decided = co_await store::transact<Approval>(store_, std::move(body));
  if (!decided) co_return fail(std::move(decided.error()));
  log::info("provisioning.approval", {{"instance", shared->instance->name},
                                      {"registration_id", decided->id.view()},
                                      {"group", decided->group},
                                      {"state", to_string(decided->state)},
                                      {"by", decided->decided_by}});
  co_return decided;
}

}  // namespace doppel::provisioning
