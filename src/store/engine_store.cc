// The Store that every engine shares: the committer for what is written, the engine for what is
// read.
#include <utility>

#include "store/committer.h"
#include "store/engine.h"
#include "store/store.h"

namespace doppel::store {
namespace {

class EngineStore final : public Store {
 public:
  EngineStore(std::unique_ptr<Engine> engine, const Clock& clock, Threading threading)
      : engine_(std::move(engine)), committer_(*engine_, clock, threading) {}

  Status start() { return committer_.start(); }

  std::shared_ptr<const Snapshot> snapshot() override { return committer_.snapshot(); }

  void commit(WriteSet changes, Executor& home, CommitDone done) override {
    Operation operation;
    operation.changes = std::move(changes);
    operation.home = &home;
    operation.done = std::move(done);
    committer_.submit(std::move(operation));
  }

  Task<Result<std::vector<StreamRecord>>> read_stream(std::string stream, SequenceNumber from,
                                                      std::size_t count_max,
                                                      std::size_t bytes_max) override {
    const auto position = committer_.streams().position(stream);
    from = std::max(from, position.bounds.first);
    if (from >= position.bounds.next || count_max == 0) co_return std::vector<StreamRecord>{};
    co_return co_await engine_->read_stream(position.number, from, position.bounds.next, count_max,
                                            bytes_max);
  }

  Task<Result<SequenceNumber>> find_by_time(std::string stream, TimePoint time) override {
    const auto position = committer_.streams().position(stream);
    const auto& bounds = position.bounds;
    if (bounds.first == bounds.next || bounds.last_enqueued < time) co_return bounds.next;
    co_return co_await engine_->find_by_time(position.number, bounds.first, bounds.next, time);
  }

  StreamBounds stream_bounds(std::string_view stream) const override {
    return committer_.streams().position(stream).bounds;
  }

  Task<Status> trim_stream(std::string stream, SequenceNumber until) override {
    return remove(BatchStep::Kind::trim, std::move(stream), until);
  }

  Task<Status> drop_stream(std::string stream) override {
    return remove(BatchStep::Kind::drop, std::move(stream), {});
  }

  CommitVersion add_observer(Observer& observer) override {
    return committer_.add_observer(observer);
  }
  void remove_observer(Observer& observer) override { committer_.remove_observer(observer); }

  Task<Status> backup(std::string directory) override {
    return engine_->backup(std::move(directory));
  }

  void stop() override { committer_.stop(); }

 private:
  // Waits in the queue between the commits, so that a drop and an append have one order.
  Task<Status> remove(BatchStep::Kind kind, std::string stream, SequenceNumber until) {
    Operation operation;
    operation.kind = kind;
    operation.bytes = stream.size();
    operation.stream = std::move(stream);
    operation.until = until;
    operation.home = &Executor::current();
    auto submitted = from_callback<Result<Committed>>([&](CommitDone done) {
      operation.done = std::move(done);
      committer_.submit(std::move(operation));
    });
    auto outcome = co_await submitted;
    if (!outcome) co_return fail(std::move(outcome.error()));
    co_return Status{};
  }

  std::unique_ptr<Engine> engine_;
  Committer committer_;  // after the engine, which it uses
};

}  // namespace

Result<std::unique_ptr<Store>> open_engine_store(std::unique_ptr<Engine> engine, const Clock& clock,
                                                 Threading threading) {
  auto store = std::make_unique<EngineStore>(std::move(engine), clock, threading);
  if (auto started = store->start(); !started) return fail(std::move(started.error()));
  return store;
}

}  // namespace doppel::store
