// Queries over device twins and module twins: a walk in the order of IDs over one snapshot, page by
// page.
#include <charconv>

#include <fmt/core.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "hub/hubs.h"
#include "hub/identity_record.h"
#include "hub/keys.h"
#include "hub/twin_record.h"
#include "query/grouping.h"
#include "query/twin_query.h"

namespace doppel::hub {
namespace {

constexpr std::size_t kBatch = 500;  // twins read at once; others get a turn between batches

// Where the next page goes on: rows so far (for TOP) and the entity key of the last twin looked at.
struct Position {
  std::size_t rows = 0;
  std::string entity{};
};

std::string write_position(const Position& position) {
  return base64url_encode(fmt::format("{}\n{}", position.rows, position.entity));
}

Result<Position> parse_position(std::string_view text, const HubName& hub) {
  if (text.empty()) return Position{};
  const auto refuse = [] {
    return fail(errors::hub::kArgumentInvalid, "x-ms-continuation is not one this hub gave.");
  };
  const auto plain = base64url_decode(text);
  if (!plain) return refuse();
  const auto middle = plain->find('\n');
  if (middle == std::string::npos) return refuse();
  Position position{.rows = 0, .entity = plain->substr(middle + 1)};
  const auto* end = plain->data() + middle;
  const auto [stopped, error] = std::from_chars(plain->data(), end, position.rows);
  if (error != std::errc() || stopped != end) return refuse();
  const auto parts = store::split_key(position.entity);
  if (!parts || parts->size() < 2 || parts->front() != hub.view()) return refuse();
  return position;
}

// Whether some path needs more than the identity's own cheap fields.
bool is_cheap(const query::Path& path) {
  if (path.steps.size() != 1) return false;
  const auto name = path.steps.front().name;
  return name == "deviceId" || name == "moduleId" || name == "status";
}

bool needs_twin(const query::Expression& expression) {
  if (expression.op == query::Op::path && !is_cheap(expression.path)) return true;
  for (const auto* arg : expression.args)
    if (needs_twin(*arg)) return true;
  return false;
}

bool needs_twin(const query::TwinQuery& query) {
  if (query.selects_all()) return true;
  for (const auto& column : query.columns())
    if (!column.path.steps.empty() && !is_cheap(column.path)) return true;
  for (const auto& path : query.group_by())
    if (!is_cheap(path)) return true;
  return query.where() != nullptr && needs_twin(*query.where());
}

// A twin as a row. The document is made only if a query looks at more than the cheap fields.
class TwinRow final : public query::Row {
 public:
  explicit TwinRow(const TwinView& view) : view_(view) {}

  query::Value lookup(const query::Path& path) const override {
    if (path.scope != query::Scope::document) return {};
    if (is_cheap(path)) return cheap(path.steps.front().name);
    const auto* value = json::find(document(), path.steps);
    return value ? query::Value::of(*value) : query::Value{};
  }

  const json::Value& document() const {
    if (!document_) document_ = json::Value(twin_document(view_));
    return *document_;
  }

 private:
  query::Value cheap(std::string_view name) const {
    const auto& identity = view_.identity;
    if (name == "deviceId") return query::Value::of(identity.device_id.view());
    if (name == "status")
      return query::Value::of(identity.status == DeviceStatus::enabled ? "enabled" : "disabled");
    return identity.module_id.empty() ? query::Value{}
                                      : query::Value::of(identity.module_id.view());
  }

  const TwinView& view_;
  mutable std::optional<json::Value> document_;
};

// Walks identities with their twins.
class Walk {
 public:
  Walk(store::Store& store, const security::SecretBox& box, const HubName& hub, bool modules,
       bool with_twins, std::string_view after)
      : snapshot_(store.snapshot()),
        box_(box),
        identity_prefix_(store::key({modules ? kModuleKind : kDeviceKind})),
        twin_prefix_(store::key({modules ? kModuleTwinKind : kDeviceTwinKind})),
        last_(store::after_prefix(store::key({hub.view()}))),
        next_(after.empty() ? store::key({hub.view()}) : store::after_prefix(after)),
        with_twins_(with_twins) {}

  struct Item {
    std::string entity;
    TwinView view;
  };

  // The next ones in order; empty at the end.
  Task<Result<std::vector<Item>>> read() {
    std::vector<Item> items;
    auto identities =
        co_await snapshot_->scan(identity_prefix_ + next_, identity_prefix_ + last_, kBatch);
    if (!identities) co_return fail(std::move(identities.error()));
    if (identities->empty()) co_return items;
    std::vector<store::Entry> twins;
    if (with_twins_) {
      auto read = co_await snapshot_->scan(twin_prefix_ + next_, twin_prefix_ + last_, kBatch);
      if (!read) co_return fail(std::move(read.error()));
      twins = std::move(*read);
    }
    std::size_t at = 0;
    for (const auto& entry : *identities) {
      auto item = item_of(entry);
      if (!item) co_return fail(std::move(item.error()));
      // Both kinds have the same keys; skip what has no partner all the same.
      while (at < twins.size() && entity_of(twins[at].key, twin_prefix_) < item->entity) ++at;
      if (at < twins.size() && entity_of(twins[at].key, twin_prefix_) == item->entity) {
        auto twin = decode_twin(twins[at].value);
        if (!twin) co_return fail(std::move(twin.error()));
        item->view.twin = std::move(*twin);
      }
      items.push_back(std::move(*item));
    }
    next_ = store::after_prefix(items.back().entity);
    co_return items;
  }

 private:
  static std::string_view entity_of(std::string_view key, std::string_view prefix) {
    return key.substr(prefix.size());
  }

  Result<Item> item_of(const store::Entry& entry) const {
    Item item{.entity = std::string(entity_of(entry.key, identity_prefix_)), .view = {}};
    const auto parts = store::split_key(item.entity);
    if (!parts || parts->size() < 2) return fail(Code::internal, "a key of the hub is damaged");
    auto identity = decode_identity(entry.value, entry.key, DeviceId((*parts)[1]),
                                    ModuleId(parts->size() > 2 ? (*parts)[2] : ""), box_);
    if (!identity) return fail(std::move(identity.error()));
    item.view.identity = std::move(*identity);
    return item;
  }

  std::shared_ptr<const store::Snapshot> snapshot_;
  const security::SecretBox& box_;
  std::string identity_prefix_;
  std::string twin_prefix_;
  std::string last_;
  std::string next_;
  bool with_twins_;
};

}  // namespace

Task<Result<HubService::QueryPage>> HubService::query(HubName hub, std::string text,
                                                      std::size_t page_size,
                                                      std::string continuation) {
  const auto parsed = query::parse_twin_query(text);
  if (!parsed) co_return fail(errors::hub::kArgumentInvalid, parsed.error().message);
  auto position = parse_position(continuation, hub);
  if (!position) co_return fail(std::move(position.error()));
  QueryPage page{
      .item_type = parsed->selects_all() ? "Twin" : "Raw", .items = {}, .continuation = {}};
  if (parsed->source() == query::TwinSource::jobs) {
    page.item_type = "DeviceJob";  // there are no jobs yet, so none is found
    co_return page;
  }

  query::Grouping groups(*parsed);
  const bool modules = parsed->source() == query::TwinSource::modules;
  Walk walk(parts_.store, parts_.box, hub, modules, needs_twin(*parsed), position->entity);
  for (;;) {
    auto items = co_await walk.read();
    if (!items) co_return fail(std::move(items.error()));
    if (items->empty()) break;
    for (auto& item : *items) {
      if (!parsed->is_grouped()) {
        if (position->rows >= parsed->top()) co_return page;
        if (page.items.size() >= page_size) {
          page.continuation = write_position(*position);
          co_return page;
        }
      }
      position->entity = item.entity;
      item.view.presence = connections_.presence(item.entity);
      const TwinRow row(item.view);
      if (!parsed->matches(row)) continue;
      if (parsed->is_grouped()) {
        if (auto ok = groups.add(row); !ok) co_return fail(std::move(ok.error()));
        continue;
      }
      page.items.push_back(parsed->selects_all() ? row.document() : parsed->project(row));
      ++position->rows;
    }
    co_await yield_once();
  }
  if (parsed->is_grouped()) page.items = groups.rows();
  co_return page;
}

Status HubService::check_route(std::string_view source, std::string_view condition) {
  constexpr std::string_view kWithoutEvents[] = {"DeviceJobLifecycleEvents",
                                                 "DigitalTwinChangeEvents", "MqttBrokerMessages"};
  bool is_known = parse_route_source(source).has_value();
  for (const auto name : kWithoutEvents) is_known = is_known || equal_ignoring_case(source, name);
  if (!is_known)
    return fail(errors::hub::kArgumentInvalid,
                fmt::format("'{}' is not a routing source.", source));
  const auto parsed = RouteCondition::parse(condition);
  if (!parsed) return fail(parsed.error());
  return {};
}

}  // namespace doppel::hub
