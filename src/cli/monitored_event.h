// What `doppel iot hub monitor-events` shows of one event: the JSON that az prints (azure-iot
// extension: azext_iot/monitor/parsers/common_parser.py).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "json/value.h"
#include "protocol/amqp/message.h"

namespace doppel::cli {

struct EventFormat {
  bool has_annotations = false;
  bool has_system = false;
  bool has_application = false;
  std::string content_type{};  // instead of the event's own; empty: its own

  bool has_properties() const { return has_annotations || has_system || has_application; }
};
// From --properties and --content-type. Errors: invalid_argument.
Result<EventFormat> event_format(const Arguments& args);

// Which events are shown. `device` and `module` may hold '*' for any text; empty: all.
struct EventFilter {
  std::string device{};
  std::string module{};

  bool lets_pass(const amqp::MessageView& event) const;
};

// {"event": {"origin", "module", "interface", "component", "payload", ...}}. A section that does
// not decode is shown as empty, a payload that is no text as base64.
json::Value monitored_event(const amqp::MessageView& event, const EventFormat& format);

// An AMQP value as JSON. What JSON has no word for is shown as text, binaries as text if they are
// UTF-8, else base64.
json::Value to_json(const amqp::Value& value);

// Whether `text` fits a pattern in which '*' stands for any text.
bool fits_pattern(std::string_view pattern, std::string_view text);

}  // namespace doppel::cli
