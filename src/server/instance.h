// One running server: everything composed, in the order of the layers, started and stopped as a
// whole.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/certificates.h"
#include "server/options.h"

namespace doppel::server {

class Instance {
 public:
  // Opens the data directory, recovers, makes the first resources where there are none, listens.
  // Blocking; not from an executor. Errors say what to do.
  static Result<std::unique_ptr<Instance>> start(ServeOptions options);
  ~Instance();

  // Refuses new work, finishes what was accepted (at most kStopMax), flushes, closes.
  void stop();

  // For the banner.
  struct Facts {
    std::string host;
    std::uint16_t https_port = 0;
    std::uint16_t mqtt_port = 0;
    std::uint16_t amqp_port = 0;        // 0: could not be bound
    std::uint16_t amqp_plain_port = 0;  // 0: off
    std::string ca_file;
    std::string profile_file;
    bool is_first_start = false;
    net::NewCa new_ca = net::NewCa::no;
    bool is_https_moved = false;  // 443 could not be bound
    std::string id_scope;
    long start_ms = 0;
  };
  const Facts& facts() const { return facts_; }

 private:
  Instance();
  struct Parts;
  std::unique_ptr<Parts> parts_;
  Facts facts_;
};

}  // namespace doppel::server
