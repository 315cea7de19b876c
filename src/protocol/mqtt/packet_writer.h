// Encodes MQTT 3.1.1 control packets, of both sides: the server answers with them, the simulator
// and tests send them. Each call appends one whole packet to `out`, so all answers to one read can
// leave in one write.
//
// Fields must fit the wire (texts at most 65,535 bytes, a packet at most kRemainingLengthMax, a
// packet id with QoS > 0): anything else is our own mistake and asserted.
#pragma once

#include <string>
#include <string_view>

#include "protocol/mqtt/packet.h"

namespace doppel::mqtt {

void append(std::string& out, const Connect& connect);
void append(std::string& out, const Connack& connack);
void append(std::string& out, const Publish& publish);
void append(std::string& out, Puback puback);
void append(std::string& out, Pubrec pubrec);
void append(std::string& out, Pubrel pubrel);
void append(std::string& out, Pubcomp pubcomp);
void append(std::string& out, const Subscribe& subscribe);
void append(std::string& out, const Suback& suback);
void append(std::string& out, const Unsubscribe& unsubscribe);
void append(std::string& out, Unsuback unsuback);
void append(std::string& out, Pingreq pingreq);
void append(std::string& out, Pingresp pingresp);
void append(std::string& out, Disconnect disconnect);
void append(std::string& out, const Packet& packet);

// Whether a message fits into a PUBLISH at all; for topics made of what others sent.
bool fits_publish(std::string_view topic, std::size_t payload_size);

}  // namespace doppel::mqtt
