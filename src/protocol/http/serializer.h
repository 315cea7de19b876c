// Writes HTTP/1.1 messages. Each call appends one whole message, so pipelined answers can leave in
// one write.
//
// Content-Length and Connection are the serializer's: fields of those names (and
// Transfer-Encoding) in `headers` are left out. Values may hold what a peer once sent, so control
// characters in them become blanks and fields whose name is no token are dropped: nobody can add
// lines to a message.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/http/message.h"

namespace doppel::http {

enum class AfterMessage : std::uint8_t { keep_open, close };

// `answers_head`: the request was HEAD, so the length is told and the body is not sent.
void append_response(std::string& out, const Response& response, AfterMessage after,
                     bool answers_head = false);

// Writes `method`, `target` and `headers` (Host must be among them) and the body. A body length is
// told whenever there is a body or the method usually has one.
void append_request(std::string& out, const Request& request);

// "HTTP/1.1 100 Continue" for a client that waits before it sends its body.
void append_continue(std::string& out);

}  // namespace doppel::http
