// What `doppel serve` is told: by options, by the configuration file (the same names), or by
// default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace doppel::server {

// Ports of the services; SDKs hard-wire 443 for HTTPS and WebSocket.
inline constexpr std::uint16_t kHttpsPort = 443;
inline constexpr std::uint16_t kHttpsFallbackPort = 8443;
inline constexpr std::uint16_t kMqttPort = 8883;
inline constexpr std::uint16_t kAmqpPort = 5671;

struct ServeOptions {
  std::string data_dir;
  std::vector<std::string> bind;          // addresses; empty: 127.0.0.1 and ::1
  std::vector<std::string> host_names;    // public names, first one is shown; empty: localhost
  std::uint16_t https_port = kHttpsPort;  // 0: any free one
  bool is_https_port_given = false;       // then there is no falling back
  std::uint16_t mqtt_port = kMqttPort;
  std::uint16_t amqp_port = kAmqpPort;
  bool is_amqp_port_given = false;  // else a port that cannot be bound is a warning
  // AMQP without TLS, on loopback only: for `UseDevelopmentEmulator=true`. Nothing: off.
  std::optional<std::uint16_t> amqp_plain_port{};
  std::string tls_cert;  // PEM files that replace the certificates Doppel makes
  std::string tls_key;
  // PEM file of CAs that webhooks and linked hubs elsewhere may have their certificates from,
  // besides those the system trusts.
  std::string trusted_ca{};
  std::string key_file;   // master key; empty: master.key in the data directory
  bool is_quiet = false;  // no banner
  // Failed proofs of devices from one address: how many a minute before it has to wait. 0: no
  // limit.
  std::uint32_t failed_proofs_per_minute = 60;
  bool limits_loopback = false;  // whether that holds for this machine's own addresses, too
};

}  // namespace doppel::server
