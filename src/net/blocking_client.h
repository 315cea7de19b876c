// The other end of a connection for tests: a plain blocking TLS client over OpenSSL that shares no
// code with the server's streams. Every wait ends after kBlockingWaitMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/tls.h"

namespace doppel::net::testing {

inline constexpr int kBlockingWaitMaxS = 10;

class BlockingClient {
 public:
  // Connects to loopback. Throws std::runtime_error where a test cannot go on.
  explicit BlockingClient(std::uint16_t port, const std::string& ip = "127.0.0.1");
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  // False when the handshake fails.
  bool handshake(const TlsContext& context, const std::string& host = "localhost");

  void send(std::string_view bytes);
  // Sends without an exception when the peer has closed; false then.
  bool try_send(std::string_view bytes);
  // At least one byte; empty: the peer closed, or nothing came within kBlockingWaitMaxS.
  std::string receive();
  // Reads until `size` bytes or the end.
  std::string receive_exactly(std::size_t size);
  // Reads until `text` was seen (it is the end of what is returned or the rest follows it).
  std::string receive_until(std::string_view text);
  // Reads to the end; `is_closed` tells an end from a time-out.
  std::string receive_all();
  bool is_closed() const { return is_closed_; }
  std::string cipher_key_type() const;  // of the server's certificate: "EC", "RSA"
  void close_writing();

 private:
  int fd_;
  SslPointer ssl_;
  bool is_closed_ = false;
};

}  // namespace doppel::net::testing
