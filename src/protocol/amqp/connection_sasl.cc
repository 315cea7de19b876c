// The SASL layer of a connection, both roles (part 5, section 5.3).
#include <algorithm>
#include <utility>
#include <variant>

#include "protocol/amqp/connection.h"
#include "protocol/amqp/errors.h"

namespace doppel::amqp {

template <class Frame>
void ConnectionEngine::write_sasl(const Frame& frame) {
  const auto start = begin_frame(out(), FrameType::sasl, 0);
  append(out(), frame);
  end_frame(out(), start);
  transport_->flush_soon();
}

void ConnectionEngine::send_mechanisms() {
  SaslMechanisms mechanisms;
  for (const auto name : kSaslMechanisms) mechanisms.sasl_server_mechanisms.emplace_back(name);
  write_sasl(mechanisms);
}

void ConnectionEngine::on_sasl(const SaslFrame& frame) {
  if (observer_ != nullptr) {
    if (const auto* mechanisms = std::get_if<SaslMechanisms>(&frame))
      return on_sasl_mechanisms(*mechanisms);
    if (const auto* outcome = std::get_if<SaslOutcome>(&frame)) return on_sasl_outcome(*outcome);
  } else {
    if (const auto* init = std::get_if<SaslInit>(&frame)) return on_sasl_init(*init);
    if (const auto* response = std::get_if<SaslResponse>(&frame))
      return on_sasl_response(*response);
  }
  fail(make_condition(condition::kNotAllowed, "A SASL frame that is not due."));
}

void ConnectionEngine::on_sasl_init(const SaslInit& init) {
  if (!sasl_identity_.mechanism.empty())
    return fail(make_condition(condition::kNotAllowed, "A second sasl-init."));
  const std::string& mechanism = sasl_identity_.mechanism = init.mechanism.text;
  const std::string response = init.initial_response ? init.initial_response->bytes : "";
  // What comes as the initial response of ANONYMOUS is only a trace: Node sends its key's name.
  if (mechanism == "ANONYMOUS" || mechanism == "MSSBCBS") return send_outcome(SaslCode::ok);
  // The certificate was shown to TLS; the service of each link judges it.
  if (mechanism == "EXTERNAL") {
    sasl_identity_.authorization_id = response;
    return send_outcome(SaslCode::ok);
  }
  if (mechanism == "PLAIN") {
    auto credentials = parse_plain(response);
    if (!credentials) return send_outcome(SaslCode::auth);
    sasl_identity_.user = credentials->user;
    sasl_identity_.authorization_id = credentials->authorization_id;
    is_waiting_ = true;
    auto answer = [self = shared_from_this()](bool is_accepted) {
      self->on_executor([self, is_accepted] {
        self->on_sasl_answer(
            {.kind = is_accepted ? SaslAnswer::Kind::accepted : SaslAnswer::Kind::refused});
      });
    };
    return container_->authenticate(shared_from_this(), std::move(*credentials), std::move(answer));
  }
  exchange_ = container_->start_exchange(shared_from_this(), mechanism,
                                         init.hostname.value_or(std::string{}));
  if (!exchange_) return send_outcome(SaslCode::auth);
  ask_exchange(response);
}

void ConnectionEngine::on_sasl_response(const SaslResponse& response) {
  if (!exchange_)
    return fail(make_condition(condition::kNotAllowed, "A sasl-response without a challenge."));
  if (++sasl_rounds_ > kSaslRoundsMax) return send_outcome(SaslCode::auth);
  ask_exchange(response.response.bytes);
}

void ConnectionEngine::ask_exchange(std::string response) {
  is_waiting_ = true;
  exchange_->respond(std::move(response), [self = shared_from_this()](SaslAnswer answer) {
    self->on_executor([self, given = std::move(answer)] { self->on_sasl_answer(given); });
  });
}

void ConnectionEngine::on_sasl_answer(const SaslAnswer& answer) {
  if (state_ != State::sasl || !std::exchange(is_waiting_, false)) return;
  switch (answer.kind) {
    case SaslAnswer::Kind::challenge: {
      SaslChallenge challenge;
      challenge.challenge = Binary(answer.challenge);
      write_sasl(challenge);
      break;
    }
    case SaslAnswer::Kind::accepted:
      send_outcome(SaslCode::ok);
      break;
    case SaslAnswer::Kind::refused:
      return send_outcome(SaslCode::auth);
  }
  if (transport_ != nullptr) transport_->resume();
}

void ConnectionEngine::send_outcome(SaslCode code) {
  SaslOutcome outcome;
  outcome.code = code;
  write_sasl(outcome);
  if (code == SaslCode::ok) {
    state_ = State::amqp_header;
    return;
  }
  close_reason_ = make_condition(condition::kUnauthorizedAccess, "SASL refused the peer.");
  end_stream("refused by SASL");
}

void ConnectionEngine::on_sasl_mechanisms(const SaslMechanisms& mechanisms) {
  const auto& offered = mechanisms.sasl_server_mechanisms;
  const auto& wanted = options_.sasl_mechanism;
  if (std::none_of(offered.begin(), offered.end(),
                   [&](const Symbol& name) { return name.text == wanted; })) {
    close_reason_ = make_condition(condition::kNotImplemented,
                                   "The peer does not offer the SASL mechanism " + wanted + ".");
    return end_stream("no SASL mechanism in common");
  }
  SaslInit init;
  init.mechanism = Symbol(wanted);
  if (wanted == "PLAIN") init.initial_response = Binary(plain_response(options_.credentials));
  if (wanted == "ANONYMOUS" || wanted == "EXTERNAL") init.initial_response = Binary();
  if (!options_.hostname.empty()) init.hostname = options_.hostname;
  sasl_identity_.mechanism = wanted;
  write_sasl(init);
}

void ConnectionEngine::on_sasl_outcome(const SaslOutcome& outcome) {
  if (outcome.code != SaslCode::ok) {
    close_reason_ = make_condition(condition::kUnauthorizedAccess, "The peer refused our SASL.");
    return end_stream("refused by SASL");
  }
  state_ = State::amqp_header;
  out() += kAmqpHeader;
  transport_->flush_soon();
}

}  // namespace doppel::amqp
