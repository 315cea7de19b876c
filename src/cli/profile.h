// How the CLI reaches a server and who it is there: the file `cli-profile.json` (mode 0600) that
// the first start writes into the data directory.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "json/value.h"

namespace doppel::cli {

struct Profile {
  std::string host = "localhost";
  std::uint16_t https_port = 443;
  std::uint16_t mqtt_port = 8883;
  std::uint16_t amqp_port = 5671;
  std::uint16_t emulator_port = 0;  // plain AMQP on loopback; 0: not switched on
  std::string ca_file;
  std::string tenant;
  std::string client_id;
  std::string client_secret;
  std::string subscription;
  // Defaults of commands, as the first start made them.
  std::string resource_group;
  std::string hub;
  std::string dps;
  std::string twins_instance;
  std::string event_space;
  std::string function_app;
  std::string enrollment_group;

  std::string base_url() const;  // "https://localhost:8443"; without the port when it is 443
};

json::Value to_json(const Profile& profile);
Result<Profile> parse_profile(std::string_view text);
Result<Profile> read_profile(const std::string& path);
// Writes a temporary file beside it and renames, so that readers never see half of one.
Status write_profile(const std::string& path, const Profile& profile);

// $DOPPEL_DATA_DIR, else $XDG_DATA_HOME/doppel, else ~/.local/share/doppel; for root
// /var/lib/doppel.
std::string default_data_dir();
std::string profile_path(const std::string& data_dir);

}  // namespace doppel::cli
