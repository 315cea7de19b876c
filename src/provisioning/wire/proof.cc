#include "provisioning/wire/proof.h"

namespace doppel::provisioning {

Proof proof_of(const http::PeerInfo* peer, std::string sas_token) {
  Proof proof;
  if (sas_token.empty() && peer != nullptr) {
    proof.certificates = security::presented(peer->client_certificate, peer->client_chain);
  }
  proof.sas_token = std::move(sas_token);
  return proof;
}

}  // namespace doppel::provisioning
