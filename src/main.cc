// doppel: the server and its command line in one program.
#include <charconv>
#include <iostream>
#include <string>
#include <vector>

#include "cli/grammar.h"
#include "cli/http_transport.h"
#include "cli/profile.h"
#include "cli/programs.h"
#include "net/loop.h"
#include "server/serve.h"
#include "simulator/simulate.h"

namespace {

using doppel::cli::Arguments;
using doppel::cli::Option;

const Option kDataDir{
    .names = "--data-dir",
    .help = "Data directory (default: $DOPPEL_DATA_DIR or the user's data folder)"};

template <class Number>
bool read_number(const Arguments& args, const char* name, Number& number) {
  const auto text = args.find(name);
  if (!text) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error == std::errc{} && end == text->data() + text->size()) return true;
  std::cerr << "doppel: " << name << " takes a number from 0\n";
  return false;
}

bool read_port(const Arguments& args, const char* name, std::uint16_t& port) {
  const auto text = args.find(name);
  if (!text) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), port);
  if (error == std::errc{} && end == text->data() + text->size()) return true;
  std::cerr << "doppel: " << name << " takes a port number from 0 (any free one) to 65535\n";
  return false;
}

int serve(const Arguments& args) {
  doppel::server::ServeOptions options;
  options.data_dir = args.get_or("--data-dir", doppel::cli::default_data_dir());
  options.bind = args.all("--bind");
  options.host_names = args.all("--hostname");
  options.is_https_port_given = args.has("--https-port");
  if (!read_port(args, "--https-port", options.https_port) ||
      !read_port(args, "--mqtt-port", options.mqtt_port) ||
      !read_port(args, "--amqp-port", options.amqp_port))
    return 2;
  options.is_amqp_port_given = args.has("--amqp-port");
  if (args.has("--amqp-plain-port")) {
    std::uint16_t port = 0;
    if (!read_port(args, "--amqp-plain-port", port)) return 2;
    options.amqp_plain_port = port;
  }
  options.tls_cert = args.get("--tls-cert");
  options.tls_key = args.get("--tls-key");
  options.trusted_ca = args.get("--trusted-ca");
  options.key_file = args.get("--key-file");
  options.is_quiet = args.has("--quiet");
  options.limits_loopback = args.has("--limit-loopback");
  if (!read_number(args, "--failed-proofs-per-minute", options.failed_proofs_per_minute)) return 2;
  return doppel::server::serve(std::move(options));
}

}  // namespace

int main(int argc, char** argv) {
  // Every program here has connections whose peers may vanish while they are written to.
  doppel::net::prepare_process();
  const auto connect = [](const std::string& data_dir) { return doppel::cli::connect(data_dir); };
  const std::vector<doppel::cli::Program> programs = {
      {"serve",
       "Run the server in the foreground until SIGTERM",
       {kDataDir,
        {.names = "--bind",
         .help = "Address to listen on, repeatable (default: 127.0.0.1 and ::1)",
         .kind = Option::Kind::values},
        {.names = "--hostname",
         .help = "Public name for certificates, assignedHub and connection strings, repeatable",
         .kind = Option::Kind::values},
        {.names = "--https-port", .help = "HTTPS port (default: 443, else 8443)"},
        {.names = "--mqtt-port", .help = "MQTT port (default: 8883)"},
        {.names = "--amqp-port", .help = "AMQP port (default: 5671)"},
        {.names = "--amqp-plain-port",
         .help = "AMQP without TLS, on loopback only (default: off; clients expect 5672)"},
        {.names = "--tls-cert", .help = "PEM chain to use instead of Doppel's own certificates"},
        {.names = "--tls-key", .help = "PEM key of --tls-cert"},
        {.names = "--trusted-ca",
         .help = "PEM file of CAs that webhooks and linked hubs elsewhere may use, besides the "
                 "system's"},
        {.names = "--key-file",
         .help =
             "Master key that seals secrets at rest (default: master.key in the data directory)"},
        {.names = "--failed-proofs-per-minute",
         .help = "Failed proofs of devices from one address before it has to wait (default: 60; 0: "
                 "no limit)"},
        {.names = "--limit-loopback",
         .help = "Limit failed proofs from this machine's own addresses, too",
         .kind = Option::Kind::flag},
        {.names = "--quiet,-q", .help = "No banner", .kind = Option::Kind::flag}},
       serve},
      {"env",
       "Print shell lines with the settings of this server's clients",
       {kDataDir},
       [&](const Arguments& args) { return doppel::cli::print_environment(args, connect); }},
      {"backup",
       "Copy a consistent state to a folder while the server runs",
       {kDataDir,
        {.names = "--to",
         .help = "Folder on the server's machine, empty or absent",
         .is_required = true}},
       [&](const Arguments& args) { return doppel::cli::back_up(args, connect); }},
      {"simulate", "Run a fleet of simulated devices: doppel simulate thermostat",
       doppel::simulator::options(),
       [&](const Arguments& args) { return doppel::simulator::run(args); }},
  };
  return doppel::cli::run(argc, argv, programs, connect);
}
