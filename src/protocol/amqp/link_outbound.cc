// The half of LinkEndpoint that sends: credit, drain, messages split over frames.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "protocol/amqp/connection.h"
#include "protocol/amqp/link_endpoint.h"

namespace doppel::amqp {
namespace {

constexpr std::size_t kOwnTagBytes = 4;
// A transfer performative with a tag of the longest kind takes less than this.
constexpr std::size_t kTransferBytesMax = 96;
// Delivery counts are serial numbers: further apart, a later one would look like an earlier one
// (section 2.8.10). A receiver may give more; no link sends that much before the next flow.
constexpr std::uint32_t kCreditMax = 0x7fffffff;

}  // namespace

void LinkEndpoint::on_flow(const Flow& flow) {
  if (is_inbound_) {
    // A sender tells where it is: after it used up its credit to honour a drain, or when it has
    // nothing to send.
    if (flow.delivery_count && serial_distance(delivery_count_, *flow.delivery_count) > 0 &&
        serial_distance(*flow.delivery_count, limit_max_) >= 0) {
      delivery_count_ = *flow.delivery_count;
      if (serial_distance(delivery_count_, limit_) < 0) limit_ = delivery_count_;
      update_credit();
    }
    if (flow.echo) owe_flow();
    return;
  }
  if (flow.link_credit) {
    // Section 2.6.7: what the receiver has not counted yet is taken off. One that has not seen our
    // attach knows no delivery count.
    const auto under_way = serial_lead(flow.delivery_count.value_or(0), delivery_count_);
    credit_ = std::min(*flow.link_credit - std::min(*flow.link_credit, under_way), kCreditMax);
  }
  is_draining_ = flow.drain;
  is_drain_told_ = false;
  if (flow.echo) owe_flow();
  engine_->want_pump();
}

bool LinkEndpoint::can_send() const {
  const bool can = state_ == State::attached && !is_inbound_ && credit_ > 0 && remainder_.empty() &&
                   session_->can_transfer() && engine_->has_room();
  if (!can) is_waiting_ = true;
  return can;
}

void LinkEndpoint::pump() {
  if (state_ != State::attached || is_inbound_) return;
  continue_send();
  const auto handler = handler_;
  if (!handler) return;
  if (is_waiting_ && can_send()) {
    is_waiting_ = false;
    handler->on_can_send();
  }
  if (state_ != State::attached || !is_draining_ || is_drain_told_ || !remainder_.empty()) return;
  // Not while messages wait for the window or the backlog: they are owed first.
  if (credit_ > 0 && !can_send()) return;
  is_drain_told_ = true;
  if (handler->on_drain()) drained();
}

// Section 2.6.7: the credit that is left is used up, and a flow says so.
void LinkEndpoint::drained() {
  if (state_ != State::attached || !std::exchange(is_draining_, false)) return;
  is_drain_told_ = false;
  delivery_count_ += std::exchange(credit_, 0);
  owes_drain_flow_ = true;
  owe_flow();
}

std::uint32_t LinkEndpoint::send(std::span<const std::string_view> pieces,
                                 const SendOptions& options) {
  check(can_send(), "a message is sent only while the link can send");
  check(options.tag.size() <= kDeliveryTagBytesMax, "a delivery tag has at most 32 bytes");
  // A reply does not overtake the verdict on its request.
  session_->flush_verdicts();
  const bool is_settled = sends_settled_ || options.is_settled;
  --credit_;
  ++delivery_count_;
  const auto id = session_->outgoing_.next();
  session_->outgoing_.push(is_settled ? Session::Entry{} : Session::Entry{.link = this});

  char own_tag[kOwnTagBytes];
  const auto counter = ++next_tag_;
  for (std::size_t i = 0; i < kOwnTagBytes; ++i)
    own_tag[i] = static_cast<char>(counter >> (8 * (kOwnTagBytes - 1 - i)));
  Transfer transfer;
  transfer.handle = handle_;
  transfer.delivery_id = id;
  transfer.delivery_tag = DeliveryTag::from(
      options.tag.empty() ? std::string_view(own_tag, kOwnTagBytes) : options.tag);
  transfer.message_format = options.message_format;
  transfer.settled = is_settled;
  write_frames(pieces, transfer);
  return id;
}

// Writes as many frames as the session window allows; what is left waits in remainder_.
void LinkEndpoint::write_frames(std::span<const std::string_view> pieces, Transfer& transfer) {
  std::size_t left = 0;
  for (const auto piece : pieces) left += piece.size();
  std::string& out = engine_->out();
  std::size_t piece = 0;
  std::size_t from = 0;  // in that piece
  while (session_->peer_window_ > 0) {
    const std::size_t room = engine_->peer_frame_bytes() - kFrameHeaderBytes - kTransferBytesMax;
    auto now = std::min(left, room);
    transfer.more = now < left;
    const auto start = begin_frame(out, FrameType::amqp, session_->channel_);
    append(out, transfer);
    left -= now;
    while (now > 0) {
      const auto part = pieces[piece].substr(from, now);
      out += part;
      now -= part.size();
      from += part.size();
      if (from == pieces[piece].size()) {
        ++piece;
        from = 0;
      }
    }
    end_frame(out, start);
    session_->count_transfer();
    if (!transfer.more) break;
    // Only the first transfer of a message names it. rhea takes the delivery-id of a later one for
    // that of a new message (rhea: lib/session.js, Incoming.on_transfer).
    transfer.delivery_id.reset();
    transfer.delivery_tag.reset();
    transfer.message_format.reset();
  }
  engine_->wrote();
  if (transfer.more) {
    for (; piece < pieces.size(); ++piece, from = 0) remainder_ += pieces[piece].substr(from);
    engine_->count_remainder(remainder_.size());
    session_->partial_ = this;
  }
  // Handlers also send from jobs of their own, after which nothing else would flush.
  engine_->has_sent_ = true;
  if (engine_->transport_ != nullptr) engine_->transport_->flush_soon();
}

// The rest of a message, now that the session window is open again.
void LinkEndpoint::continue_send() {
  if (remainder_.empty() || session_->peer_window_ == 0) return;
  const std::string rest = take_remainder();
  const std::string_view piece = rest;
  Transfer transfer;
  transfer.handle = handle_;
  write_frames({&piece, 1}, transfer);
}

// Out of the link; other links of the session may send then.
std::string LinkEndpoint::take_remainder() {
  if (remainder_.empty()) return {};
  engine_->uncount_remainder(remainder_.size());
  if (session_ != nullptr && session_->partial_ == this) session_->partial_ = nullptr;
  engine_->want_pump();
  std::string rest;
  rest.swap(remainder_);
  return rest;
}

void LinkEndpoint::on_verdict(std::uint32_t id, const Verdict& verdict) {
  if (const auto handler = handler_) handler->on_verdict(id, verdict);
}

}  // namespace doppel::amqp
