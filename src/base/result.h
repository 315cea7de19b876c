// How expected failures travel: as values. `Result<T>` holds a T or an `Error`; exceptions are for
// what nobody can handle locally (docs/decisions/002-errors.md).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace doppel {

// What went wrong, as our own layers see it. Each protocol turns these into its codes in one
// exhaustive switch; a code added here fails the build there until somebody decides what clients
// should see.
enum class Code : std::uint8_t {
  invalid_argument,     // the request can never succeed as it is
  unauthenticated,      // no proof of identity, or a bad one
  forbidden,            // a proven identity without the right
  not_found,            //
  already_exists,       // create-only met something
  precondition_failed,  // an etag or a base version that is not current
  conflict,             // a concurrent commit won; reading again and retrying is right
  too_large,            // beyond a size limit
  throttled,            // beyond a rate or a queue limit; later may work
  quota_exceeded,       // beyond a count limit; later will not work by itself
  unsupported,          // well-formed, but nothing we do
  timeout,              // a wait ended without an answer
  cancelled,            // the caller, or the server's stop, gave up
  unavailable,  // the store or another part cannot work now; outcome of a write may be unknown
  bad_gateway,  // an outside service answered nonsense
  internal,     // our own mistake
};

// One line of a table in schemas/errors: what the clients of one service see for an error.
struct ServiceError {
  std::string_view name;  // e.g. "DeviceNotFound"
  std::int32_t number;    // e.g. 404001; 0 where the service has only names
  std::int32_t http_status;
  Code code;
  std::string_view text;  // default message
};

struct [[nodiscard]] Error {
  Code code = Code::internal;
  std::string message;  // for the operator, and for clients unless the wire says otherwise
  const ServiceError* service = nullptr;  // static storage; null below the service layer

  std::string_view name() const { return service ? service->name : std::string_view{}; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected(Error{.code = code, .message = std::move(message)});
}
inline std::unexpected<Error> fail(const ServiceError& error) {
  return std::unexpected(
      Error{.code = error.code, .message = std::string(error.text), .service = &error});
}
inline std::unexpected<Error> fail(const ServiceError& error, std::string message) {
  return std::unexpected(
      Error{.code = error.code, .message = std::move(message), .service = &error});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

std::string_view to_string(Code code);

}  // namespace doppel
