// What happened to a device that tried to provision, step by step: who it claimed to be, which
// enrollment took it and why the others did not, what the allocation said, what was committed. The
// device is told one opaque 401; the operator reads here.
//
// Whoever works on an attempt holds a Trail and notes steps as they happen. A Trail that leads
// nowhere (the default) costs a test of a pointer. Traces are kept in memory only, bounded, oldest
// out first; nothing is formatted as JSON before somebody asks. No secret may be noted: no token,
// no key, no query of a webhook's URL.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "json/value.h"

namespace doppel::provisioning {

inline constexpr std::size_t kTraceStepsMax = 64;        // of one attempt; the rest is counted
inline constexpr std::size_t kTraceDetailMax = 600;      // bytes of one step's text
inline constexpr std::size_t kTracesPerIdMax = 10;       // attempts of one ID in one pool
inline constexpr std::size_t kTraceBytesMax = 16 << 20;  // of all pools together, about
inline constexpr std::size_t kTracesListedMax = 1000;    // attempts in one answer

enum class Verdict : std::uint8_t {
  noted,    // a fact
  passed,   // a check that the attempt stood
  refused,  // a check that it did not stand
  skipped,  // something that was considered and left aside
};
std::string_view to_string(Verdict verdict);

struct TraceStep {
  std::string_view name;  // static text: "proof", "enrollment", "webhook"
  Verdict verdict = Verdict::noted;
  std::string detail;
  Duration at{};  // since the attempt began
};

// How an attempt ended.
struct TraceEnd {
  std::string_view outcome;  // static: assigned, failed, disabled, waiting, refused, joined, error
  std::int64_t error_code = 0;
  std::string message;
};

// One register call, or a refused call of another kind. A plain value.
struct AttemptRecord {
  std::uint64_t number = 0;  // grows with every attempt since the server started
  std::string instance;
  std::string registration_id;
  std::string tracking_id;
  std::string_view call;  // static: "register", "poll", "look-up", "explain"
  std::string_view transport;
  std::string peer;
  std::string api_version;
  TimePoint begun{};
  Duration took{};  // so far, while it runs
  bool is_proven = false;
  bool is_known = false;  // the ID has an enrollment or a registration of its own
  std::string operation_id;
  std::string enrollment;
  std::string hub;
  std::string device_id;
  std::uint64_t commit_version = 0;  // 0: nothing was written
  std::vector<TraceStep> steps;
  std::size_t steps_left_out = 0;
  std::optional<TraceEnd> end;  // nothing: it runs
};

// As the API shows it.
json::Object to_json(const AttemptRecord& attempt);

class Traces;

// A handle on one attempt. Copies lead to the same attempt; any thread, one at a time for sensible
// order. Outlives neither its Traces nor the process.
class Trail {
 public:
  Trail() = default;

  explicit operator bool() const { return attempt_ != nullptr; }

  // `name` is static text. Formats only when somebody keeps it.
  template <class... Args>
  void note(std::string_view name, Verdict verdict, fmt::format_string<Args...> text,
            Args&&... args) const {
    if (attempt_) add(name, verdict, fmt::format(text, std::forward<Args>(args)...));
  }

  void set_proven(std::string_view enrollment) const;
  void set_known() const;
  void set_operation(std::string_view id) const;
  void set_assignment(std::string_view hub, std::string_view device_id,
                      std::uint64_t commit_version) const;
  // The first end counts.
  void finish(std::string_view outcome, std::int64_t error_code = 0,
              std::string message = {}) const;

  // What was noted so far; a default one of a Trail that leads nowhere.
  AttemptRecord record() const;

 private:
  friend class Traces;
  struct Attempt;
  void add(std::string_view name, Verdict verdict, std::string detail) const;

  std::shared_ptr<Attempt> attempt_;
};

// The attempts of all instances. Any thread.
//
// There are three pools of fixed size: attempts that proved themselves; refused ones of IDs that
// the service knows; refused ones of IDs that nobody knows. So whoever guesses IDs pushes out the
// traces of guesses only, and whoever guesses at a known ID neither those of others' proofs nor,
// beyond kTracesPerIdMax, anybody's.
class Traces {
 public:
  struct Limits {
    std::size_t bytes_max = kTraceBytesMax;
    std::size_t per_id_max = kTracesPerIdMax;
  };
  explicit Traces(const Clock& clock) : Traces(clock, Limits{}) {}
  Traces(const Clock& clock, Limits limits);

  struct Start {
    std::string_view instance;
    std::string_view registration_id;
    std::string_view tracking_id;
    std::string_view call;       // static
    std::string_view transport;  // static
    std::string_view peer;
    std::string_view api_version;
  };
  Trail begin(const Start& start);
  // A trail that nobody else sees, for a dry run: not kept.
  Trail begin_private(const Start& start) const;

  // Attempts with a number above `after`, oldest first, running ones included; the newest
  // `items_max` of them. An empty ID: of all.
  std::vector<AttemptRecord> find(std::string_view instance, std::string_view registration_id,
                                  std::uint64_t after, std::size_t items_max) const;
  // For an instance that is gone.
  void forget(std::string_view instance);

  std::size_t bytes() const;
  std::size_t count() const;

 private:
  friend class Trail;
  using Kept = std::shared_ptr<Trail::Attempt>;
  struct Slot {
    std::string key;
    Kept attempt;
    std::size_t bytes = 0;
  };
  struct Pool {
    std::size_t bytes_max = 0;
    std::size_t bytes = 0;
    std::list<Slot> slots;  // oldest first
    std::unordered_map<std::string, std::vector<std::list<Slot>::iterator>> by_key;

    void add(Slot slot, std::size_t per_id_max);
    void erase(std::list<Slot>::iterator at);
  };
  void fill(AttemptRecord& record, const Start& start) const;
  void keep(const Kept& attempt);
  static std::string key_of(std::string_view instance, std::string_view registration_id);

  const Clock& clock_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::uint64_t last_number_ = 0;
  std::size_t prune_at_ = 256;  // running attempts, beyond which abandoned ones are looked for
  std::unordered_map<std::uint64_t, std::weak_ptr<Trail::Attempt>> running_;
  std::array<Pool, 3> pools_;
};

}  // namespace doppel::provisioning
