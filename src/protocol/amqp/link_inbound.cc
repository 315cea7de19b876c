// The half of LinkEndpoint that receives: messages of one frame or many, credit, verdicts.
#include <algorithm>
#include <utility>

#include "protocol/amqp/connection.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/link_endpoint.h"

namespace doppel::amqp {
namespace {

Condition too_long(std::uint64_t most) {
  return {.condition = std::string(condition::kMessageSizeExceeded),
          .description = "The message is longer than the " + std::to_string(most) +
                         " bytes that this link takes."};
}

std::string_view tag_of(const Transfer& transfer) {
  return transfer.delivery_tag ? transfer.delivery_tag->view() : std::string_view{};
}

}  // namespace

void LinkEndpoint::on_transfer(const Transfer& transfer, std::string_view payload) {
  if (!is_inbound_)
    return detach(Condition{.condition = std::string(condition::kNotAllowed),
                            .description = "A transfer came from the receiver of the link."});
  if (!is_message_under_way()) {
    if (serial_distance(delivery_count_, limit_max_) <= 0)
      return detach(Condition{.condition = std::string(condition::kTransferLimitExceeded),
                              .description = "A transfer came without credit."});
    ++delivery_count_;
    if (serial_distance(delivery_count_, limit_) < 0) limit_ = delivery_count_;
    if (transfer.aborted) {
      session_->settle_incoming(transfer.delivery_id.value_or(0), *this);
      return update_credit();
    }
    if (!transfer.more && (max_message_size_ == 0 || payload.size() <= max_message_size_)) {
      // The common case: one frame, no copy.
      const Delivery delivery{.id = transfer.delivery_id.value_or(0),
                              .message_format = transfer.message_format.value_or(0),
                              .tag = tag_of(transfer),
                              .is_settled = transfer.settled.value_or(false),
                              .payload = payload};
      return deliver(delivery);
    }
    first_transfer(transfer);
  }
  more_transfer(transfer, payload);
}

void LinkEndpoint::first_transfer(const Transfer& transfer) {
  assembly_ = std::make_unique<Assembly>();
  assembly_->is_settled = transfer.settled.value_or(false);
  assembly_->id = transfer.delivery_id.value_or(0);
  assembly_->message_format = transfer.message_format.value_or(0);
  assembly_->tag = tag_of(transfer);
}

void LinkEndpoint::more_transfer(const Transfer& transfer, std::string_view payload) {
  Assembly& message = *assembly_;
  // Section 2.7.5: settled on any of the transfers settles the delivery.
  if (transfer.settled.value_or(false)) message.is_settled = true;
  if (transfer.aborted) {
    session_->settle_incoming(message.id, *this);
    drop_assembly();
    return update_credit();
  }
  if (!message.is_oversize) {
    if (max_message_size_ != 0 && message.bytes.size() + payload.size() > max_message_size_) {
      message.is_oversize = true;
      engine_->release_assembly(message.bytes.size());
      std::string().swap(message.bytes);  // an assignment would keep the memory
    } else if (!engine_->reserve_assembly(payload.size())) {
      return detach(Condition{.condition = std::string(condition::kResourceLimitExceeded),
                              .description = "Too many long messages are under way."});
    } else {
      message.bytes += payload;
    }
  }
  if (transfer.more) return;
  if (message.is_oversize) return finish_oversize();

  // Out of the link while the handler has it: the handler may detach.
  const auto whole = std::move(assembly_);
  engine_->release_assembly(whole->bytes.size());
  deliver(Delivery{.id = whole->id,
                   .message_format = whole->message_format,
                   .tag = whole->tag,
                   .is_settled = whole->is_settled,
                   .payload = whole->bytes});
}

// The link stays open where there is a verdict to give (event-hubs.md, section 6); a sender that
// settles in advance would lose the message without a word, so there it does not.
void LinkEndpoint::finish_oversize() {
  const auto id = assembly_->id;
  const bool is_settled = assembly_->is_settled;
  drop_assembly();
  if (is_settled) return detach(too_long(max_message_size_));
  ++unjudged_;
  reject(id, too_long(max_message_size_));
}

void LinkEndpoint::drop_assembly() {
  if (!assembly_) return;
  engine_->release_assembly(assembly_->bytes.size());
  assembly_.reset();
}

void LinkEndpoint::deliver(const Delivery& delivery) {
  if (delivery.is_settled) {
    session_->settle_incoming(delivery.id, *this);
  } else {
    ++unjudged_;
    session_->take_incoming(delivery.id, static_cast<std::uint32_t>(delivery.payload.size()));
  }
  update_credit();
  // By a copy of its own: the handler may end the link while it runs.
  if (const auto handler = handler_) handler->on_message(delivery);
}

void LinkEndpoint::judge(std::uint32_t id, bool is_accepted) {
  if (state_ != State::attached || is_assembling(id)) return;
  if (!session_->settle_incoming(id, *this)) return;
  session_->queue_verdict(id, is_accepted);
  judged();
}

// For states that say more than one word: never a range.
void LinkEndpoint::judge_now(std::uint32_t id, DeliveryState state) {
  if (state_ != State::attached || is_assembling(id)) return;
  if (!session_->settle_incoming(id, *this)) return;
  session_->send_verdict(id, std::move(state));
  judged();
}

void LinkEndpoint::accept(std::uint32_t id) { judge(id, true); }

void LinkEndpoint::release(std::uint32_t id) { judge(id, false); }

void LinkEndpoint::reject(std::uint32_t id, Condition why) {
  judge_now(id, Rejected{.error = to_error(why)});
}

void LinkEndpoint::modify(std::uint32_t id, bool is_delivery_failed, bool is_undeliverable_here) {
  judge_now(id, Modified{.delivery_failed = is_delivery_failed,
                         .undeliverable_here = is_undeliverable_here});
}

void LinkEndpoint::set_credit(std::uint32_t messages) {
  if (!is_inbound_) return;
  window_ = std::min<std::uint32_t>(messages, 0x7fffffff);
  if (state_ != State::attached) return;
  if (window_ < outstanding() + unjudged_) {
    // Less than it has: the flow that says so may cross transfers, so limit_max_ stays.
    limit_ = delivery_count_ + (window_ > unjudged_ ? window_ - unjudged_ : 0);
    owe_flow();
    return;
  }
  update_credit();
}

// Tops the peer's credit up to the service's window, in steps of at least half of it.
void LinkEndpoint::update_credit() {
  if (state_ != State::attached) return;
  const auto under_way = outstanding() + unjudged_;
  if (under_way >= window_) return;
  const auto lacking = window_ - under_way;
  if (lacking < (window_ + 1) / 2) return;
  limit_ += lacking;
  if (serial_distance(limit_max_, limit_) > 0) limit_max_ = limit_;
  owe_flow();
}

void LinkEndpoint::judged() {
  if (unjudged_ > 0) --unjudged_;
  update_credit();
}

}  // namespace doppel::amqp
