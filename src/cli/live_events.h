// Runs an EventMonitor over a connection to the server, until it ends or the user has seen enough.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cli/event_monitor.h"
#include "cli/profile.h"
#include "protocol/amqp/message.h"

namespace doppel::cli {

struct LiveEventsOptions {
  EventMonitorOptions events;
  Duration timeout{0};  // without any event; zero: none
};

// Blocks. Ends without an error on SIGINT, SIGTERM, after `timeout`, and when `on_event` says
// false. The handlers run on a thread of the connection, one call at a time. Errors: unavailable,
// and what the server answers.
Status watch_events(const Profile& profile, LiveEventsOptions options,
                    std::function<void()> on_ready,
                    std::function<bool(const amqp::MessageView&)> on_event);

}  // namespace doppel::cli
