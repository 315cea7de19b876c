// What a device shows, from its connection and its token: the same on every transport.
#pragma once

#include <string>

#include "protocol/http/message.h"
#include "provisioning/prover.h"

namespace doppel::provisioning {

// `peer` may be null. The certificates of the handshake are shared, not copied, and looked at only
// when there is no token.
Proof proof_of(const http::PeerInfo* peer, std::string sas_token);

}  // namespace doppel::provisioning
