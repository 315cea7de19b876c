#include "events/wire/event_hub_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "base/encoding.h"
#include "events/wire/access.h"
#include "events/wire/link_address.h"
#include "events/wire/producers.h"
#include "events/wire/receiver_link.h"
#include "events/wire/sender_link.h"
#include "protocol/amqp/errors.h"

namespace doppel::events {
namespace {

namespace condition = amqp::condition;
using amqp::ClaimRights;

constexpr std::string_view kManagementNode = "$management";
constexpr std::string_view kEpoch = "com.microsoft:epoch";
constexpr std::string_view kRuntimeMetrics = "com.microsoft:enable-receiver-runtime-metric";
constexpr std::string_view kIdempotentProducer = "com.microsoft:idempotent-producer";

// How an IoT hub's clients call its built-in endpoint.
constexpr std::string_view kBuiltinAddress = "messages/events";

bool is_builtin_address(std::string_view path) {
  return starts_with_ignoring_case(path, kBuiltinAddress) &&
         (path.size() == kBuiltinAddress.size() || path[kBuiltinAddress.size()] == '/');
}

bool desires(const amqp::Attach& attach, std::string_view capability) {
  return std::ranges::any_of(attach.desired_capabilities,
                             [&](const amqp::Symbol& symbol) { return symbol == capability; });
}

const amqp::Value* find_property(const amqp::Attach& attach, std::string_view name) {
  return attach.properties ? attach.properties->find(name) : nullptr;
}

// Any integer: the widths differ between clients.
std::optional<std::int64_t> integer_property(const amqp::Attach& attach, std::string_view name) {
  const auto* value = find_property(attach, name);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& alternative) -> std::optional<std::int64_t> {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
          return static_cast<std::int64_t>(alternative);
        else
          return std::nullopt;
      },
      value->variant());
}

amqp::Condition no_such_partition(std::uint32_t partition, std::uint32_t partitions) {
  return amqp::make_condition(
      condition::kArgumentOutOfRange,
      fmt::format(
          "The specified partition is invalid for an EventHub partition sender or receiver. "
          "It should be between 0 and {}. Partition: '{}'.",
          partitions - 1, partition));
}

ProducerWish wish_of(const amqp::Attach& attach) {
  ProducerWish wish;
  wish.id = integer_property(attach, kProducerId);
  if (const auto epoch = integer_property(attach, kProducerEpoch))
    wish.epoch = static_cast<std::int32_t>(*epoch);
  if (const auto sequence = integer_property(attach, kProducerSequence))
    wish.sequence = static_cast<std::int32_t>(*sequence);
  return wish;
}

amqp::Map properties_of(const ProducerState& state) {
  amqp::Map properties;
  properties.add_symbol(kProducerId, state.id);
  properties.add_symbol(kProducerEpoch, static_cast<std::int16_t>(state.epoch));
  properties.add_symbol(kProducerSequence, state.sequence);
  return properties;
}

amqp::Condition refusal_of_producer(const Error& error) {
  if (error.code == Code::precondition_failed)
    return amqp::make_condition(condition::kProducerEpochStolen, error.message);
  return to_condition(error);
}

// What of an attach is kept while the producer's state is read.
struct OpeningProducer {
  EventHubContext& context;
  std::shared_ptr<amqp::Link> link;
  LinkGrant grant;
  SenderTarget target;

  void operator()(const Result<ProducerState>& state) {
    if (!state) return link->refuse(refusal_of_producer(state.error()));
    // Node's client numbers what it repeats after a lost answer by what it is told here: its own
    // figure makes that the same numbers again, which are known; a later one would make new events.
    auto told = *state;
    told.sequence = wish_of(link->request()).sequence.value_or(told.sequence);
    auto sender =
        std::make_shared<SenderLink>(context, link, std::move(grant), std::move(target), state->id);
    amqp::AttachReply reply;
    reply.properties = properties_of(told);
    reply.offered_capabilities = {std::string(kIdempotentProducer)};
    sender->begin(std::move(reply));
  }
};

}  // namespace

void EventHubService::on_attach(std::shared_ptr<amqp::Link> link) {
  const std::string text(link->address());
  const auto address = parse_address(text);
  if (is_builtin_address(text)) return redirect(*link);
  if (equal_ignoring_case(text, kManagementNode) || (address && address->is_management))
    return management_.on_attach(std::move(link));
  if (!address)
    return link->refuse(amqp::make_condition(condition::kNotFound,
                                             not_found_text(link->connection().hostname(), text)));
  if (link->is_inbound())
    attach_sender(std::move(link), *address);
  else
    attach_receiver(std::move(link), *address);
}

// Clients of an IoT hub learn the name of its event hub from the answer (az: from `address`, where
// they look for ":5671/", so other ports do not suit all of them).
void EventHubService::redirect(amqp::Link& link) {
  const std::string_view path = link.address();
  const auto host = link.connection().hostname();
  const auto catalog = context_.catalog();
  const auto* hub =
      find_redirected(link.connection().claims(), *catalog, path, context_.clock.now());
  if (hub == nullptr) return link.refuse(unauthorized(host, path, ClaimRights::kListen));
  auto why = amqp::make_condition(condition::kLinkRedirect, "The events are at another address.");
  why.info.add_symbol("hostname", amqp::Value(hub->host_name));
  why.info.add_symbol("network-host", amqp::Value(hub->host_name));
  why.info.add_symbol("port", static_cast<std::int32_t>(context_.amqp_port));
  why.info.add_symbol("address", amqp::Value(fmt::format("amqps://{}:{}/{}{}", hub->host_name,
                                                         context_.amqp_port, hub->event_hub_name,
                                                         path.substr(kBuiltinAddress.size()))));
  link.refuse(std::move(why));
}

void EventHubService::attach_sender(std::shared_ptr<amqp::Link> link, const LinkAddress& address) {
  const std::string path(link->address());
  const auto found =
      find_granted(context_, link->connection(), address.event_hub, path, ClaimRights::kSend);
  if (!found) return link->refuse(found.error());
  const auto& hub = found->hub;
  if (!address.consumer_group.empty())
    return link->refuse(
        amqp::make_condition(condition::kNotAllowed, "Events are not sent to a consumer group."));
  if (address.partition && *address.partition >= hub.partitions())
    return link->refuse(no_such_partition(*address.partition, hub.partitions()));

  LinkGrant grant{
      .log = hub.log(), .generation = hub.generation(), .path = path, .rights = ClaimRights::kSend};
  SenderTarget target{.partitions = hub.partitions(),
                      .partition = address.partition,
                      .publisher = std::string(address.publisher)};
  if (!desires(link->request(), kIdempotentProducer)) {
    auto sender = std::make_shared<SenderLink>(context_, link, std::move(grant), std::move(target),
                                               std::nullopt);
    return sender->begin({});
  }
  if (!target.partition)
    return link->refuse(amqp::make_condition(condition::kNotAllowed,
                                             "Idempotent producers send to one partition each."));
  auto opening =
      open_producer(context_.log.store(), context_.random, context_.clock.now(),
                    {.log = grant.log, .index = *target.partition}, wish_of(link->request()));
  spawn(std::move(opening), OpeningProducer{.context = context_,
                                            .link = std::move(link),
                                            .grant = std::move(grant),
                                            .target = std::move(target)});
}

void EventHubService::attach_receiver(std::shared_ptr<amqp::Link> link,
                                      const LinkAddress& address) {
  const std::string path(link->address());
  const auto found =
      find_granted(context_, link->connection(), address.event_hub, path, ClaimRights::kListen);
  if (!found) return link->refuse(found.error());
  const auto& hub = found->hub;
  const auto host = link->connection().hostname();
  if (address.consumer_group.empty() || !address.partition)
    return link->refuse(amqp::make_condition(
        condition::kNotAllowed, "A receiver's address names a consumer group and a partition."));
  if (!hub.has_consumer_group(address.consumer_group)) {
    const auto name = fmt::format("{}/ConsumerGroups/{}", hub.name(), address.consumer_group);
    return link->refuse(amqp::make_condition(condition::kNotFound, not_found_text(host, name)));
  }
  if (*address.partition >= hub.partitions())
    return link->refuse(no_such_partition(*address.partition, hub.partitions()));

  const auto& request = link->request();
  const auto* source = std::get_if<amqp::Source>(&request.source);
  const auto position =
      parse_filter(source != nullptr && source->filter ? &*source->filter : nullptr);
  if (!position) return link->refuse(to_condition(position.error()));

  const bool wants_metrics = desires(request, kRuntimeMetrics);
  auto receiver = std::make_shared<ReceiverLink>(
      context_, link,
      LinkGrant{.log = hub.log(),
                .generation = hub.generation(),
                .path = path,
                .rights = ClaimRights::kListen},
      ReceiverSource{.partition = {.log = hub.log(), .index = *address.partition},
                     .place = {.log = hub.log(),
                               .generation = hub.generation(),
                               .consumer_group = to_lower(address.consumer_group),
                               .partition = *address.partition},
                     .owner_level = integer_property(request, kEpoch),
                     .wants_runtime_metrics = wants_metrics});
  amqp::AttachReply reply;
  if (wants_metrics) reply.offered_capabilities = {std::string(kRuntimeMetrics)};
  receiver->begin(*position, std::move(reply));
}

}  // namespace doppel::events
