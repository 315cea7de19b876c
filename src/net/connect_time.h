// How long it takes to connect to a host: one TCP handshake, without TLS.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/worker.h"
#include "net/dial.h"

namespace doppel::net {

class ConnectTimer {
 public:
  ConnectTimer() : worker_("connect-time") {}

  // Resumes on the executor that awaits it. Measurements take turns. Errors: not_found (the name),
  // unavailable, timeout.
  Task<Result<Duration>> measure(std::string host, std::uint16_t port, Duration limit);

 private:
  Resolver resolver_;
  Worker worker_;
};

}  // namespace doppel::net
