#include "protocol/mqtt/reason.h"

namespace doppel::mqtt {
namespace {

// Which packets may carry a code (section 2.4, table 2-6).
enum Carrier : std::uint8_t {
  kConnack = 1,
  kAcknowledgement = 2,
  kRelease = 4,
  kSuback = 8,
  kUnsuback = 16,
  kDisconnect = 32,
};

struct Row {
  Reason reason;
  unsigned carriers;
  std::string_view text;
};

constexpr unsigned kAnswers = kAcknowledgement | kSuback | kUnsuback;

constexpr Row kRows[] = {
    {Reason::success, 63, "Success"},
    {Reason::granted_qos_1, kSuback, "Granted QoS 1"},
    {Reason::granted_qos_2, kSuback, "Granted QoS 2"},
    {Reason::disconnect_with_will, kDisconnect, "Disconnect with Will Message"},
    {Reason::no_matching_subscribers, kAcknowledgement, "No matching subscribers"},
    {Reason::no_subscription_existed, kUnsuback, "No subscription existed"},
    {Reason::unspecified_error, kConnack | kAnswers | kDisconnect, "Unspecified error"},
    {Reason::malformed_packet, kConnack | kDisconnect, "Malformed Packet"},
    {Reason::protocol_error, kConnack | kDisconnect, "Protocol Error"},
    {Reason::implementation_specific, kConnack | kAnswers | kDisconnect,
     "Implementation specific error"},
    {Reason::unsupported_protocol_version, kConnack, "Unsupported Protocol Version"},
    {Reason::client_identifier_not_valid, kConnack, "Client Identifier not valid"},
    {Reason::bad_user_name_or_password, kConnack, "Bad User Name or Password"},
    {Reason::not_authorized, kConnack | kAnswers | kDisconnect, "Not authorized"},
    {Reason::server_unavailable, kConnack, "Server unavailable"},
    {Reason::server_busy, kConnack | kDisconnect, "Server busy"},
    {Reason::banned, kConnack, "Banned"},
    {Reason::server_shutting_down, kDisconnect, "Server shutting down"},
    {Reason::bad_authentication_method, kConnack | kDisconnect, "Bad authentication method"},
    {Reason::keep_alive_timeout, kDisconnect, "Keep Alive timeout"},
    {Reason::session_taken_over, kDisconnect, "Session taken over"},
    {Reason::topic_filter_invalid, kSuback | kUnsuback | kDisconnect, "Topic Filter invalid"},
    {Reason::topic_name_invalid, kConnack | kAcknowledgement | kDisconnect, "Topic Name invalid"},
    {Reason::packet_identifier_in_use, kAnswers, "Packet Identifier in use"},
    {Reason::packet_identifier_not_found, kRelease, "Packet Identifier not found"},
    {Reason::receive_maximum_exceeded, kDisconnect, "Receive Maximum exceeded"},
    {Reason::topic_alias_invalid, kDisconnect, "Topic Alias invalid"},
    {Reason::packet_too_large, kConnack | kDisconnect, "Packet too large"},
    {Reason::message_rate_too_high, kDisconnect, "Message rate too high"},
    {Reason::quota_exceeded, kConnack | kAcknowledgement | kSuback | kDisconnect, "Quota exceeded"},
    {Reason::administrative_action, kDisconnect, "Administrative action"},
    {Reason::payload_format_invalid, kConnack | kAcknowledgement | kDisconnect,
     "Payload format invalid"},
    {Reason::retain_not_supported, kConnack | kDisconnect, "Retain not supported"},
    {Reason::qos_not_supported, kConnack | kDisconnect, "QoS not supported"},
    {Reason::use_another_server, kConnack | kDisconnect, "Use another server"},
    {Reason::server_moved, kConnack | kDisconnect, "Server moved"},
    {Reason::shared_subscriptions_not_supported, kSuback | kDisconnect,
     "Shared Subscriptions not supported"},
    {Reason::connection_rate_exceeded, kConnack | kDisconnect, "Connection rate exceeded"},
    {Reason::maximum_connect_time, kDisconnect, "Maximum connect time"},
    {Reason::subscription_identifiers_not_supported, kSuback | kDisconnect,
     "Subscription Identifiers not supported"},
    {Reason::wildcard_subscriptions_not_supported, kSuback | kDisconnect,
     "Wildcard Subscriptions not supported"},
};

const Row* find(std::uint8_t code) {
  for (const auto& row : kRows)
    if (static_cast<std::uint8_t>(row.reason) == code) return &row;
  return nullptr;
}

bool carries(Carrier carrier, std::uint8_t code) {
  const auto* row = find(code);
  return row != nullptr && (row->carriers & carrier) != 0;
}

}  // namespace

Reason to_reason(ConnectReturn code) {
  switch (code) {
    case ConnectReturn::accepted:
      return Reason::success;
    case ConnectReturn::unacceptable_protocol_version:
      return Reason::unsupported_protocol_version;
    case ConnectReturn::identifier_rejected:
      return Reason::client_identifier_not_valid;
    case ConnectReturn::server_unavailable:
      return Reason::server_unavailable;
    case ConnectReturn::bad_user_name_or_password:
      return Reason::bad_user_name_or_password;
    case ConnectReturn::not_authorized:
      return Reason::not_authorized;
  }
  return Reason::unspecified_error;
}

ConnectReturn to_connect_return(Reason reason) {
  switch (reason) {
    case Reason::success:
      return ConnectReturn::accepted;
    case Reason::unsupported_protocol_version:
      return ConnectReturn::unacceptable_protocol_version;
    case Reason::client_identifier_not_valid:
      return ConnectReturn::identifier_rejected;
    case Reason::server_unavailable:
    case Reason::server_busy:
      return ConnectReturn::server_unavailable;
    case Reason::bad_user_name_or_password:
      return ConnectReturn::bad_user_name_or_password;
    default:
      return ConnectReturn::not_authorized;
  }
}

std::string_view to_text(Reason reason) {
  const auto* row = find(static_cast<std::uint8_t>(reason));
  return row == nullptr ? std::string_view("?") : row->text;
}

bool is_connack_reason(std::uint8_t code) { return carries(kConnack, code); }
bool is_acknowledgement_reason(std::uint8_t code) { return carries(kAcknowledgement, code); }
bool is_release_reason(std::uint8_t code) { return carries(kRelease, code); }
bool is_suback_reason(std::uint8_t code) { return carries(kSuback, code); }
bool is_unsuback_reason(std::uint8_t code) { return carries(kUnsuback, code); }
bool is_disconnect_reason(std::uint8_t code) { return carries(kDisconnect, code); }

}  // namespace doppel::mqtt
