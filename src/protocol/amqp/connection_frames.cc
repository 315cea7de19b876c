// What arrives on a connection: headers and frames, and what concerns the connection as a whole.
#include <algorithm>
#include <utility>
#include <variant>

#include "protocol/amqp/connection.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/session.h"

namespace doppel::amqp {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

std::size_t ConnectionEngine::on_bytes(std::string_view bytes) {
  const auto self = shared_from_this();
  std::size_t taken = 0;
  if (!bytes.empty()) has_heard_ = true;
  while (transport_ != nullptr && !is_paused()) {
    const bool is_header = state_ == State::header || state_ == State::amqp_header;
    const auto rest = bytes.substr(taken);
    const auto size = is_header ? take_header(rest) : take_frame(rest);
    taken += size;
    if (failure_) close(std::exchange(failure_, std::nullopt));
    if (size == 0) break;
  }
  return taken;
}

std::size_t ConnectionEngine::take_header(std::string_view bytes) {
  const auto seen = bytes.substr(0, kProtocolHeaderBytes);
  if (kAmqpHeader.substr(0, 4) != seen.substr(0, 4) && !kAmqpHeader.starts_with(seen)) {
    refuse_header();
    return 0;
  }
  if (seen.size() < kProtocolHeaderBytes) return 0;
  if (seen == kSaslHeader && state_ == State::header) {
    on_header(true);
  } else if (seen == kAmqpHeader) {
    on_header(false);
  } else {
    refuse_header();
    return 0;
  }
  return kProtocolHeaderBytes;
}

// Section 2.2: whoever speaks another protocol, or another version, is told ours and left.
void ConnectionEngine::refuse_header() {
  if (observer_ == nullptr) {
    out() += state_ == State::header ? kSaslHeader : kAmqpHeader;
    transport_->flush_soon();
  }
  close_reason_ = make_condition(condition::kFramingError, "The peer does not speak AMQP 1.0.");
  end_stream("not AMQP 1.0");
}

void ConnectionEngine::on_header(bool is_sasl) {
  if (observer_ != nullptr) {
    const bool wants_sasl = state_ == State::header && !options_.sasl_mechanism.empty();
    if (is_sasl != wants_sasl) return refuse_header();
    state_ = is_sasl ? State::sasl : State::opening;
    if (!is_sasl) send_open(std::nullopt);
    return;
  }
  out() += is_sasl ? kSaslHeader : kAmqpHeader;
  transport_->flush_soon();
  state_ = is_sasl ? State::sasl : State::opening;
  if (is_sasl) send_mechanisms();
}

std::size_t ConnectionEngine::take_frame(std::string_view bytes) {
  auto header = decode_frame_header(bytes);
  if (header.needs_more()) return 0;
  if (header.is_malformed()) return fail_framing(header.reason());
  const auto most = state_ == State::sasl ? kSaslFrameBytesMax : options_.limits.frame_bytes_max;
  if (header->size > most) return fail_framing("A frame is larger than max-frame-size.");
  if (bytes.size() < header->size) return 0;
  on_frame(*header, bytes.substr(header->body_offset, header->size - header->body_offset));
  return header->size;
}

// Where the next frame begins is not known any more, so the peer's close cannot be waited for.
std::size_t ConnectionEngine::fail_framing(std::string_view reason) {
  close(make_condition(condition::kFramingError, reason));
  end_stream(reason);
  return 0;
}

void ConnectionEngine::on_frame(const FrameHeader& header, std::string_view body) {
  const auto type = state_ == State::sasl ? FrameType::sasl : FrameType::amqp;
  if (header.type != static_cast<std::uint8_t>(type))
    return fail(make_condition(condition::kFramingError, "A frame of a type that is not due."));
  if (type == FrameType::sasl) {
    auto frame = decode_sasl_frame(body);
    if (!frame.has_value()) return fail(make_condition(condition::kDecodeError, frame.reason()));
    return on_sasl(*frame);
  }
  if (body.empty()) return;  // a sign of life
  auto decoded = decode_performative(body);
  if (!decoded.has_value()) {
    return fail(make_condition(condition::kDecodeError, decoded.reason()));
  }
  dispatch(header.channel, std::move(decoded->performative), body.substr(decoded->consumed));
}

void ConnectionEngine::dispatch(std::uint16_t channel, Performative&& performative,
                                std::string_view payload) {
  if (state_ == State::closing) {
    // Section 2.4.6: all but the peer's close is thrown away.
    if (std::holds_alternative<Close>(performative)) end_stream("closed by both sides");
    return;
  }
  if (auto* const open = std::get_if<Open>(&performative)) return on_open(*open);
  if (state_ != State::open)
    return fail(make_condition(condition::kIllegalState, "The first frame is not an open."));
  if (auto* const close = std::get_if<Close>(&performative)) return on_close(*close);
  if (auto* const begin = std::get_if<Begin>(&performative)) return on_begin(channel, *begin);

  Session* const found = find_session(channel);
  if (found == nullptr)
    return fail(make_condition(condition::kNotAllowed, "A frame is on a channel without session."));
  const auto session = found->shared_from_this();
  if (auto* const end = std::get_if<End>(&performative)) {
    session->on_end(*end);
    return forget_channel(channel);
  }
  if (session->state_ != Session::State::mapped) return;  // we ended it; the peer's end will come
  std::visit(Overloaded{
                 [&](Transfer& transfer) {
                   session->on_transfer(transfer, payload);
                   if (unjudged_bytes_ >= options_.limits.unjudged_bytes_max ||
                       (session->engine_ != nullptr && session->is_full()))
                     is_full_ = true;
                 },
                 [&](Flow& flow) { session->on_flow(flow); },
                 [&](Disposition& disposition) { session->on_disposition(disposition); },
                 [&](Attach& attach) { session->on_attach(std::move(attach)); },
                 [&](Detach& detach) { session->on_detach(detach); },
                 [](auto&) {},
             },
             performative);
}

void ConnectionEngine::on_open(const Open& open) {
  if (state_ != State::opening)
    return fail(make_condition(condition::kIllegalState, "A second open."));
  if (open.max_frame_size < kFrameBytesMin)
    return fail(make_condition(condition::kInvalidField, "max-frame-size is below 512."));
  hostname_ = open.hostname.value_or(std::string{});
  container_id_ = open.container_id;
  peer_frame_bytes_ = std::min(open.max_frame_size, options_.limits.frame_bytes_max);
  peer_channel_max_ = open.channel_max;
  peer_idle_ms_ = open.idle_time_out.value_or(0);
  if (observer_ != nullptr) {
    state_ = State::open;
    return observer_->on_open(open);
  }
  state_ = State::judging;
  is_waiting_ = true;
  container_->open(
      shared_from_this(), [self = shared_from_this()](std::optional<Condition> why) mutable {
        self->on_executor([self, verdict = std::move(why)] { self->on_open_verdict(verdict); });
      });
}

void ConnectionEngine::on_open_verdict(const std::optional<Condition>& why) {
  if (state_ != State::judging) return;
  const bool was_waiting = std::exchange(is_waiting_, false);
  send_open(why);
  state_ = State::open;
  if (why) return close(why);
  if (was_waiting) transport_->resume();
}

// `error`: the close that follows has it; Azure announces it here too (dps.md).
void ConnectionEngine::send_open(const std::optional<Condition>& error) {
  Open open;
  open.container_id = options_.container_id;
  if (!options_.hostname.empty()) open.hostname = options_.hostname;
  open.max_frame_size = options_.limits.frame_bytes_max;
  open.channel_max = options_.limits.channel_max;
  open.idle_time_out =
      static_cast<std::uint32_t>(options_.limits.idle_timeout / std::chrono::milliseconds(1));
  if (error) {
    Map properties;
    properties.add_symbol("com.microsoft:open-error", Symbol(error->condition));
    open.properties = std::move(properties);
  }
  is_open_sent_ = true;
  write(0, open);
}

void ConnectionEngine::on_begin(std::uint16_t channel, const Begin& begin) {
  if (channel > options_.limits.channel_max)
    return fail(make_condition(condition::kFramingError, "A channel is above channel-max."));
  if (find_session(channel) != nullptr)
    return fail(make_condition(condition::kNotAllowed, "The channel has a session already."));
  if (begin.remote_channel) {
    const auto own = *begin.remote_channel;
    const auto session = own < sessions_.size() ? sessions_[own] : nullptr;
    if (!session || session->peer_channel_)
      return fail(make_condition(condition::kNotAllowed, "A begin answers none of ours."));
    session->peer_channel_ = channel;
    channels_.push_back({.peer = channel, .session = session});
    return session->on_begin(begin);
  }
  const auto own = free_channel();
  if (observer_ != nullptr || !own)
    return fail(make_condition(condition::kResourceLimitExceeded,
                               "The connection takes no more sessions."));
  const auto session = std::make_shared<Session>(*this, *own);
  if (*own >= sessions_.size()) sessions_.resize(*own + 1U);
  sessions_[*own] = session;
  session->peer_channel_ = channel;
  channels_.push_back({.peer = channel, .session = session});
  session->on_begin(begin);
  session->send_begin(channel);
}

void ConnectionEngine::on_close(const Close& peer_close) {
  close_reason_ = from_error(peer_close.error);
  for (const auto& session : sessions_)
    if (session) session->flush_verdicts();
  write(0, Close{});
  drop_sessions(close_reason_ ? &*close_reason_ : nullptr);
  end_stream("the peer closed the connection");
}

// Few sessions, and most frames are for the one of the frame before.
Session* ConnectionEngine::find_session(std::uint16_t channel) {
  for (auto& entry : channels_)
    if (entry.peer == channel) return entry.session.get();
  return nullptr;
}

std::optional<std::uint16_t> ConnectionEngine::free_channel() const {
  const auto gap = std::find(sessions_.begin(), sessions_.end(), nullptr);
  const auto channel = static_cast<std::size_t>(gap - sessions_.begin());
  if (channel >= options_.limits.sessions_max || channel > peer_channel_max_) return std::nullopt;
  return static_cast<std::uint16_t>(channel);
}

void ConnectionEngine::forget_channel(std::uint16_t channel) {
  const auto at = std::find_if(channels_.begin(), channels_.end(),
                               [&](const Channel& entry) { return entry.peer == channel; });
  if (at == channels_.end()) return;
  const auto session = at->session;
  channels_.erase(at);
  if (session->channel_ < sessions_.size() && sessions_[session->channel_] == session)
    sessions_[session->channel_].reset();
  session->engine_ = nullptr;
}

}  // namespace doppel::amqp
