#include "events/wire/hub_link.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "events/wire/access.h"
#include "protocol/amqp/errors.h"

namespace doppel::events {
namespace {

namespace condition = amqp::condition;
constexpr std::string_view kHubSpace = "hub:";

std::string_view right_name(std::uint32_t rights) {
  if (rights == amqp::ClaimRights::kSend) return "Send";
  if (rights == amqp::ClaimRights::kListen) return "Listen";
  return "Send' or 'Listen";
}

std::string_view condition_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return condition::kArgumentError;
    case Code::unauthenticated:
    case Code::forbidden:
      return condition::kUnauthorizedAccess;
    case Code::not_found:
      return condition::kNotFound;
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::unsupported:
      return condition::kNotAllowed;
    case Code::conflict:
      return condition::kStolen;
    case Code::too_large:
      return condition::kMessageSizeExceeded;
    case Code::throttled:
      return condition::kServerBusy;
    case Code::quota_exceeded:
      return condition::kResourceLimitExceeded;
    case Code::timeout:
    case Code::unavailable:
      return condition::kTimeout;
    case Code::cancelled:
      return condition::kOperationCancelled;
    case Code::bad_gateway:
    case Code::internal:
      return condition::kInternalError;
  }
  return condition::kInternalError;
}

}  // namespace

std::optional<HubView> current_hub(const resources::Catalog& catalog, const LogName& log,
                                   std::uint64_t generation) {
  std::optional<HubView> found;
  if (log.space.starts_with(kHubSpace)) {
    if (const auto* hub = catalog.find_hub(std::string_view(log.space).substr(kHubSpace.size())))
      found.emplace(*hub);
  } else if (const auto* space = catalog.find_event_space(log.space)) {
    if (const auto* event_hub = space->find_event_hub(log.name)) found.emplace(*space, *event_hub);
  }
  if (found && found->generation() != generation) found.reset();
  return found;
}

amqp::Condition unauthorized(std::string_view host, std::string_view path, std::uint32_t rights) {
  return amqp::make_condition(
      condition::kUnauthorizedAccess,
      fmt::format("Unauthorized access. '{}' claim(s) are required to perform this operation. "
                  "Resource: 'sb://{}/{}'.",
                  right_name(rights), host, path));
}

amqp::Condition to_condition(const Error& error) {
  const bool is_ours = error.code == Code::internal || error.code == Code::bad_gateway;
  return amqp::make_condition(condition_of(error.code),
                              is_ours ? "The service met an error of its own." : error.message);
}

HubLink::HubLink(EventHubContext& context, std::shared_ptr<amqp::Link> link, LinkGrant grant)
    : context_(context),
      executor_(link->connection().executor()),
      link_(std::move(link)),
      grant_(std::move(grant)) {}

void HubLink::on_detached(const amqp::Condition*) {
  is_over_ = true;
  if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
}

void HubLink::watch() {
  if (is_over_ || !is_granted()) return;
  const auto left = granted_until_ - context_.clock.now();
  timer_ = executor_.post_after(std::max(left, Duration(0)), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->is_over_) return;
    self->timer_ = 0;
    self->watch();
  });
}

bool HubLink::is_granted() {
  if (is_over_) return false;
  const auto catalog = context_.catalog();
  if (seen_catalog_ == catalog.get() && context_.clock.now() < granted_until_) return true;
  return check();
}

bool HubLink::check() {
  const auto catalog = context_.catalog();
  const auto now = context_.clock.now();
  const auto host = link_->connection().hostname();
  const auto hub = current_hub(*catalog, grant_.log, grant_.generation);
  if (!hub) {
    link_->detach(
        amqp::make_condition(condition::kNotFound, not_found_text(host, grant_.log.name)));
    return false;
  }
  const auto* claim =
      find_claim(link_->connection().claims(), *hub, grant_.path, grant_.rights, now);
  if (claim == nullptr) {
    link_->detach(unauthorized(host, grant_.path, grant_.rights));
    return false;
  }
  seen_catalog_ = catalog.get();
  granted_until_ = std::min(claim->expires_at, now + kLinkCheckEvery);
  return true;
}

}  // namespace doppel::events
