#include "protocol/amqp/connection.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include "base/check.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/link_endpoint.h"
#include "protocol/amqp/session.h"

namespace doppel::amqp {
namespace {

const PeerInfo kNobody{};

// How often a peer that announced no idle time-out hears from us: so that a connection whose peer
// vanished without a word fails some day.
constexpr Duration kUnaskedSignInterval = std::chrono::seconds(60);

template <class... Termini>
std::size_t address_size(const std::variant<Termini...>& terminus) {
  return std::visit(
      []<class T>(const T& one) -> std::size_t {
        if constexpr (requires { one.address; })
          return one.address ? one.address->size() : 0;
        else
          return 0;
      },
      terminus);
}

bool has_long_name(const Link& link) {
  const Attach& request = link.request();
  return std::max({link.name().size(), address_size(request.source),
                   address_size(request.target)}) > kLinkNameBytesMax;
}

// The terminus on our side names no node, or wants one made.
Condition no_address(const Link& link) {
  const Attach& request = link.request();
  const auto* source = std::get_if<Source>(&request.source);
  const auto* target = std::get_if<Target>(&request.target);
  const bool is_dynamic = link.is_inbound() ? target != nullptr && target->dynamic
                                            : source != nullptr && source->dynamic;
  if (is_dynamic)
    return make_condition(condition::kNotImplemented,
                          "Nodes are not made on demand here; the attach has to name one.");
  return make_condition(condition::kInvalidField,
                        link.is_inbound()
                            ? "The attach of a sender has to name a node: its target's address."
                            : "The attach of a receiver has to name a node: its source's address.");
}

}  // namespace

void Container::authenticate(std::shared_ptr<Connection>, PlainCredentials,
                             std::move_only_function<void(bool)> answer) {
  answer(false);
}

std::unique_ptr<SaslExchange> Container::start_exchange(std::shared_ptr<Connection>,
                                                        std::string_view, std::string_view) {
  return nullptr;
}

void Container::open(std::shared_ptr<Connection>,
                     std::move_only_function<void(std::optional<Condition>)> answer) {
  answer(std::nullopt);
}

ConnectionEngine::ConnectionEngine(Transport& transport, Container* container,
                                   ClientObserver* observer, EngineOptions options)
    : transport_(&transport),
      executor_(&transport.executor()),
      container_(container),
      observer_(observer),
      options_(std::move(options)) {}

ConnectionEngine::~ConnectionEngine() = default;

std::shared_ptr<ConnectionEngine> ConnectionEngine::server(Transport& transport,
                                                           Container& container,
                                                           EngineOptions options) {
  return std::shared_ptr<ConnectionEngine>(
      new ConnectionEngine(transport, &container, nullptr, std::move(options)));
}

std::shared_ptr<ConnectionEngine> ConnectionEngine::client(Transport& transport,
                                                           ClientObserver& observer,
                                                           EngineOptions options) {
  return std::shared_ptr<ConnectionEngine>(
      new ConnectionEngine(transport, nullptr, &observer, std::move(options)));
}

void ConnectionEngine::start() {
  check(observer_ != nullptr && state_ == State::header, "only a fresh client starts");
  out() += options_.sasl_mechanism.empty() ? kAmqpHeader : kSaslHeader;
  transport_->flush_soon();
}

std::shared_ptr<Session> ConnectionEngine::begin_session() {
  if (state_ != State::open) return nullptr;
  const auto channel = free_channel();
  if (!channel) return nullptr;
  auto session = std::make_shared<Session>(*this, *channel);
  if (*channel >= sessions_.size()) sessions_.resize(*channel + 1U);
  sessions_[*channel] = session;
  session->state_ = Session::State::begin_sent;
  session->send_begin(std::nullopt);
  return session;
}

bool ConnectionEngine::is_paused() const {
  if (state_ == State::closed) return true;
  return state_ != State::closing && (is_waiting_ || is_full_ || is_stopping_);
}

const PeerInfo& ConnectionEngine::peer() const {
  return transport_ == nullptr ? kNobody : transport_->peer();
}

std::shared_ptr<void>& ConnectionEngine::slot(const void* owner) {
  for (auto& [who, what] : slots_)
    if (who == owner) return what;
  return slots_.emplace_back(owner, nullptr).second;
}

bool ConnectionEngine::has_room() const {
  return transport_ != nullptr && transport_->backlog() < options_.limits.backlog_bytes_max &&
         remainder_bytes_ < options_.limits.remainder_bytes_max;
}

bool ConnectionEngine::reserve_assembly(std::size_t bytes) {
  if (assembly_bytes_ + bytes > options_.limits.assembly_bytes_max) return false;
  assembly_bytes_ += bytes;
  return true;
}

void ConnectionEngine::uncount_unjudged(std::uint32_t bytes) {
  unjudged_bytes_ -= bytes;
  --unjudged_;
  if (is_full_ || is_stopping_) want_pump();
}

void ConnectionEngine::resume_if_paused() {
  if (!is_full_ || transport_ == nullptr || unjudged_bytes_ >= options_.limits.unjudged_bytes_max)
    return;
  for (const auto& session : sessions_)
    if (session && session->is_full()) return;
  is_full_ = false;
  transport_->resume();
}

void ConnectionEngine::want_pump() {
  wants_pump_ = true;
  if (transport_ != nullptr) transport_->flush_soon();
}

void ConnectionEngine::add_dirty(std::shared_ptr<Session> session) {
  dirty_.push_back(std::move(session));
  if (transport_ != nullptr) transport_->flush_soon();
}

// Gives every link that waits for it the chance to send; a different one is first each time.
void ConnectionEngine::pump() {
  if (!std::exchange(wants_pump_, false) || state_ != State::open) return;
  const auto sessions = sessions_;
  const auto first = next_pumped_++;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const auto& session = sessions[(first + i) % sessions.size()];
    if (!session || session->state_ != Session::State::mapped) continue;
    const auto links = session->links_;
    for (std::size_t j = 0; j < links.size(); ++j) {
      const auto& link = links[(first + j) % links.size()];
      if (link) link->pump();
    }
  }
  resume_if_paused();
}

void ConnectionEngine::flush() {
  if (transport_ == nullptr) return;
  const auto self = shared_from_this();
  pump();
  flushing_.swap(dirty_);
  for (const auto& session : flushing_) {
    if (session->engine_ != nullptr) session->flush();
  }
  flushing_.clear();
  if (is_stopping_ && unjudged_ == 0) stop();
  if (failure_) close(std::exchange(failure_, std::nullopt));
}

void ConnectionEngine::on_drained() { want_pump(); }

void ConnectionEngine::on_executor(Job job) {
  if (Executor::current_or_null() == executor_) return job();
  executor_->post(std::move(job));
}

void ConnectionEngine::offer(const std::shared_ptr<LinkEndpoint>& link) {
  if (container_ == nullptr)
    return link->refuse(
        make_condition(condition::kNotAllowed, "A client takes no links of its peer."));
  if (link->session_ == nullptr) return;  // it ended before its turn came
  // Not link by link: each that is refused has its handle until the peer says that it has gone.
  if (link_count_ > options_.limits.links_max)
    return link->session_->end(make_condition(condition::kResourceLimitExceeded,
                                              "The connection has as many links as it may."));
  if (has_long_name(*link))
    return link->refuse(make_condition(condition::kInvalidField,
                                       fmt::format("A link's name and its addresses have at most "
                                                   "{} bytes each.",
                                                   kLinkNameBytesMax)));
  const bool is_coordinator = std::holds_alternative<Value>(link->request().target) ||
                              std::holds_alternative<Value>(link->request().source);
  if (is_coordinator)
    return link->refuse(
        make_condition(condition::kNotImplemented, "There are no transactions here."));
  if (link->address().empty()) return link->refuse(no_address(*link));
  Service* const service = container_->service_for({.address = link->address(),
                                                    .hostname = hostname_,
                                                    .is_inbound = link->is_inbound(),
                                                    .connection = *this});
  if (service != nullptr) return service->on_attach(link);
  // The words that Azure's clients look for (event-hubs.md, section 4).
  link->refuse(make_condition(condition::kNotFound, "The messaging entity '" +
                                                        std::string(link->address()) +
                                                        "' could not be found. status-code: 404"));
}

void ConnectionEngine::fail(Condition why) {
  if (failure_ || state_ == State::closing || state_ == State::closed) return;
  failure_ = std::move(why);
  if (transport_ != nullptr) transport_->flush_soon();
}

void ConnectionEngine::close(std::optional<Condition> why) {
  if (transport_ == nullptr || state_ == State::closing || state_ == State::closed) return;
  const auto self = shared_from_this();
  close_reason_ = why;
  // Section 2.4.3: close may only follow open; before the AMQP header nobody would understand it.
  if (state_ == State::header || state_ == State::sasl || state_ == State::amqp_header)
    return end_stream(why ? why->description : "closed");
  if (!is_open_sent_) send_open(why);
  for (const auto& session : sessions_)
    if (session) session->flush_verdicts();
  Close close;
  if (why) close.error = to_error(*why);
  write(0, close);
  drop_sessions(why ? &*why : nullptr);
  state_ = State::closing;
  state_for_ = Duration::zero();
  transport_->resume();
}

void ConnectionEngine::stop() {
  is_stopping_ = true;
  if (unjudged_ > 0) return;
  close(make_condition(condition::kConnectionForced, "The server stops."));
}

void ConnectionEngine::drop_sessions(const Condition* why) {
  const auto sessions = std::exchange(sessions_, {});
  channels_.clear();
  dirty_.clear();
  for (const auto& session : sessions) {
    if (!session) continue;
    session->drop_links(why);
    session->state_ = Session::State::over;
    session->engine_ = nullptr;
  }
}

void ConnectionEngine::end_stream(std::string_view reason) {
  if (std::exchange(state_, State::closed) == State::closed) return;
  if (transport_ != nullptr) transport_->close(reason);
}

void ConnectionEngine::on_transport_closed() {
  if (transport_ == nullptr) return;
  const auto self = shared_from_this();
  const bool was_orderly = state_ == State::closed || state_ == State::closing;
  state_ = State::closed;
  transport_ = nullptr;
  exchange_.reset();
  if (!was_orderly && !close_reason_)
    close_reason_ = make_condition(condition::kConnectionForced, "The connection was lost.");
  drop_sessions(close_reason_ ? &*close_reason_ : nullptr);
  executor_->post([last = SlotsCleared(self)] {
    const auto& engine = *last.engine;
    if (engine.observer_ != nullptr)
      engine.observer_->on_closed(engine.close_reason_ ? &*engine.close_reason_ : nullptr);
  });
}

// Signs of life go out when nothing else did for a quarter of the peer's idle time-out: at the
// latest one tick later, so within half of it (section 2.4.5).
SteadyTime ConnectionEngine::tick(SteadyTime now) {
  const auto& limits = options_.limits;
  const auto asked = std::chrono::milliseconds(peer_idle_ms_);
  const Duration sign = peer_idle_ms_ == 0 ? kUnaskedSignInterval : Duration(asked) / 4;
  const Duration elapsed = now - last_tick_.value_or(now);
  last_tick_ = now;
  if (transport_ == nullptr || state_ == State::closed) return now + limits.idle_timeout;

  silent_for_ =
      std::exchange(has_heard_, false) || is_paused() ? Duration::zero() : silent_for_ + elapsed;
  unsaid_for_ = std::exchange(has_sent_, false) ? Duration::zero() : unsaid_for_ + elapsed;
  state_for_ += elapsed;
  if (state_ == State::closing) {
    if (state_for_ >= limits.closing) end_stream("the peer does not answer our close");
    return now + limits.closing;
  }
  if (state_ != State::open) {
    if (state_for_ >= limits.handshake)
      close(make_condition(condition::kConnectionForced, "No open within the time limit."));
    return now + limits.handshake / 4;
  }
  // Python sends no signs of life: a quiet receiver is not dead (event-hubs.md, section 3).
  if (silent_for_ >= limits.idle_timeout && subscription_count_ == 0) {
    close(make_condition(condition::kConnectionForced,
                         "The connection was inactive for more than the allowed period."));
    return now + limits.closing;
  }
  if (unsaid_for_ >= sign && transport_->backlog() == 0) {
    append_empty_frame(out());
    transport_->flush_soon();
    unsaid_for_ = Duration::zero();
  }
  return now + std::min(sign, limits.idle_timeout / 4);
}

}  // namespace doppel::amqp
