#include "events/wire/management.h"

#include <charconv>
#include <expected>
#include <utility>

#include <fmt/core.h>

#include "base/time_text.h"
#include "events/wire/access.h"
#include "events/wire/link_address.h"
#include "protocol/amqp/errors.h"

namespace doppel::events {
namespace {

namespace condition = amqp::condition;
using amqp::ClaimRights;

constexpr std::string_view kEventHubEntity = "com.microsoft:eventhub";
constexpr std::string_view kPartitionEntity = "com.microsoft:partition";
constexpr std::uint32_t kAnyRight =
    ClaimRights::kListen | ClaimRights::kSend | ClaimRights::kManage;

amqp::Value timestamp(TimePoint time) { return amqp::Timestamp{to_unix_millis(time)}; }

// Types as clients read them: .NET casts them, so an int is no long and a list no array.
amqp::Map describe(const HubView& hub) {
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < hub.partitions(); ++i) ids.push_back(std::to_string(i));
  amqp::Map map;
  map.add_string("name", hub.name());
  map.add_string("type", kEventHubEntity);
  map.add_string("created_at", timestamp(hub.created()));
  map.add_string("partition_count", static_cast<std::int32_t>(hub.partitions()));
  map.add_string("partition_ids", amqp::string_array(ids));
  map.add_string("georeplication_factor", std::int32_t{1});
  return map;
}

amqp::Map describe(const HubView& hub, std::uint32_t partition, const store::StreamBounds& bounds) {
  const auto last = static_cast<std::int64_t>(bounds.next.value) - 1;
  amqp::Map map;
  map.add_string("name", hub.name());
  map.add_string("type", kPartitionEntity);
  map.add_string("partition", std::to_string(partition));
  map.add_string("begin_sequence_number", static_cast<std::int64_t>(bounds.first.value));
  map.add_string("last_enqueued_sequence_number", last);
  map.add_string("last_enqueued_offset", offset_text(last));
  map.add_string("last_enqueued_time_utc", timestamp(bounds.last_enqueued));
  map.add_string("is_partition_empty", bounds.first == bounds.next);
  map.add_string("partition_count", static_cast<std::int32_t>(hub.partitions()));
  return map;
}

amqp::Reply refusal(std::int32_t status, std::string_view name, std::string description) {
  return {.status = status,
          .description = std::move(description),
          .condition = std::string(name),
          .body = {}};
}

amqp::Reply refusal(const amqp::Condition& why) {
  const bool is_missing = why.condition == condition::kNotFound;
  return refusal(is_missing ? 404 : 401, why.condition, why.description);
}

std::optional<std::uint32_t> partition_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::expected<FoundHub, amqp::Condition> find_granted(EventHubContext& context,
                                                      amqp::Connection& connection,
                                                      std::string_view event_hub,
                                                      std::string_view path, std::uint32_t rights) {
  const auto host = connection.hostname();
  auto catalog = context.catalog();
  const auto now = context.clock.now();
  const auto hubs = find_hubs(*catalog, host, event_hub);
  for (const auto& hub : hubs)
    if (find_claim(connection.claims(), hub, path, rights, now) != nullptr)
      return FoundHub{std::move(catalog), hub};
  // Whether there is such an event hub is nobody's business without a proof.
  if (hubs.empty() && may_know_names(connection.claims(), now))
    return std::unexpected(
        amqp::make_condition(condition::kNotFound, not_found_text(host, event_hub)));
  return std::unexpected(unauthorized(host, path, rights));
}

void Management::on_request(const amqp::Request& request, Answer answer) { answer(read(request)); }

amqp::Reply Management::read(const amqp::Request& request) {
  const auto operation = request.property("operation");
  if (operation != "READ")
    return refusal(501, condition::kNotImplemented,
                   fmt::format("The operation '{}' is not supported.", operation));
  const auto type = request.property("type");
  if (type != kEventHubEntity && type != kPartitionEntity)
    return refusal(400, condition::kArgumentError,
                   fmt::format("The entity type '{}' is not known.", type));
  const auto name = request.property("name");
  const auto found =
      find_granted(context_, request.link.connection(), name, name + "/$management", kAnyRight);
  if (!found) return refusal(found.error());
  const auto ok = [](amqp::Map map) {
    return amqp::Reply{.status = 200, .description = "OK", .condition = {}, .body = std::move(map)};
  };
  if (type == kEventHubEntity) return ok(describe(found->hub));

  const auto wanted = request.property("partition");
  const auto partition = partition_number(wanted);
  if (!partition || *partition >= found->hub.partitions())
    return refusal(
        404, condition::kNotFound,
        not_found_text(request.link.connection().hostname(), name + "/Partitions/" + wanted));
  const auto bounds = context_.log.bounds({.log = found->hub.log(), .index = *partition});
  return ok(describe(found->hub, *partition, bounds));
}

}  // namespace doppel::events
