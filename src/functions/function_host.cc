#include "functions/function_host.h"

#include <algorithm>
#include <future>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "functions/allocation.h"
#include "functions/effects.h"
#include "security/keys.h"

namespace doppel::functions {
namespace {

constexpr std::size_t kPurgeBatch = 1000;  // keys in one commit

struct FunctionUrl {
  std::string_view host;  // with port, if any
  std::string_view path;
  std::string code;
};

std::optional<FunctionUrl> split(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  url.remove_prefix(scheme + 3);
  const auto slash = url.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto query = url.find('?', slash);
  FunctionUrl out{
      .host = url.substr(0, slash), .path = url.substr(slash, query - slash), .code = {}};
  if (query == std::string_view::npos) return out;
  for (std::string_view rest = url.substr(query + 1); !rest.empty();) {
    const auto end = rest.find('&');
    const auto pair = rest.substr(0, end);
    if (pair.starts_with("code=")) out.code = percent_decode(pair.substr(5)).value_or("");
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
  return out;
}

bool same_settings(const AppSettings& a, const AppSettings& b) {
  return a.instance == b.instance && a.default_model == b.default_model &&
         a.on_model_change == b.on_model_change;
}

}  // namespace

struct FunctionHost::Running {
  AppSettings settings;
  ActivityConsumer consumer;
  std::stop_source stop;
  bool is_done = false;
};

FunctionHost::FunctionHost(Deps deps) : deps_(deps) {}
FunctionHost::~FunctionHost() { stop(); }

void FunctionHost::start() {
  check(worker_ == nullptr, "the function host is started once");
  worker_ = std::make_unique<Worker>("functions");
  worker_->post([this] { follow_catalog(); });
}

void FunctionHost::stop() {
  if (worker_ == nullptr) return;
  stop_.request_stop();
  // The consumers end at their next wait; each reports back on the worker's thread.
  std::promise<void> all_done;
  std::function<void()> wait = [this, &all_done, &wait] {
    {
      const std::lock_guard lock(mutex_);
      for (auto& [key, running] : running_) {
        running->stop.request_stop();
        ending_.push_back(std::move(running));
      }
      running_.clear();
    }
    std::erase_if(ending_, [](const auto& running) { return running->is_done; });
    if (ending_.empty()) return all_done.set_value();
    worker_->post_after(std::chrono::milliseconds(1), [&wait] { wait(); });
  };
  worker_->post([&wait] { wait(); });
  all_done.get_future().wait();
  worker_.reset();
}

void FunctionHost::follow_catalog() {
  if (stop_.stop_requested()) return;
  std::erase_if(ending_, [](const auto& running) { return running->is_done; });
  const auto catalog = deps_.resources.catalog();
  std::map<Key, AppSettings> wanted;
  for (const auto& app : catalog->function_apps) {
    auto settings = read_settings(app, *catalog);
    if (!settings) continue;  // told when a device needs it (settings_of), and by the settings API
    for (const auto& hub : settings->hubs)
      for (std::uint32_t p = 0; p < hub::kActivityPartitions; ++p)
        wanted.emplace(Key{app.name, hub, p}, *settings);
  }
  {
    const std::lock_guard lock(mutex_);
    for (auto at = running_.begin(); at != running_.end();) {
      const auto want = wanted.find(at->first);
      if (want != wanted.end() && same_settings(want->second, at->second->settings)) {
        wanted.erase(want);
        ++at;
        continue;
      }
      at->second->stop.request_stop();
      ending_.push_back(std::move(at->second));
      at = running_.erase(at);
    }
  }
  // A consumer whose settings changed starts again when its predecessor has ended, or they would
  // race for the checkpoint; the next look does it.
  if (ending_.empty())
    for (const auto& [key, settings] : wanted) launch(key, settings);
  worker_->post_after(kCatalogLookEvery, [this] { follow_catalog(); });
}

void FunctionHost::launch(const Key& key, const AppSettings& settings) {
  const auto& [app, hub, partition] = key;
  const ActivityConsumer::Deps deps{.store = deps_.store,
                                    .log = deps_.log,
                                    .hubs = deps_.hubs,
                                    .twins = deps_.twins,
                                    .clock = deps_.clock};
  std::unique_ptr<Running> made(
      new Running{.settings = settings,
                  .consumer = ActivityConsumer(deps, app, settings, hub, partition),
                  .stop = {},
                  .is_done = false});
  Running* running = made.get();
  {
    const std::lock_guard lock(mutex_);
    running_[key] = std::move(made);
  }
  spawn(running->consumer.run(running->stop.get_token()), [running] { running->is_done = true; });
}

std::optional<std::string> FunctionHost::builtin_allocation_app(std::string_view url) const {
  const auto parts = split(url);
  if (!parts || !equal_ignoring_case(parts->path, fmt::format("/api/{}", kAllocationFunction)))
    return std::nullopt;
  const auto catalog = deps_.resources.catalog();
  const std::string_view name = parts->host.substr(0, parts->host.rfind(':'));
  for (const auto& app : catalog->function_apps) {
    const bool is_here =
        std::any_of(app.host_names.begin(), app.host_names.end(),
                    [&](const auto& known) { return equal_ignoring_case(known, name); });
    if (is_here && opens(app, kAllocationFunction, parts->code)) return app.name;
  }
  return std::nullopt;
}

bool FunctionHost::opens(const resources::FunctionApp& app, std::string_view function,
                         std::string_view code) {
  bool open = false;
  const auto try_key = [&](const std::string& key) {
    open |= !key.empty() && security::constant_time_equal(key, code);
  };
  try_key(app.master_key);
  for (const auto& [name, key] : app.host_keys) try_key(key);
  if (const auto own = app.function_keys.find(to_lower(function)); own != app.function_keys.end())
    for (const auto& [name, key] : own->second) try_key(key);
  return open;
}

Result<AppSettings> FunctionHost::settings_of(std::string_view app) const {
  const auto catalog = deps_.resources.catalog();
  const auto* found = catalog->find_function_app(app);
  if (found == nullptr)
    return fail(Code::not_found, fmt::format("there is no function app {}", app));
  return read_settings(*found, *catalog);
}

Task<Result<AllocationAnswer>> FunctionHost::allocate(store::Transaction& tx, std::string app,
                                                      json::Value request) {
  auto settings = settings_of(app);
  if (!settings) co_return fail(Code::internal, std::move(settings.error().message));
  co_return co_await allocate_digital_twin(tx, deps_.twins, std::move(*settings),
                                           std::move(request));
}

Task<Status> FunctionHost::bind(store::Transaction& tx, AllocationAnswer answer,
                                twins::DeviceBinding binding) {
  if (!answer.digital_twin) co_return Status{};
  auto& [instance, id] = *answer.digital_twin;
  co_return co_await deps_.twins.bind_device(tx, std::move(instance), std::move(id),
                                             std::move(binding));
}

Task<Result<std::vector<DigitalTwinId>>> FunctionHost::remove_digital_twins(
    store::Transaction& tx, DigitalTwinId twin, twins::DeviceBinding of) {
  std::set<TwinsInstanceName> instances;
  const auto catalog = deps_.resources.catalog();
  for (const auto& app : catalog->function_apps) {
    const auto settings = read_settings(app, *catalog);
    if (settings && std::ranges::find(settings->hubs, of.hub) != settings->hubs.end()) {
      instances.insert(settings->instance);
    }
  }
  std::vector<DigitalTwinId> removed;
  for (const TwinsInstanceName& instance : instances) {
    auto found = co_await deps_.twins.find_twin(tx, instance, twin);
    if (!found) co_return fail(std::move(found.error()));
    if (!*found) continue;
    const auto& made_for = (*found)->made_for;
    if (made_for && made_for->generation != of.generation) continue;
    auto gone = co_await deps_.twins.remove_twin_and_relationships(tx, instance, twin);
    if (!gone) co_return fail(std::move(gone.error()));
    removed.push_back(twin);
  }
  co_return removed;
}

Task<Result<std::vector<DeadLetter>>> FunctionHost::dead_letters(std::string app,
                                                                 std::string function,
                                                                 std::string after,
                                                                 std::size_t limit) {
  store::Transaction tx(deps_.store);
  co_return co_await list_dead_letters(tx, std::move(app), std::move(function), std::move(after),
                                       limit);
}

Task<Status> FunctionHost::replay(std::string app, std::string function, std::string id) {
  auto settings = settings_of(app);
  if (!settings) co_return fail(std::move(settings.error()));
  for (int attempt = 0; attempt < store::kTransactAttemptsMax; ++attempt) {
    store::Transaction tx(deps_.store);
    auto letter = co_await find_dead_letter(tx, app, function, id);
    if (!letter) co_return fail(std::move(letter.error()));
    if (!letter->has_value())
      co_return fail(Code::not_found, "there is no dead letter with this id");
    // The activity feed of a hub lies in the space "hub:<name>".
    const HubName hub(
        (*letter)->source.log.space.substr((*letter)->source.log.space.find(':') + 1));
    Effects effects(tx, {deps_.hubs, deps_.twins, *settings, hub});
    auto outcome = co_await effects.apply(events::view((*letter)->event));
    if (!outcome) co_return fail(std::move(outcome.error()));
    if (*outcome == Outcome::telemetry_parked)
      co_return fail(Code::precondition_failed,
                     "the digital twin of the device is still not there");
    if (auto done = co_await effects.finish(); !done) co_return done;
    stage_removal(tx, app, function, id);
    auto committed = co_await tx.commit();
    if (committed) co_return Status{};
    if (committed.error().code != Code::conflict) co_return fail(std::move(committed.error()));
  }
  co_return fail(Code::conflict, "other commits kept winning; try again");
}

std::vector<ConsumerState> FunctionHost::consumers() const {
  const std::lock_guard lock(mutex_);
  std::vector<ConsumerState> states;
  for (const auto& [key, running] : running_) {
    const auto& [app, hub, partition] = key;
    const auto head = deps_.log.bounds({hub::activity_log(hub), partition}).next.value;
    const auto next = running->consumer.next_sequence();
    states.push_back({.app = app,
                      .hub = hub,
                      .partition = partition,
                      .next = next,
                      .lag = head > next ? head - next : 0});
  }
  return states;
}

Task<Status> FunctionHost::purge(std::string app) {
  const std::string prefix = store::key({"function", app});
  for (;;) {
    store::Transaction tx(deps_.store);
    auto entries = co_await tx.scan_prefix(prefix, kPurgeBatch);
    if (!entries) co_return fail(std::move(entries.error()));
    if (entries->empty()) co_return Status{};
    for (auto& entry : *entries) tx.erase(std::move(entry.key));
    auto committed = co_await tx.commit();
    if (!committed) co_return fail(std::move(committed.error()));
  }
}

std::vector<std::string> FunctionHost::consumer_names(const HubName& hub) const {
  std::vector<std::string> names;
  const auto catalog = deps_.resources.catalog();
  for (const auto& app : catalog->function_apps) {
    const auto settings = read_settings(app, *catalog);
    if (settings &&
        std::find(settings->hubs.begin(), settings->hubs.end(), hub) != settings->hubs.end())
      names.push_back(ActivityConsumer::consumer_name(app.name));
  }
  return names;
}

}  // namespace doppel::functions
