#include "provisioning/trace.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/time_text.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kUsualSteps = 12;
constexpr std::size_t kPruneMin = 256;  // attempts
constexpr std::size_t kProvenPool = 0, kKnownPool = 1, kUnknownPool = 2;

std::size_t pool_of(const AttemptRecord& attempt) {
  if (attempt.is_proven) return kProvenPool;
  return attempt.is_known ? kKnownPool : kUnknownPool;
}

// Near enough to what the allocator gives away.
std::size_t bytes_of(const AttemptRecord& a) {
  std::size_t bytes = sizeof(AttemptRecord) + 2 * a.registration_id.size() + 2 * a.instance.size() +
                      a.tracking_id.size() + a.peer.size() + a.api_version.size() +
                      a.operation_id.size() + a.enrollment.size() + a.hub.size() +
                      a.device_id.size() + (a.end ? a.end->message.size() : 0) + 200;
  for (const TraceStep& step : a.steps) bytes += sizeof(TraceStep) + step.detail.size();
  return bytes;
}

// Texts may hold what a peer sent; no control characters get into a terminal from here.
std::string tamed(std::string text) {
  if (text.size() > kTraceDetailMax) {
    text.resize(kTraceDetailMax);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) {
      text.pop_back();
    }
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
    text += "...";
  }
  const bool is_text = is_valid_utf8(text);
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7f) c = ' ';
    if (byte > 0x7f && !is_text) c = '?';
  }
  return text;
}

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

json::Value number(double value) {
  return json::parse(fmt::format("{:.3f}", value)).value_or(json::Value(0));
}

}  // namespace

struct Trail::Attempt {
  Attempt(const Clock& c, Traces* o) : clock(c), owner(o), begun(c.steady()) {}

  const Clock& clock;
  Traces* const owner;  // null: nobody keeps it
  const SteadyTime begun;
  mutable std::mutex mutex;
  AttemptRecord record;
};

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::noted:
      return "noted";
    case Verdict::passed:
      return "passed";
    case Verdict::refused:
      return "refused";
    case Verdict::skipped:
      return "skipped";
  }
  return "noted";
}

json::Object to_json(const AttemptRecord& a) {
  json::Object out;
  out["number"] = static_cast<std::int64_t>(a.number);
  out["registrationId"] = a.registration_id;
  out["begunUtc"] = to_iso8601(a.begun);
  out["tookMs"] = number(milliseconds(a.took));
  out["call"] = a.call;
  out["transport"] = a.transport;
  if (!a.peer.empty()) out["peer"] = a.peer;
  if (!a.api_version.empty()) out["apiVersion"] = a.api_version;
  out["trackingId"] = a.tracking_id;
  out["isProven"] = a.is_proven;
  if (!a.operation_id.empty()) out["operationId"] = a.operation_id;
  if (!a.enrollment.empty()) out["enrollment"] = a.enrollment;
  if (!a.hub.empty()) out["assignedHub"] = a.hub;
  if (!a.device_id.empty()) out["deviceId"] = a.device_id;
  if (a.commit_version != 0) out["commitVersion"] = static_cast<std::int64_t>(a.commit_version);
  out["outcome"] = a.end ? a.end->outcome : "running";
  if (a.end && a.end->error_code != 0) out["errorCode"] = a.end->error_code;
  if (a.end && !a.end->message.empty()) out["message"] = a.end->message;
  json::Array steps;
  for (const TraceStep& step : a.steps) {
    steps.push_back(json::Object{{"atMs", number(milliseconds(step.at))},
                                 {"step", step.name},
                                 {"verdict", to_string(step.verdict)},
                                 {"detail", step.detail}});
  }
  out["steps"] = std::move(steps);
  if (a.steps_left_out > 0) out["stepsLeftOut"] = static_cast<std::int64_t>(a.steps_left_out);
  return out;
}

// ---- Trail ----

void Trail::add(std::string_view name, Verdict verdict, std::string detail) const {
  const Duration at = attempt_->clock.steady() - attempt_->begun;
  detail = tamed(std::move(detail));
  const std::lock_guard lock(attempt_->mutex);
  AttemptRecord& record = attempt_->record;
  if (record.end) return;
  if (record.steps.size() >= kTraceStepsMax) {
    ++record.steps_left_out;
    return;
  }
  record.steps.push_back({.name = name, .verdict = verdict, .detail = std::move(detail), .at = at});
}

void Trail::set_proven(std::string_view enrollment) const {
  if (!attempt_) return;
  const std::lock_guard lock(attempt_->mutex);
  if (attempt_->record.end) return;
  attempt_->record.is_proven = true;
  attempt_->record.enrollment = enrollment;
}

void Trail::set_known() const {
  if (!attempt_) return;
  const std::lock_guard lock(attempt_->mutex);
  if (attempt_->record.end) return;
  attempt_->record.is_known = true;
}

void Trail::set_operation(std::string_view id) const {
  if (!attempt_) return;
  const std::lock_guard lock(attempt_->mutex);
  if (attempt_->record.end) return;
  attempt_->record.operation_id = id;
}

void Trail::set_assignment(std::string_view hub, std::string_view device_id,
                           std::uint64_t commit_version) const {
  if (!attempt_) return;
  const std::lock_guard lock(attempt_->mutex);
  if (attempt_->record.end) return;
  attempt_->record.hub = hub;
  attempt_->record.device_id = device_id;
  attempt_->record.commit_version = commit_version;
}

void Trail::finish(std::string_view outcome, std::int64_t error_code, std::string message) const {
  if (!attempt_) return;
  {
    const std::lock_guard lock(attempt_->mutex);
    if (attempt_->record.end) return;
    attempt_->record.took = attempt_->clock.steady() - attempt_->begun;
    attempt_->record.end = TraceEnd{
        .outcome = outcome, .error_code = error_code, .message = tamed(std::move(message))};
    attempt_->record.steps.shrink_to_fit();
  }
  if (attempt_->owner != nullptr) attempt_->owner->keep(attempt_);
}

AttemptRecord Trail::record() const {
  if (!attempt_) return {};
  const std::lock_guard lock(attempt_->mutex);
  AttemptRecord copy = attempt_->record;
  if (!copy.end) copy.took = attempt_->clock.steady() - attempt_->begun;
  return copy;
}

// ---- Traces ----

Traces::Traces(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {
  pools_[kProvenPool].bytes_max = limits.bytes_max / 2;
  pools_[kKnownPool].bytes_max = limits.bytes_max / 4;
  pools_[kUnknownPool].bytes_max = limits.bytes_max / 4;
}

std::string Traces::key_of(std::string_view instance, std::string_view registration_id) {
  return fmt::format("{}/{}", to_lower(instance), to_lower(registration_id));
}

void Traces::fill(AttemptRecord& record, const Start& start) const {
  record.instance = start.instance;
  record.registration_id = tamed(std::string(start.registration_id));
  record.tracking_id = start.tracking_id;
  record.call = start.call;
  record.transport = start.transport;
  record.peer = start.peer;
  record.api_version = tamed(std::string(start.api_version));
  record.begun = clock_.now();
  record.steps.reserve(kUsualSteps);
}

Trail Traces::begin_private(const Start& start) const {
  Trail trail;
  trail.attempt_ = std::make_shared<Trail::Attempt>(clock_, nullptr);
  fill(trail.attempt_->record, start);
  return trail;
}

Trail Traces::begin(const Start& start) {
  Trail kept;
  kept.attempt_ = std::make_shared<Trail::Attempt>(clock_, this);
  fill(kept.attempt_->record, start);
  const std::lock_guard lock(mutex_);
  // Those whose work ended without an end (an exception, a connection that is gone).
  if (running_.size() >= prune_at_) {
    std::erase_if(running_, [](const auto& item) { return item.second.expired(); });
    prune_at_ = std::max(kPruneMin, 2 * running_.size());
  }
  kept.attempt_->record.number = ++last_number_;
  running_.emplace(last_number_, kept.attempt_);
  return kept;
}

void Traces::Pool::erase(std::list<Slot>::iterator at) {
  const auto found = by_key.find(at->key);
  std::erase(found->second, at);
  if (found->second.empty()) by_key.erase(found);
  bytes -= at->bytes;
  slots.erase(at);
}

void Traces::Pool::add(Slot slot, std::size_t per_id_max) {
  if (const auto found = by_key.find(slot.key);
      found != by_key.end() && found->second.size() >= per_id_max) {
    erase(found->second.front());
  }
  bytes += slot.bytes;
  slots.push_back(std::move(slot));
  by_key[slots.back().key].push_back(std::prev(slots.end()));
  while (bytes > bytes_max && !slots.empty()) erase(slots.begin());
}

void Traces::keep(const Kept& attempt) {
  // Nobody changes a finished attempt, so it is read without its lock.
  const AttemptRecord& record = attempt->record;
  Slot slot{.key = key_of(record.instance, record.registration_id),
            .attempt = attempt,
            .bytes = bytes_of(record)};
  const std::lock_guard lock(mutex_);
  running_.erase(record.number);
  pools_[pool_of(record)].add(std::move(slot), limits_.per_id_max);
}

std::vector<AttemptRecord> Traces::find(std::string_view instance, std::string_view registration_id,
                                        std::uint64_t after, std::size_t items_max) const {
  std::vector<Kept> found;
  {
    const std::lock_guard lock(mutex_);
    const auto add = [&](const Kept& attempt) {
      if (attempt && attempt->record.number > after) found.push_back(attempt);
    };
    const std::string prefix = key_of(instance, registration_id);
    for (const Pool& pool : pools_) {
      if (registration_id.empty()) {
        for (const Slot& slot : pool.slots) {
          if (slot.key.starts_with(prefix)) add(slot.attempt);
        }
      } else if (const auto own = pool.by_key.find(prefix); own != pool.by_key.end()) {
        for (const auto& at : own->second) add(at->attempt);
      }
    }
    // Who an attempt is about never changes after begin(), so no lock of its own is needed.
    for (const auto& [number, weak] : running_) {
      const Kept attempt = weak.lock();
      if (!attempt) continue;
      const std::string key = key_of(attempt->record.instance, attempt->record.registration_id);
      if (registration_id.empty() ? key.starts_with(prefix) : key == prefix) add(attempt);
    }
  }
  std::ranges::sort(found, {}, [](const Kept& attempt) { return attempt->record.number; });
  if (found.size() > items_max)
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(items_max));
  std::vector<AttemptRecord> records;
  records.reserve(found.size());
  for (const Kept& attempt : found) {
    Trail trail;
    trail.attempt_ = attempt;
    records.push_back(trail.record());
  }
  return records;
}

void Traces::forget(std::string_view instance) {
  const std::string prefix = key_of(instance, "");
  const std::lock_guard lock(mutex_);
  for (Pool& pool : pools_) {
    for (auto at = pool.slots.begin(); at != pool.slots.end();) {
      const auto next = std::next(at);
      if (at->key.starts_with(prefix)) pool.erase(at);
      at = next;
    }
  }
}

std::size_t Traces::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = 0;
  for (const Pool& pool : pools_) bytes += pool.bytes;
  return bytes;
}

std::size_t Traces::count() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const Pool& pool : pools_) count += pool.slots.size();
  return count;
}

}  // namespace doppel::provisioning
