#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "events/wire/event_message.h"
#include "events/wire/producers.h"
#include "life.h"
#include "power_cut.h"
#include "protocol/amqp/message.h"
#include "store/contract_testing.h"

namespace doppel::crash {
namespace {

using events::Arrival;
using store::Store;
using store::testing::run_on;

// When producers were last used plays no part here.
constexpr TimePoint kAnyTime{std::chrono::seconds(1'800'000'000)};
// A sender and an idempotent producer on each, so that their events lie between each other.
constexpr std::size_t kPartitions = 2;
constexpr std::uint64_t kDeliveriesBetweenCuts = 1500;  // of each sender
constexpr std::uint64_t kProducedBetweenCuts = 300;     // deliveries of each producer
constexpr std::uint64_t kWindowMax = 32;                // deliveries waiting at once
constexpr std::int64_t kFirstProducerId = 1000;

using Delivery = std::vector<std::string>;  // the texts of its events

std::string text_of(char who, std::size_t partition, std::uint64_t number, std::uint64_t event) {
  return fmt::format("{}{}#{}.{}{}", who, partition, number, event,
                     std::string(number * 37 % 900, 'x'));
}

Delivery make_sent(std::size_t partition, std::uint64_t number) {
  Delivery delivery;
  for (std::uint64_t i = 0; i < 1 + number * 7 % 5; ++i)
    delivery.push_back(text_of('s', partition, number, i));
  return delivery;
}

// Of a producer: its events are numbered 1, 2, ...; the delivery that begins with `first`.
Delivery make_produced(std::size_t partition, std::uint64_t first) {
  Delivery delivery;
  for (std::uint64_t i = 0; i < 1 + first * 7 % 4; ++i)
    delivery.push_back(text_of('p', partition, first + i, 0));
  return delivery;
}

std::vector<std::string> records_of(const Delivery& delivery) {
  std::vector<std::string> records;
  for (const auto& text : delivery) {
    std::string message;
    amqp::append_data_section(message, text);
    records.push_back(events::make_record("", message));
  }
  return records;
}

events::Partition partition_at(std::size_t index) {
  return {.log = {"ns", "eh"}, .index = static_cast<std::uint32_t>(index)};
}

// Deliveries of a sender in one life: those from `first` to before `kept` are there for good.
struct Kept {
  std::uint64_t first = 0;
  std::uint64_t kept = 0;
};

// What the parent has to know of a life. Plain data: it comes through a pipe.
struct Sent {
  std::uint64_t first = 0;     // of the last life
  std::uint64_t accepted = 0;  // those before it were accepted, or are behind one that was
  std::uint64_t made = 0;      // those before it were sent
  std::uint64_t kept = 0;      // what of the life before was there on opening
};
struct Produced {
  std::uint64_t accepted = 0;  // the number of the last event accepted
  std::uint64_t made = 0;      // and of the last one sent
};
struct Outcome {
  std::array<Sent, kPartitions> sent{};
  std::array<Produced, kPartitions> produced{};
  std::uint64_t acknowledged = 0;  // deliveries
  bool is_opened = false;
  char violation[512] = {};
};
using Lives = std::array<std::vector<Kept>, kPartitions>;

class EventLife final : public Life {
 public:
  EventLife(std::string directory, std::uint64_t seed, store::Durability durability,
            std::uint64_t life, Lives lives, const Outcome& before)
      : Life(std::move(directory), seed, durability), life_(life), lives_(std::move(lives)) {
    outcome_.sent = before.sent;
    outcome_.produced = before.produced;
  }

  Outcome outcome_now() {
    const std::lock_guard lock(mutex_);
    copy_violation(outcome_.violation);
    return outcome_;
  }

 private:
  struct Placed {
    std::uint64_t sequence = 0;
    std::string text;
  };

  // --- Looking
  void look(Store& store) override {
    for (std::size_t partition = 0; partition < kPartitions && !has_failed(); ++partition) {
      const auto found = read(store, partition);
      check_sender(partition, found);
      check_producer(partition, found);
    }
    const std::lock_guard lock(mutex_);
    outcome_.is_opened = true;
    for (auto& sent : outcome_.sent) sent.first = sent.accepted = sent.made;
  }

  std::vector<Placed> read(Store& store, std::size_t partition) {
    const auto stream = events::stream_name(partition_at(partition));
    const auto bounds = store.stream_bounds(stream);
    const auto read =
        run_on(worker_, store.read_stream(stream, {0}, bounds.next.value + 10, 1U << 30U));
    if (!read) {
      violation("a partition cannot be read: " + read.error().message);
      return {};
    }
    std::vector<Placed> found;
    for (const auto& record : *read) {
      if (record.sequence.value != found.size())
        violation(fmt::format("partition {} has a hole at {}", partition, found.size()));
      found.push_back({record.sequence.value, text_in(record)});
    }
    if (found.size() != bounds.next.value)
      violation(fmt::format("partition {} ends at {}, its bounds say {}", partition, found.size(),
                            bounds.next.value));
    return found;
  }

  std::string text_in(const store::StreamRecord& record) {
    std::string bytes, room;
    if (!events::append_message(bytes, record.record, record.sequence, TimePoint{}))
      violation("an event does not decode");
    const auto message = amqp::split_message(bytes);
    return message.has_value() ? std::string(amqp::joined_data(*message, room)) : std::string();
  }

  // How many of `expected` are there, from the first on: whole, side by side, nothing else.
  std::size_t count_there(const std::string& who, const std::vector<Placed>& partition,
                          const std::vector<Delivery>& expected) {
    std::vector<Placed> own;
    for (const auto& one : partition)
      if (one.text.starts_with(who)) own.push_back(one);
    std::size_t at = 0, count = 0;
    for (; count < expected.size() && at < own.size(); ++count) {
      const auto begin = at;
      for (const auto& text : expected[count]) {
        const bool is_there = at < own.size() && own[at].text == text &&
                              own[at].sequence == own[begin].sequence + (at - begin);
        if (!is_there) {
          violation(fmt::format("{} has not the event {} where it must be", who,
                                text.substr(0, text.find('x'))));
          return count;
        }
        ++at;
      }
    }
    if (at < own.size()) violation(who + " has events that it never sent, or has one twice");
    return count;
  }

  void check_sender(std::size_t partition, const std::vector<Placed>& found) {
    auto& sent = outcome_.sent[partition];
    std::vector<Delivery> expected;
    for (const auto& life : lives_[partition])
      for (auto number = life.first; number < life.kept; ++number)
        expected.push_back(make_sent(partition, number));
    const auto before = expected.size();
    for (auto number = sent.first; number < sent.made; ++number)
      expected.push_back(make_sent(partition, number));
    const auto there = count_there(fmt::format("s{}#", partition), found, expected);
    if (there < before) return violation("deliveries that were there before are gone");
    const std::lock_guard lock(mutex_);
    sent.kept = sent.first + (there - before);
    if (sent.kept < sent.accepted)
      violation(fmt::format("s{}: deliveries up to {} are there, up to {} were accepted", partition,
                            sent.kept, sent.accepted));
  }

  void check_producer(std::size_t partition, const std::vector<Placed>& found) {
    const auto& produced = outcome_.produced[partition];
    std::vector<Delivery> expected;
    for (std::uint64_t first = 1; first <= produced.made; first += expected.back().size())
      expected.push_back(make_produced(partition, first));
    const auto there = count_there(fmt::format("p{}#", partition), found, expected);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < there; ++i) last += expected[i].size();
    produced_there_[partition] = last;
    if (last < produced.accepted)
      violation(fmt::format("p{}: events up to {} are there, up to {} were accepted", partition,
                            last, produced.accepted));
  }

  // --- Writing
  void write(Store& store) override {
    std::vector<std::thread> producers;
    for (std::size_t partition = 0; partition < kPartitions; ++partition)
      producers.emplace_back([this, &store, partition] { produce(store, partition); });
    send(store);
    for (auto& producer : producers) producer.join();
  }

  // As SenderLink does: a commit for each delivery, many under way.
  void send(Store& store) {
    const auto window = 1 + random_.next() % kWindowMax;
    for (std::uint64_t i = 0; i < kDeliveriesBetweenCuts * kPartitions && !has_failed(); ++i) {
      const std::size_t partition = i % kPartitions;
      std::uint64_t number = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ < window; });
        ++waiting_;
        number = outcome_.sent[partition].made++;
      }
      store::WriteSet changes;
      for (auto& record : records_of(make_sent(partition, number)))
        changes.appends.push_back(
            {.streams = events::stream_name(partition_at(partition)), .record = std::move(record)});
      store.commit(std::move(changes), worker_,
                   [this, partition, number](const Result<store::Committed>& committed) {
                     on_sent(partition, number, committed);
                   });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
  }

  void on_sent(std::size_t partition, std::uint64_t number,
               const Result<store::Committed>& committed) {
    if (!committed) violation("a commit failed: " + committed.error().message);
    const std::lock_guard lock(mutex_);
    auto& sent = outcome_.sent[partition];
    sent.accepted = std::max(sent.accepted, number + 1);
    ++outcome_.acknowledged;
    --waiting_;
    changed_.notify_one();
  }

  // Takes its partition with a new epoch, repeats the last delivery accepted and all without an
  // answer, and goes on.
  void produce(Store& store, std::size_t partition) {
    Worker worker("producer");
    SeededRandom ids(1);  // not asked: the producer brings its id
    const auto id = kFirstProducerId + static_cast<std::int64_t>(partition);
    const auto epoch = static_cast<std::int32_t>(life_);
    const auto there = produced_there_[partition];
    const auto state =
        run_on(worker, events::open_producer(store, ids, kAnyTime, partition_at(partition),
                                             {.id = id, .epoch = epoch, .sequence = {}}));
    if (!state) return violation("a producer is refused: " + state.error().message);
    if (static_cast<std::uint64_t>(state->sequence) != there)
      return violation(
          fmt::format("p{}: its state says {}, its events {}", partition, state->sequence, there));
    auto first = first_to_send(partition);
    for (std::uint64_t i = 0; i < kProducedBetweenCuts && !has_failed(); ++i) {
      const auto delivery = make_produced(partition, first);
      const auto last = first + delivery.size() - 1;
      note_produced(partition, 0, last);
      const events::ProducerMark mark{
          .id = id, .epoch = epoch, .sequence = static_cast<std::int32_t>(first)};
      const auto arrival =
          run_on(worker, events::append_produced(store, kAnyTime, partition_at(partition), id, mark,
                                                 records_of(delivery)));
      if (!arrival) return violation("a delivery failed: " + arrival.error().message);
      if (*arrival != (last <= there ? Arrival::repeated : Arrival::next))
        return violation(fmt::format("p{}: event {} is taken for {}, up to {} are there", partition,
                                     first, static_cast<int>(*arrival), there));
      note_produced(partition, last, last);
      first = last + 1;
    }
  }

  // Of the delivery before the first one without an answer.
  std::uint64_t first_to_send(std::size_t partition) {
    const std::lock_guard lock(mutex_);
    const auto accepted = outcome_.produced[partition].accepted;
    std::uint64_t first = 1;
    for (;;) {
      const auto next = first + make_produced(partition, first).size();
      if (next > accepted) return first;
      first = next;
    }
  }

  void note_produced(std::size_t partition, std::uint64_t accepted, std::uint64_t made) {
    const std::lock_guard lock(mutex_);
    auto& produced = outcome_.produced[partition];
    produced.accepted = std::max(produced.accepted, accepted);
    produced.made = std::max(produced.made, made);
    if (accepted != 0) ++outcome_.acknowledged;
  }

  const std::uint64_t life_;
  const Lives lives_;
  std::array<std::uint64_t, kPartitions> produced_there_{};
  std::mutex mutex_;  // over the following three
  std::condition_variable changed_;
  Outcome outcome_;
  std::uint64_t waiting_ = 0;
};

// What a life has told of the one before it.
void count(const Outcome& before, const Outcome& now, Lives& lives, Report& report) {
  for (std::size_t partition = 0; partition < kPartitions; ++partition) {
    const auto& was = before.sent[partition];
    const auto kept = now.sent[partition].kept;
    lives[partition].push_back({.first = was.first, .kept = kept});
    report.unacknowledged_but_kept += kept - was.accepted;
    report.lost += was.made - kept;
  }
}

}  // namespace

void run_event_power_cuts(const std::string& directory, std::uint64_t seed,
                          store::Durability durability, Report& report) {
  SeededRandom random(seed);
  Lives lives;
  Outcome before;
  for (std::uint64_t life = 1; life <= kCutsInARun + 1; ++life) {
    const bool is_cut = life <= kCutsInARun;
    const auto life_seed = random.next();
    const auto outcome = in_child([&] {
      auto* const one = new EventLife(directory, life_seed, durability, life, lives, before);
      Outcome at_cut;
      one->run(is_cut, [&] { at_cut = one->outcome_now(); });
      return at_cut;
    });
    const std::string_view violation =
        outcome ? outcome->violation : "the process died before the power did";
    if (!violation.empty()) {
      report.violations.push_back(fmt::format("seed {}, life {}: {}", seed, life, violation));
      return;
    }
    if (is_cut) ++report.cuts;
    report.acknowledged += outcome->acknowledged;
    if (!outcome->is_opened) {
      ++report.cuts_while_opening;
      continue;  // nothing was learned and nothing was written
    }
    count(before, *outcome, lives, report);
    before = *outcome;
  }
}

}  // namespace doppel::crash
