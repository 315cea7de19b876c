#include "provisioning/wire/amqp_tpm.h"

#include <algorithm>
#include <utility>

#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

constexpr unsigned char kIsSegment = 0x80;
constexpr unsigned char kIsLast = 0x40;
constexpr unsigned char kSequenceMask = 0x03;
// What asks for the next part. One byte, never none: C's client reads the first without looking.
constexpr std::string_view kGoOn("\0", 1);

using Kind = amqp::SaslAnswer::Kind;

enum class Stage : std::uint8_t { identity, storage_root_key, segments, over };

// Puts a message that may come in segments together.
class Gathering {
 public:
  enum class State : std::uint8_t { complete, incomplete, malformed };

  State add(std::string_view response) {
    if (response.empty()) return State::malformed;
    const auto control = static_cast<unsigned char>(response.front());
    response.remove_prefix(1);
    if (response.size() > kTpmGatheredMax - content_.size()) return State::malformed;
    if ((control & kIsSegment) == 0) {
      if (control != 0 || count_ != 0) return State::malformed;
      content_ = response;
      return State::complete;
    }
    if ((control & kSequenceMask) != (count_++ & kSequenceMask)) return State::malformed;
    content_ += response;
    return (control & kIsLast) != 0 ? State::complete : State::incomplete;
  }

  std::string take() {
    count_ = 0;
    return std::exchange(content_, {});
  }

 private:
  std::string content_;
  unsigned count_ = 0;
};

}  // namespace

struct TpmExchange::State {
  State(Provisioning& owner, const std::shared_ptr<amqp::Connection>& of, Present then)
      : provisioning(owner), api(owner), connection(of), present(std::move(then)) {}

  void refuse(Answer& answer, const Error& why) {
    stage = Stage::over;
    DeviceCall call;
    call.id = RegistrationId(registration_id);
    call.tracking_id = provisioning.random().uuid();
    call.transport = "amqp";
    (void)api.refuse(call, why);  // for the log and the counters: SASL has no room for a reason
    answer({.kind = Kind::refused});
  }
  void refuse(Answer& answer, std::string why) {
    refuse(answer, fail(errors::dps::kUnauthorized, std::move(why)).error());
  }

  // scope 00 ID 00 key; the key may hold zeros.
  bool read_identity(std::string_view text) {
    const auto scope_end = text.find('\0');
    if (scope_end == text.npos) return false;
    const auto id_end = text.find('\0', scope_end + 1);
    if (id_end == text.npos) return false;
    id_scope = text.substr(0, scope_end);
    registration_id = text.substr(scope_end + 1, id_end - scope_end - 1);
    keys.endorsement_key = text.substr(id_end + 1);
    return true;
  }

  void send_challenge(Answer& answer, std::string made) {
    if (made.size() > kTpmSegmentsMax * kTpmSegmentSize) {
      return refuse(answer, "the TPM's keys make a challenge that is too long");
    }
    blob = std::move(made);
    stage = Stage::segments;
    send_segment(answer);
  }

  // After a refusal in SASL Node's client waits in vain, and no client sees a reason. So the device
  // goes on, with a challenge that will not help it, and is told after the open.
  void send_empty_challenge(Answer& answer, const std::string& why) {
    auto made = provisioning.registrar().empty_challenge(keys);
    if (!made) return refuse(answer, why);
    send_challenge(answer, *std::move(made));
  }

  void send_segment(Answer& answer) {
    const auto sequence = static_cast<unsigned char>(sent / kTpmSegmentSize);
    const std::string_view part = std::string_view(blob).substr(sent, kTpmSegmentSize);
    sent += part.size();
    std::string segment(1, static_cast<char>(kIsSegment | (sent == blob.size() ? kIsLast : 0) |
                                             (sequence & kSequenceMask)));
    segment += part;
    answer({.kind = Kind::challenge, .challenge = std::move(segment)});
  }

  Provisioning& provisioning;
  DeviceApi api;
  // The connection owns the exchange, and may be gone when a challenge is ready.
  std::weak_ptr<amqp::Connection> connection;
  Present present;
  Stage stage = Stage::identity;
  Gathering gathering;
  std::string id_scope;
  std::string registration_id;
  TpmKeys keys;
  std::string blob;
  std::size_t sent = 0;  // bytes of the blob
};

TpmExchange::TpmExchange(Provisioning& provisioning,
                         const std::shared_ptr<amqp::Connection>& connection, Present present)
    : state_(std::make_shared<State>(provisioning, connection, std::move(present))) {}

void TpmExchange::respond(std::string response, Answer answer) {
  State& state = *state_;
  if (state.stage == Stage::over) return state.refuse(answer, "SASL TPM goes on after its end");

  if (state.stage == Stage::segments) {
    if (response.empty() || response.front() != '\0') {
      return state.refuse(answer, "SASL TPM: the answer to a challenge cannot be read");
    }
    if (state.sent < state.blob.size()) return state.send_segment(answer);
    state.stage = Stage::over;
    const auto connection = state.connection.lock();
    if (!connection) return;
    Proof proof;
    proof.sas_token = response.substr(1);
    proof.tpm = state.keys;
    state.present(*connection, TpmPresented{.id_scope = state.id_scope,
                                            .registration_id = state.registration_id,
                                            .proof = std::move(proof)});
    // A wrong token is told after the open, where clients see why.
    return answer({.kind = Kind::accepted});
  }

  switch (state.gathering.add(response)) {
    case Gathering::State::malformed:
      return state.refuse(answer, "SASL TPM: a response cannot be read");
    case Gathering::State::incomplete:
      return answer({.kind = Kind::challenge, .challenge = std::string(kGoOn)});
    case Gathering::State::complete:
      break;
  }
  std::string content = state.gathering.take();
  if (state.stage == Stage::identity) {
    if (!state.read_identity(content)) {
      return state.refuse(answer, "SASL TPM: the initial response cannot be read");
    }
    state.stage = Stage::storage_root_key;
    return answer({.kind = Kind::challenge, .challenge = std::string(kGoOn)});
  }

  state.keys.storage_root_key = std::move(content);
  auto instance = state.provisioning.find_by_scope(state.id_scope);
  if (!instance) return state.send_empty_challenge(answer, "unknown ID scope");
  state.stage = Stage::over;  // until the challenge is there nothing may come
  auto made = state.provisioning.registrar().challenge(
      std::move(instance), RegistrationId(state.registration_id), state.keys);
  spawn(std::move(made),
        [kept = state_, answer = std::move(answer)](Result<std::string> blob) mutable {
          if (blob) return kept->send_challenge(answer, *std::move(blob));
          if (blob.error().service != &errors::dps::kUnauthorized) {
            return kept->refuse(answer, blob.error());
          }
          kept->send_empty_challenge(answer, blob.error().message);
        });
}

}  // namespace doppel::provisioning
