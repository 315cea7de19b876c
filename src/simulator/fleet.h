// A fleet of simulated thermostats on one loop, with live progress and a closing summary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "simulator/device.h"
#include "simulator/latencies.h"

namespace doppel::simulator {

struct FleetOptions {
  std::size_t count = 1;
  double rate = 1;                               // messages a second and device
  Duration duration = std::chrono::seconds(10);  // of sending
  std::string prefix = "thermostat";
  std::size_t starting_max = 64;  // devices that provision and connect at a time
};

class Fleet {
 public:
  Fleet(net::Loop& loop, World world, FleetOptions options);

  // Everything from provisioning to disconnecting. Yields whether every device was provisioned and
  // connected and every message acknowledged. `stop` ends it early.
  Task<bool> run(std::stop_token stop);

  // One line on how far it is. The loop's thread.
  std::string progress() const;
  std::string summary();

 private:
  Task<void> live(Device& device, std::size_t number, std::stop_token stop);
  Task<void> send_all(Device& device, std::size_t number, std::stop_token stop);
  void note_failure(const Device& device, std::string_view step, const Error& error);

  net::Loop& loop_;
  World world_;
  FleetOptions options_;
  SystemClock clock_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::size_t starting_ = 0, provisioned_ = 0, connected_ = 0, sent_ = 0, failures_ = 0, ended_ = 0;
  Latencies provisioning_, connecting_, acknowledging_;
  std::vector<std::string> first_failures_;
};

}  // namespace doppel::simulator
