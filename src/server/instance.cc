#include "server/instance.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/profile.h"
#include "events/api.h"
#include "functions/function_host.h"
#include "functions/wire/http_functions.h"
#include "hub/hubs.h"
#include "hub/wire/amqp_service.h"
#include "hub/wire/http_device.h"
#include "hub/wire/http_service.h"
#include "hub/wire/mqtt_service.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "net/server.h"
#include "provisioning/api.h"
#include "provisioning/wire/amqp_device.h"
#include "provisioning/wire/http_device.h"
#include "provisioning/wire/http_service.h"
#include "provisioning/wire/mqtt_device.h"
#include "resources/api.h"
#include "resources/wire/routes.h"
#include "server/amqp_nodes.h"
#include "server/blocking.h"
#include "server/data_directory.h"
#include "server/event_hubs.h"
#include "server/first_start.h"
#include "server/housekeeping.h"
#include "server/remote_hub_transport.h"
#include "server/status_routes.h"
#include "server/webhook_client.h"
#include "store/rocksdb/rocksdb_store.h"
#include "twins/twin_service.h"
#include "twins/wire/http_twins.h"

namespace doppel::server {
namespace {

constexpr Duration kStopMax = std::chrono::seconds(10);

// The burst is what a minute and a half of failures make: a shelf of devices with old keys is no
// attack.
provisioning::GuessLimits guess_limits(const ServeOptions& options) {
  const double per_minute = options.failed_proofs_per_minute;
  return {.failures_per_minute = per_minute,
          .failures_at_once = std::max(1.5 * per_minute, 10.0),
          .counts_loopback = options.limits_loopback};
}

}  // namespace

// Members in the order in which they are made; they go in reverse.
struct Instance::Parts {
  ServeOptions options;
  SystemClock clock;
  SystemRandom random;
  net::Loops loops;
  std::unique_ptr<store::Store> store;
  std::optional<security::SecretBox> box;
  std::unique_ptr<events::EventLog> log;
  std::unique_ptr<resources::Resources> resources;
  std::unique_ptr<hub::HubService> hubs;
  std::unique_ptr<twins::TwinService> twins;
  std::unique_ptr<functions::FunctionHost> functions;
  std::unique_ptr<net::HttpClient> http_client;
  std::unique_ptr<HttpWebhookClient> webhooks;
  std::unique_ptr<HttpRemoteHubs> remote_hubs;
  std::unique_ptr<provisioning::Provisioning> provisioning;
  std::unique_ptr<hub::MqttService> hub_mqtt;
  std::unique_ptr<hub::AmqpService> hub_amqp;
  std::unique_ptr<provisioning::MqttDeviceService> dps_mqtt;
  std::unique_ptr<provisioning::AmqpDeviceService> dps_amqp;
  http::Router router;
  ServerIdentity identity;
  std::unique_ptr<Housekeeping> housekeeping;
  std::unique_ptr<EventHubs> event_hubs;
  AmqpNodes amqp_nodes;
  std::unique_ptr<net::Server> server;
  std::atomic<bool> is_ready = false;
  bool is_stopped = false;

  Executor& home() { return loops.at(0); }

  Status open_store();
  Status open_services();
  void wire();
  Status listen();
  Status first_start(Facts& facts);
  Status refresh_profile(const Facts& facts, const resources::Credential& fresh);
  std::string authority(std::uint16_t port) const;
  mqtt::Service* service_for(const mqtt::Connect& connect);
  Task<Result<resources::WireHooks::HubStats>> hub_stats(HubName hub);
  Task<Status> purge(resources::DeletedResource gone);
};

std::string Instance::Parts::authority(std::uint16_t port) const {
  const std::string host = options.host_names.empty() ? "localhost" : options.host_names.front();
  return port == kHttpsPort ? host : fmt::format("{}:{}", host, port);
}

Status Instance::Parts::open_store() {
  if (auto made = ensure_directory(options.data_dir); !made) return made;
  auto key = read_master_key(options, random);
  if (!key) return fail(std::move(key.error()));
  // Takes the lock of the directory.
  auto opened =
      store::open_rocksdb({.directory = store_directory(options.data_dir), .clock = &clock});
  if (!opened) return fail(std::move(opened.error()));
  store = std::move(*opened);
  box.emplace(std::move(*key), random);
  auto read = read_identity(options, clock, random);
  if (!read) return fail(std::move(read.error()));
  identity = std::move(*read);
  return {};
}

Status Instance::Parts::open_services() {
  log = std::make_unique<events::EventLog>(*store, clock);
  resources::ResourceDefaults defaults;
  if (!options.host_names.empty()) defaults.host_names = options.host_names;
  defaults.https_port = server->port("https");
  // Zero: it could not be bound, and nobody asked for it.
  if (const auto port = server->port("amqps"); port != 0) defaults.amqp_port = port;
  auto opened = run_blocking(
      home(), resources::Resources::open(*store, home(), clock, random, *box, defaults));
  if (!opened) return fail(std::move(opened.error()));
  resources = std::move(*opened);
  const auto catalog = [this] { return resources->catalog(); };
  hubs = std::make_unique<hub::HubService>(hub::HubParts{.store = *store,
                                                         .log = *log,
                                                         .catalog = catalog,
                                                         .box = *box,
                                                         .clock = clock,
                                                         .random = random});
  twins = std::make_unique<twins::TwinService>(*store, clock, random);
  if (auto read = run_blocking(home(), twins->open()); !read) return read;
  functions = std::make_unique<functions::FunctionHost>(
      functions::FunctionHost::Deps{.store = *store,
                                    .log = *log,
                                    .resources = *resources,
                                    .hubs = *hubs,
                                    .twins = *twins,
                                    .clock = clock});
  http_client = std::make_unique<net::HttpClient>(loops);
  auto trusted = read_trusted_cas(options);
  if (!trusted) return fail(std::move(trusted.error()));
  const net::TlsClientConfig outward{.ca_pem = {}, .more_ca_pem = *std::move(trusted)};
  webhooks = std::make_unique<HttpWebhookClient>(*http_client, outward);
  remote_hubs = std::make_unique<HttpRemoteHubs>(*http_client, outward);
  provisioning = std::make_unique<provisioning::Provisioning>(provisioning::Provisioning::Deps{
      .store = *store,
      .clock = clock,
      .random = random,
      .box = *box,
      .catalog = catalog,
      .hubs = *hubs,
      .functions = *functions,
      .webhooks = *webhooks,
      .ensure_issuer = [this](std::string dps) { return resources->ensure_issuer(std::move(dps)); },
      .remote_hubs = remote_hubs.get(),
      .guess_limits = guess_limits(options)});
  resources->set_route_validator(hub::HubService::check_route);
  resources->on_deleted([this](resources::DeletedResource gone) { return purge(std::move(gone)); });
  return run_blocking(home(), resources->finish_deletions());
}

// Data that services keep under the name of a resource that is gone.
Task<Status> Instance::Parts::purge(resources::DeletedResource gone) {
  switch (gone.kind) {
    case resources::Kind::hub:
      return hubs->purge(HubName(gone.name), gone.partitions);
    case resources::Kind::dps:
      return provisioning->purge(std::move(gone));
    case resources::Kind::twins_instance:
      return twins->purge(TwinsInstanceName(gone.name));
    case resources::Kind::event_hub:
      return log->drop({gone.event_space, gone.name}, gone.partitions);
    case resources::Kind::function_app:
      return functions->purge(gone.name);
  }
  return functions->purge(gone.name);
}

Task<Result<resources::WireHooks::HubStats>> Instance::Parts::hub_stats(HubName hub) {
  auto counted = co_await hubs->statistics(std::move(hub));
  if (!counted) co_return fail(std::move(counted.error()));
  co_return resources::WireHooks::HubStats{
      .total = static_cast<std::uint64_t>(counted->total),
      .enabled = static_cast<std::uint64_t>(counted->enabled),
      .disabled = static_cast<std::uint64_t>(counted->disabled)};
}

// Which service a user name belongs to: "{scope}/registrations/..." is DPS, everything else a hub's
// device.
mqtt::Service* Instance::Parts::service_for(const mqtt::Connect& connect) {
  const std::string_view user =
      connect.user_name ? std::string_view(*connect.user_name) : std::string_view{};
  const auto slash = user.find('/');
  const bool is_dps = slash != std::string_view::npos &&
                      starts_with_ignoring_case(user.substr(slash + 1), "registrations/");
  return is_dps ? static_cast<mqtt::Service*>(dps_mqtt.get()) : hub_mqtt.get();
}

void Instance::Parts::wire() {
  hub_mqtt = std::make_unique<hub::MqttService>(*hubs);
  hub_amqp = std::make_unique<hub::AmqpService>(*hubs);
  dps_mqtt = std::make_unique<provisioning::MqttDeviceService>(*provisioning);
  dps_amqp = std::make_unique<provisioning::AmqpDeviceService>(*provisioning);
  resources::WireHooks hooks;
  hooks.hub_stats = [this](HubName hub) { return hub_stats(std::move(hub)); };
  resources::register_routes(router, *resources, std::move(hooks));
  hub::register_service_routes(router, *hubs, [this](std::string_view header) {
    return resources->authenticate_bearer(header, resources::Audience::iot_hub);
  });
  hub::register_device_routes(router, *hubs);
  provisioning::register_device_routes(router, *provisioning);
  provisioning::register_service_routes(router, *provisioning, *resources);
  twins::wire::register_routes(router, *twins, *resources);
  functions::register_routes(router, *functions, *resources);
  event_hubs = std::make_unique<EventHubs>(*log, *resources, clock, random);
  event_hubs->register_routes(router);
  AmqpHooks amqp_hooks = event_hubs->amqp_hooks();
  amqp_hooks.iot_hubs = hub_amqp.get();
  amqp_hooks.provisioning = dps_amqp.get();
  amqp_nodes.set_hooks(std::move(amqp_hooks));
  register_status_routes(
      router,
      {.is_ready = is_ready, .ca_pem = identity.ca_pem, .store = *store, .resources = *resources});
}

Status Instance::Parts::listen() {
  const std::vector<std::string> addresses =
      options.bind.empty() ? std::vector<std::string>{"127.0.0.1", "::1"} : options.bind;
  net::ServerConfig config;
  config.identities = identity.identities;
  net::ListenerConfig https{.name = "https",
                            .protocol = net::Protocol::http,
                            .addresses = addresses,
                            .port = options.https_port};
  if (!options.is_https_port_given) https.fallback_port = kHttpsFallbackPort;
  config.listeners.push_back(std::move(https));
  config.listeners.push_back({.name = "mqtts",
                              .protocol = net::Protocol::mqtt,
                              .addresses = addresses,
                              .port = options.mqtt_port});
  config.listeners.push_back({.name = "amqps",
                              .protocol = net::Protocol::amqp,
                              .addresses = addresses,
                              .port = options.amqp_port,
                              .is_optional = !options.is_amqp_port_given});
  if (options.amqp_plain_port) {
    config.listeners.push_back({.name = "amqp",
                                .protocol = net::Protocol::amqp,
                                .port = *options.amqp_plain_port,
                                .has_tls = false});
  }
  server = std::make_unique<net::Server>(
      loops, std::move(config), router,
      [this](const mqtt::Connect& connect) { return service_for(connect); });
  server->set_amqp(amqp_nodes);
  return {};
}

Status Instance::Parts::refresh_profile(const Facts& facts, const resources::Credential& fresh) {
  cli::Profile profile;
  if (auto known = cli::read_profile(facts.profile_file)) profile = std::move(*known);
  profile.host = facts.host;
  profile.https_port = facts.https_port;
  profile.mqtt_port = facts.mqtt_port;
  profile.amqp_port = facts.amqp_port;
  profile.emulator_port = facts.amqp_plain_port;
  profile.ca_file = std::filesystem::absolute(facts.ca_file).string();
  profile.tenant = resources->defaults().tenant;
  profile.subscription = resources->defaults().subscription;
  // Profiles of earlier versions have none.
  if (profile.event_space.empty()) profile.event_space = kEventSpaceName;
  if (!fresh.client_id.empty()) {
    profile.client_id = fresh.client_id;
    profile.client_secret = fresh.secret;
    profile.resource_group = kGroupName;
    profile.hub = kHubName;
    profile.dps = kDpsName;
    profile.twins_instance = kTwinsName;
    profile.function_app = kFunctionAppName;
    profile.enrollment_group = kEnrollmentGroupName;
  }
  if (profile.client_id.empty()) {
    log::warn(
        "server.no_cli_profile",
        {{"file", facts.profile_file},
         {"hint",
          "the administrator's credential was written at the first start; restore that file"}});
    return {};
  }
  return cli::write_profile(facts.profile_file, profile);
}

Status Instance::Parts::first_start(Facts& facts) {
  auto is_first = run_blocking(home(), is_first_start(*store));
  if (!is_first) return fail(std::move(is_first.error()));
  facts.is_first_start = *is_first;
  resources::Credential fresh;
  if (*is_first) {
    FirstStart start{.resources = *resources,
                     .provisioning = *provisioning,
                     .twins = *twins,
                     .https_authority = authority(facts.https_port)};
    auto made = run_blocking(home(), make_first_resources(std::move(start)));
    if (!made) return fail(std::move(made.error()));
    fresh = std::move(*made);
  }
  // The secret is in the profile before the server counts as started: a crash in between makes
  // another credential.
  if (auto written = refresh_profile(facts, fresh); !written) return written;
  if (*is_first) {
    if (auto marked = run_blocking(home(), mark_started(*store)); !marked) return marked;
  }
  const auto catalog = resources->catalog();
  if (const auto* dps = catalog->find_dps(kDpsName)) facts.id_scope = dps->id_scope.str();
  return {};
}

Instance::Instance() : parts_(std::make_unique<Parts>()) {}
Instance::~Instance() { stop(); }

Result<std::unique_ptr<Instance>> Instance::start(ServeOptions options) {
  std::unique_ptr<Instance> instance(new Instance());
  Parts& parts = *instance->parts_;
  Facts& facts = instance->facts_;
  const auto began = parts.clock.steady();
  parts.options = std::move(options);
  if (auto done = parts.open_store(); !done) return fail(std::move(done.error()));
  if (auto done = parts.listen(); !done) return fail(std::move(done.error()));
  if (auto done = parts.server->bind(); !done) return fail(std::move(done.error()));
  if (auto done = parts.open_services(); !done) return fail(std::move(done.error()));
  parts.wire();
  facts.host = parts.options.host_names.empty() ? "localhost" : parts.options.host_names.front();
  facts.https_port = parts.server->port("https");
  facts.mqtt_port = parts.server->port("mqtts");
  facts.amqp_port = parts.server->port("amqps");
  facts.amqp_plain_port = parts.server->port("amqp");
  facts.is_https_moved = !parts.options.is_https_port_given && facts.https_port != kHttpsPort;
  facts.ca_file = parts.identity.ca_file;
  facts.new_ca = parts.identity.new_ca;
  facts.profile_file = cli::profile_path(parts.options.data_dir);
  if (auto done = parts.first_start(facts); !done) return fail(std::move(done.error()));
  parts.functions->start();
  parts.provisioning->start(parts.home());
  parts.housekeeping =
      std::make_unique<Housekeeping>(*parts.log, parts.clock, *parts.resources, *parts.functions);
  parts.housekeeping->start();
  parts.is_ready = true;
  if (auto done = parts.server->start(); !done) return fail(std::move(done.error()));
  facts.start_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(parts.clock.steady() - began).count();
  return instance;
}

void Instance::stop() {
  if (parts_ == nullptr || parts_->is_stopped) return;
  parts_->is_stopped = true;
  parts_->is_ready = false;
  if (parts_->server) parts_->server->stop(kStopMax);
  if (parts_->provisioning) run_blocking(parts_->home(), parts_->provisioning->stop());
  if (parts_->housekeeping) parts_->housekeeping->stop();
  if (parts_->functions) parts_->functions->stop();
  if (parts_->store) parts_->store->stop();
  parts_->loops.stop();
}

}  // namespace doppel::server
