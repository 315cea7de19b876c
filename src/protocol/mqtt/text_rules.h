// What MQTT allows in strings, topic names and topic filters (sections 1.5.3 and 4.7).
#pragma once

#include <string_view>

namespace doppel::mqtt {

// Well-formed UTF-8 without U+0000 [MQTT-1.5.3-1] [MQTT-1.5.3-2]. ASCII goes eight bytes at a time.
bool is_valid_text(std::string_view text);

// A topic name that a message may be published to: not empty, no wildcard [MQTT-3.3.2-2]
// [MQTT-4.7.3-1]. Assumes valid text.
bool is_topic_name(std::string_view topic);

// A topic filter: not empty; '#' only as the whole last level [MQTT-4.7.1-2]; '+' only as a whole
// level [MQTT-4.7.1-3]. Assumes valid text.
bool is_topic_filter(std::string_view filter);

// Whether a message to `topic` is for a subscription to `filter`. A filter that begins with a
// wildcard does not match topics that begin with '$' [MQTT-4.7.2-1].
bool matches_filter(std::string_view filter, std::string_view topic);

}  // namespace doppel::mqtt
