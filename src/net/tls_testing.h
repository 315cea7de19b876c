// What tests of the network share: certificates, and a client that trusts them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/random.h"
#include "net/certificates.h"
#include "net/tls.h"

namespace doppel::net::testing {

// Made once: an RSA key takes a while.
inline const Certificates& certificates() {
  static const Certificates made = [] {
    const auto directory =
        std::filesystem::temp_directory_path() / ("doppel-net-test-" + std::to_string(::getpid()));
    SystemRandom random;
    auto result = ensure_certificates(directory, {}, SystemClock().now(), random);
    EXPECT_TRUE(result.has_value());
    std::filesystem::remove_all(directory);
    return std::move(*result);
  }();
  return made;
}

inline std::shared_ptr<const TlsContext> client_context(CertifiedKey identity = {}) {
  auto context = TlsContext::client(
      {.ca_pem = certificates().ca_pem, .is_verified = true, .identity = std::move(identity)});
  EXPECT_TRUE(context.has_value());
  return *context;
}

}  // namespace doppel::net::testing
