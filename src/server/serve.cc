#include "server/serve.h"

#include <csignal>
#include <iostream>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "server/instance.h"

namespace doppel::server {
namespace {

// Blocked in every thread that is made later, so that only sigwait takes them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

std::string_view reason_of(net::NewCa why) {
  switch (why) {
    case net::NewCa::no:
      return "it was not made again";
    case net::NewCa::there_was_none:
      return "there was none in the data directory (a restored backup brings its `certificates`)";
    case net::NewCa::names_changed:
      return "the host names changed";
    case net::NewCa::near_its_end:
      return "the old one was near its end";
  }
  return "?";
}

std::string amqp_text(const Instance::Facts& facts) {
  std::string text;
  if (facts.amqp_port != 0) text += fmt::format("AMQP {}:{}   ", facts.host, facts.amqp_port);
  if (facts.amqp_plain_port != 0)
    text += fmt::format("AMQP without TLS localhost:{}   ", facts.amqp_plain_port);
  return text;
}

void print_banner(const ServeOptions& options, const Instance::Facts& facts) {
  const std::string https = facts.https_port == kHttpsPort
                                ? fmt::format("https://{}", facts.host)
                                : fmt::format("https://{}:{}", facts.host, facts.https_port);
  std::string text =
      fmt::format("Doppel is ready ({} ms).\n  HTTPS {}   MQTT {}:{}   {}data {}\n", facts.start_ms,
                  https, facts.host, facts.mqtt_port, amqp_text(facts), options.data_dir);
  if (facts.is_https_moved)
    text += fmt::format(
        "  Port 443 could not be bound, so HTTPS is on {}. Device SDKs over HTTPS and WebSocket "
        "need the real 443:\n"
        "    run as root, or: sudo sysctl net.ipv4.ip_unprivileged_port_start=443\n",
        facts.https_port);
  text +=
      fmt::format("  Clients must trust this CA:  export NODE_EXTRA_CA_CERTS={}\n", facts.ca_file);
  if (facts.is_first_start) {
    text += fmt::format(
        "  Made on this first start: hub `hub1`, DPS `dps1` (ID scope {}), enrollment group "
        "`thermostats`,\n"
        "  Digital Twins `twins1`, event hubs, routes and functions.\n"
        "  The administrator's credential is in {} (keep it private).\n",
        facts.id_scope, facts.profile_file);
  } else if (facts.new_ca != net::NewCa::no) {
    text += fmt::format("  The CA is new, because {}: hand the file to your clients again.\n",
                        reason_of(facts.new_ca));
  }
  text += fmt::format(
      "Next:\n  doppel simulate thermostat --count 5 --data-dir {0}\n  doppel dt twin list -o "
      "table --data-dir {0}\n"
      "  eval \"$(doppel env --data-dir {0})\"    # settings for the Azure SDKs\n",
      options.data_dir);
  std::cout << text << std::flush;
}

}  // namespace

int serve(ServeOptions options) {
  const sigset_t signals = block_signals();
  auto instance = Instance::start(options);
  if (!instance) {
    log::flush();
    std::cerr << "doppel: cannot start: " << instance.error().message << "\n";
    return 1;
  }
  if (!options.is_quiet) print_banner(options, (*instance)->facts());
  int signal = 0;
  sigwait(&signals, &signal);
  log::info("server.stopping", {{"signal", signal}});
  (*instance)->stop();
  log::info("server.stopped");
  log::flush();
  return 0;
}

}  // namespace doppel::server
