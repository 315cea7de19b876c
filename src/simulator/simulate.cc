#include "simulator/simulate.h"

#include <charconv>
#include <csignal>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/device_facts.h"
#include "cli/http_transport.h"
#include "cli/profile.h"
#include "net/dial.h"
#include "simulator/fleet.h"

namespace doppel::simulator {
namespace {

constexpr std::size_t kDevicesMax = 100'000;
constexpr double kRateMax = 10'000;
constexpr long kDurationMax_s = 86'400;

template <class T>
bool read_number(const cli::Arguments& args, std::string_view name, T most, T& value) {
  const auto text = args.find(name);
  if (!text) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc{} && end == text->data() + text->size() && value > 0 && value <= most)
    return true;
  std::cerr << fmt::format("doppel: {} takes a number above 0, at most {}\n", name, most);
  return false;
}

int refuse(const Error& error) {
  std::cerr << "doppel: " << error.message << "\n";
  return 1;
}

std::stop_source& stop_source() {
  static std::stop_source source;
  return source;
}

// Ctrl-C ends sending; the summary still comes.
std::jthread watch_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return std::jthread([signals](const std::stop_token& stop) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!stop.stop_requested())
      if (sigtimedwait(&signals, nullptr, &pause) > 0) stop_source().request_stop();
  });
}

Result<std::vector<net::SocketAddress>> resolve(net::Loop& loop, const std::string& host,
                                                std::uint16_t port) {
  net::Resolver resolver;
  std::promise<Result<std::vector<net::SocketAddress>>> promise;
  auto found = promise.get_future();
  loop.post([&] {
    spawn(resolver.find(host, port),
          [&](auto addresses) { promise.set_value(std::move(addresses)); });
  });
  return found.get();
}

Result<World> make_world(net::Loop& loop, cli::Session& session, const cli::Arguments& args) {
  const auto& profile = session.profile();
  auto facts = cli::read_device_facts(session);
  if (!facts) return fail(std::move(facts.error()));
  std::ifstream file(profile.ca_file);
  auto tls =
      net::TlsContext::client({.ca_pem = std::string(std::istreambuf_iterator<char>(file), {})});
  if (!tls) return fail(std::move(tls.error()));
  auto addresses = resolve(loop, profile.host, profile.mqtt_port);
  if (!addresses) return fail(std::move(addresses.error()));
  return World{.host = profile.host,
               .addresses = std::move(*addresses),
               .tls = std::move(*tls),
               .id_scope = facts->id_scope,
               .group_key = facts->group_key,
               .model_id = args.get_or("--model-id", "dtmi:contosocom:DigitalTwins:Thermostat;2")};
}

bool drive(net::Loops& loops, Fleet& fleet, bool is_quiet) {
  std::promise<bool> promise;
  auto done = promise.get_future();
  net::Loop& loop = loops.at(0);
  loop.post([&] {
    spawn(fleet.run(stop_source().get_token()), [&](bool fine) { promise.set_value(fine); });
  });
  const bool is_terminal = ::isatty(STDERR_FILENO) != 0;
  while (done.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    if (is_quiet) continue;
    std::promise<std::string> line;
    auto text = line.get_future();
    loop.post([&] { line.set_value(fleet.progress()); });
    std::cerr << (is_terminal ? "\r\x1b[K" : "") << text.get() << (is_terminal ? "" : "\n")
              << std::flush;
  }
  if (is_terminal && !is_quiet) std::cerr << "\r\x1b[K";
  return done.get();
}

}  // namespace

std::vector<cli::Option> options() {
  return {{.names = "kind", .help = "What to simulate: thermostat", .is_required = true},
          {.names = "--data-dir", .help = "Data directory of the server, for its cli-profile.json"},
          {.names = "--count", .help = "Devices (default: 1)"},
          {.names = "--rate", .help = "Messages a second and device (default: 1)"},
          {.names = "--duration", .help = "Seconds of sending (default: 10)"},
          {.names = "--prefix",
           .help = "Registration IDs are PREFIX-1, PREFIX-2, ... (default: thermostat)"},
          {.names = "--model-id",
           .help = "Model that the devices name (default: the sample's Thermostat;2)"},
          {.names = "--quiet,-q", .help = "Only the summary", .kind = cli::Option::Kind::flag}};
}

int run(const cli::Arguments& args) {
  if (args.get("kind") != "thermostat") {
    std::cerr << fmt::format("doppel: '{}' is nothing to simulate; there is: thermostat\n",
                             args.get("kind"));
    return 2;
  }
  FleetOptions options;
  long duration_s = 10;
  if (!read_number(args, "--count", kDevicesMax, options.count) ||
      !read_number(args, "--rate", kRateMax, options.rate) ||
      !read_number(args, "--duration", kDurationMax_s, duration_s))
    return 2;
  options.duration = std::chrono::seconds(duration_s);
  options.prefix = args.get_or("--prefix", "thermostat");
  const auto signals = watch_signals();
  auto session = cli::connect(args.get_or("--data-dir", cli::default_data_dir()));
  if (!session) return refuse(session.error());
  net::Loops loops(1);
  auto world = make_world(loops.at(0), *session, args);
  if (!world) return refuse(world.error());
  bool fine = false;
  {
    Fleet fleet(loops.at(0), std::move(*world), options);
    fine = drive(loops, fleet, args.has("--quiet"));
    std::cout << fleet.summary();
    // What the clients posted when they closed refers to the devices: it runs before they go.
    loops.stop();
  }
  return fine ? 0 : 1;
}

}  // namespace doppel::simulator
