// Encodes control packets of MQTT 3.1.1 and 5, of both sides: the server answers with them, the
// simulator and tests send them. Each call appends one whole packet to `out`, so all answers to one
// read can leave in one write.
//
// Fields must fit the wire (texts at most 65,535 bytes, a packet at most kRemainingLengthMax, a
// packet id with QoS > 0): anything else is our own mistake and asserted.
#pragma once

#include <string>
#include <string_view>

#include "protocol/mqtt/packet.h"

namespace doppel::mqtt {

// `version` is that of the connection; a CONNECT says itself which it is.
void append(std::string& out, const Connect& connect, Version version = Version::v3_1_1);
void append(std::string& out, const Connack& connack, Version version = Version::v3_1_1);
void append(std::string& out, const Publish& publish, Version version = Version::v3_1_1);
void append(std::string& out, const Puback& puback, Version version = Version::v3_1_1);
void append(std::string& out, const Pubrec& pubrec, Version version = Version::v3_1_1);
void append(std::string& out, const Pubrel& pubrel, Version version = Version::v3_1_1);
void append(std::string& out, const Pubcomp& pubcomp, Version version = Version::v3_1_1);
void append(std::string& out, const Subscribe& subscribe, Version version = Version::v3_1_1);
void append(std::string& out, const Suback& suback, Version version = Version::v3_1_1);
void append(std::string& out, const Unsubscribe& unsubscribe, Version version = Version::v3_1_1);
void append(std::string& out, const Unsuback& unsuback, Version version = Version::v3_1_1);
void append(std::string& out, Pingreq pingreq, Version version = Version::v3_1_1);
void append(std::string& out, Pingresp pingresp, Version version = Version::v3_1_1);
void append(std::string& out, const Disconnect& disconnect, Version version = Version::v3_1_1);
void append(std::string& out, const Auth& auth, Version version = Version::v3_1_1);
void append(std::string& out, const Packet& packet, Version version = Version::v3_1_1);

// Whether a message fits into a PUBLISH at all; for topics made of what others sent.
bool fits_publish(std::string_view topic, std::size_t payload_size);

}  // namespace doppel::mqtt
