// Names of errors that peers see and clients branch on: `condition` of an error, and
// `error-condition` in replies of $cbs and $management (OASIS AMQP 1.0 part 2, sections 2.8.15 to
// 2.8.17; the com.microsoft ones: docs/wire and Azure's SDKs).
#pragma once

#include <string_view>

namespace doppel::amqp::condition {

// Any part.
inline constexpr std::string_view kInternalError = "amqp:internal-error";
inline constexpr std::string_view kNotFound = "amqp:not-found";
inline constexpr std::string_view kUnauthorizedAccess = "amqp:unauthorized-access";
inline constexpr std::string_view kDecodeError = "amqp:decode-error";
inline constexpr std::string_view kResourceLimitExceeded = "amqp:resource-limit-exceeded";
inline constexpr std::string_view kNotAllowed = "amqp:not-allowed";
inline constexpr std::string_view kInvalidField = "amqp:invalid-field";
inline constexpr std::string_view kNotImplemented = "amqp:not-implemented";
inline constexpr std::string_view kResourceLocked = "amqp:resource-locked";
inline constexpr std::string_view kPreconditionFailed = "amqp:precondition-failed";
inline constexpr std::string_view kResourceDeleted = "amqp:resource-deleted";
inline constexpr std::string_view kIllegalState = "amqp:illegal-state";
inline constexpr std::string_view kFrameSizeTooSmall = "amqp:frame-size-too-small";

inline constexpr std::string_view kConnectionForced = "amqp:connection:forced";
inline constexpr std::string_view kFramingError = "amqp:connection:framing-error";
inline constexpr std::string_view kConnectionRedirect = "amqp:connection:redirect";

inline constexpr std::string_view kWindowViolation = "amqp:session:window-violation";
inline constexpr std::string_view kErrantLink = "amqp:session:errant-link";
inline constexpr std::string_view kHandleInUse = "amqp:session:handle-in-use";
inline constexpr std::string_view kUnattachedHandle = "amqp:session:unattached-handle";

inline constexpr std::string_view kDetachForced = "amqp:link:detach-forced";
inline constexpr std::string_view kTransferLimitExceeded = "amqp:link:transfer-limit-exceeded";
inline constexpr std::string_view kMessageSizeExceeded = "amqp:link:message-size-exceeded";
inline constexpr std::string_view kLinkRedirect = "amqp:link:redirect";
inline constexpr std::string_view kStolen = "amqp:link:stolen";

// Azure's.
inline constexpr std::string_view kServerBusy = "com.microsoft:server-busy";
inline constexpr std::string_view kTimeout = "com.microsoft:timeout";
inline constexpr std::string_view kOperationCancelled = "com.microsoft:operation-cancelled";
inline constexpr std::string_view kArgumentError = "com.microsoft:argument-error";
inline constexpr std::string_view kArgumentOutOfRange = "com.microsoft:argument-out-of-range";
inline constexpr std::string_view kAuthFailed = "com.microsoft:auth-failed";
inline constexpr std::string_view kEntityDisabled = "com.microsoft:entity-disabled";
inline constexpr std::string_view kPartitionNotOwned = "com.microsoft:partition-not-owned";
inline constexpr std::string_view kPublisherRevoked = "com.microsoft:publisher-revoked";
inline constexpr std::string_view kProducerEpochStolen = "com.microsoft:producer-epoch-stolen";
inline constexpr std::string_view kOutOfOrderSequence = "com.microsoft:out-of-order-sequence";

}  // namespace doppel::amqp::condition
