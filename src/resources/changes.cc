// Putting, patching and removing documents: one commit each, serial among themselves through the
// guard key.
#include "base/check.h"
#include "base/encoding.h"
#include "errors/arm.h"
#include "json/value.h"
#include "resources/api.h"
#include "resources/catalog_builder.h"
#include "resources/change_queue.h"
#include "resources/deletions.h"
#include "resources/document.h"
#include "resources/state.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kDocumentsMax =
    20'000;  // the catalog is held in memory, several times while it changes
constexpr std::uint64_t kGenerationMask =
    (std::uint64_t{1} << 53) - 1;  // whole numbers every JSON reader keeps

// The kinds of resources that are called like the server when they are the first of their kind.
bool has_host_name(std::string_view type) {
  return type == kHubType || type == kDpsType || type == kTwinsType || type == kEventSpaceType ||
         type == kSiteType;
}

std::string new_etag(Random& random) { return base64_encode(random.bytes(8)); }

// The etag a client means. az 2.45 sends the printed form of a Python dictionary on hub updates:
//   If-Match: {'IF-MATCH': 'AAAAAAAADGk='}
// (azure-cli: azure/cli/command_modules/iot/custom.py)
std::string_view meant_etag(std::string_view header) {
  if (header.starts_with('{')) {
    const auto last = header.rfind('\'');
    const auto first =
        last == header.npos || last == 0 ? header.npos : header.rfind('\'', last - 1);
    if (first != header.npos) header = header.substr(first + 1, last - first - 1);
  }
  if (header.size() >= 2 && header.starts_with('"') && header.ends_with('"'))
    header = header.substr(1, header.size() - 2);
  return header;
}

Status check_etag(const json::Value* existing, std::string_view if_match) {
  const auto wanted = meant_etag(if_match);
  if (wanted.empty() || wanted == "*") return {};
  if (existing != nullptr && json::get_string_or(*existing, "etag", "") == wanted) return {};
  return fail(errors::arm::kPreconditionFailed);
}

std::unexpected<Error> no_group(const ResourceId& id) {
  return fail(errors::arm::kResourceGroupNotFound,
              "Resource group '" + id.group_name() + "' could not be found.");
}

// What a PATCH makes of a stored document: tags as a whole, other members and properties one by
// one.
json::Object merged(const json::Object& stored, const json::Object& patch) {
  json::Object body = stored;
  for (const auto& member : patch) {
    const bool is_properties = member.key() == "properties" && member.value().is_object();
    if (!is_properties) {
      body[member.key()] = member.value();
      continue;
    }
    json::Value& properties = body["properties"];
    if (!properties.is_object()) properties = json::Object{};
    for (const auto& one : member.value().get_object())
      properties.get_object()[one.key()] = one.value();
  }
  return body;
}

std::optional<DeletedResource> purged_kind(const ResourceId& id, const json::Value* body) {
  const std::string type = id.type();
  DeletedResource gone{.kind = Kind::hub, .name = id.name(), .event_space = {}, .partitions = 0};
  if (type == kHubType) {
    gone.kind = Kind::hub;
  } else if (type == kDpsType) {
    gone.kind = Kind::dps;
  } else if (type == kTwinsType) {
    gone.kind = Kind::twins_instance;
  } else if (type == kSiteType) {
    gone.kind = Kind::function_app;
  } else if (type == kEventHubType) {
    gone.kind = Kind::event_hub;
    gone.event_space = id.parent().name();
  } else {
    return std::nullopt;
  }
  if (body != nullptr) {
    const json::Value* holder = json::find(*body, "properties");
    if (type == kHubType && holder != nullptr) holder = json::find(*holder, "eventHubEndpoints");
    if (type == kHubType && holder != nullptr) holder = json::find(*holder, "events");
    const json::Value* count = holder == nullptr ? nullptr : json::find(*holder, "partitionCount");
    if (count != nullptr && json::is_number(*count))
      gone.partitions = static_cast<std::uint32_t>(json::to_int64(*count).value_or(0));
  }
  return gone;
}

Task<Result<std::string>> next_id_scope(store::Transaction& tx) {
  auto stored = co_await tx.get(id_scope_counter_key());
  if (!stored) co_return fail(std::move(stored.error()));
  const std::uint64_t next = (*stored ? std::stoull(**stored) : 0) + 1;
  tx.put(id_scope_counter_key(), std::to_string(next));
  // 0ne and eight hex digits, as Azure's look.
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string scope = "0ne";
  for (int shift = 28; shift >= 0; shift -= 4) scope.push_back(kDigits[(next >> shift) & 15]);
  co_return scope;
}

// Every change writes the guard, so whoever scans for children also learns of children added
// meanwhile.
Task<Status> hold_guard(store::Transaction& tx) {
  auto guard = co_await tx.get(guard_key());
  if (!guard) co_return fail(std::move(guard.error()));
  tx.put(guard_key(), std::to_string(tx.read_version().value));
  co_return Status{};
}

Error as_arm(Error error) {
  if (error.service != nullptr || error.code != Code::conflict) return error;
  return fail(errors::arm::kConflict).error();
}

}  // namespace

Task<Result<PutOutcome>> Resources::put(ResourceId id, json::Object body, std::string if_match) {
  return put_or_patch(std::move(id), std::move(body), std::move(if_match), Change::put);
}

Task<Result<PutOutcome>> Resources::patch(ResourceId id, json::Object body) {
  return put_or_patch(std::move(id), std::move(body), {}, Change::patch);
}

Task<Result<PutOutcome>> Resources::put_or_patch(ResourceId id, json::Object body,
                                                 std::string if_match, Change change) {
  // A purge that failed earlier is tried again before the name is refused.
  if (const auto gone = purged_kind(id, nullptr)) {
    const auto snapshot = store_.snapshot();
    auto record = co_await snapshot->get(deletion_key(*gone));
    if (!record) co_return fail(std::move(record.error()));
    if (*record) {
      auto purged = co_await deletions_->purge_recorded(std::move(**record));
      if (!purged) co_return fail(errors::arm::kResourceBeingDeleted);
    }
  }
  auto turn = co_await deletions_->change_queue.enter();
  if (!turn) co_return fail(std::move(turn.error()));
  std::function<Task<Result<PutOutcome>>(store::Transaction&)> stage = [&](store::Transaction& tx) {
    return stage_put(tx, id, body, if_match, change);
  };
  auto outcome = co_await store::transact<PutOutcome>(store_, std::move(stage));
  if (!outcome) co_return fail(as_arm(std::move(outcome.error())));
  co_return outcome;
}

// The group and the resource that `id` is in exist; the name is free or its own. Yields the group's
// spelling.
Task<Result<std::string>> Resources::check_place(store::Transaction& tx, const ResourceId& id) {
  if (id.subscription() != defaults_.subscription) {
    co_return fail(errors::arm::kSubscriptionNotFound,
                   "The subscription '" + id.subscription() + "' could not be found.");
  }
  if (id.is_group()) co_return id.group_name();
  const std::string group_key = id.group_id().store_key();
  auto group = co_await tx.get(group_key);
  if (!group) co_return fail(std::move(group.error()));
  if (!*group) co_return no_group(id);
  auto group_body = state_->unseal(**group, group_key);
  if (!group_body) co_return fail(std::move(group_body.error()));

  if (id.is_child()) {
    // Between these and their top-level resource stand names that are no documents.
    const std::string type = id.type();
    const bool is_deep = type == kHubConsumerGroupType || type == kFunctionKeyType;
    if (type == kHubConsumerGroupType && !equal_ignoring_case(id.parent().name(), "events"))
      co_return fail(errors::arm::kParentResourceNotFound,
                     "A hub has only the built-in endpoint 'events'.");
    const ResourceId parent = is_deep ? id.top() : id.parent();
    auto found = co_await tx.get(parent.store_key());
    if (!found) co_return fail(std::move(found.error()));
    if (!*found) {
      co_return fail(errors::arm::kParentResourceNotFound,
                     "The parent resource '" + parent.text() + "' was not found.");
    }
  } else {
    // Services keep their data under the name alone, so it is unique on the server, as Azure's are
    // in the world.
    auto owner = co_await tx.get(name_key(id.type(), id.name()));
    if (!owner) co_return fail(std::move(owner.error()));
    if (*owner && **owner != id.lower())
      co_return fail(errors::arm::kNameNotAvailable,
                     "The name '" + id.name() + "' is already in use.");
  }
  if (const auto gone = purged_kind(id, nullptr)) {
    auto record = co_await tx.get(deletion_key(*gone));
    if (!record) co_return fail(std::move(record.error()));
    if (*record) co_return fail(errors::arm::kResourceBeingDeleted);
  }
  co_return json::get_string_or(*group_body, "name", id.group_name());
}

// What a new document carries for us alone.
Task<Result<json::Object>> Resources::internal_members(store::Transaction& tx,
                                                       const ResourceId& id) {
  json::Object ours;
  ours["generation"] = random_.next() & kGenerationMask;
  if (id.is_group() || id.is_child() || !has_host_name(id.type())) co_return ours;
  tx.put(name_key(id.type(), id.name()), id.lower());
  auto owner = co_await tx.get(server_name_key(id.type()));
  if (!owner) co_return fail(std::move(owner.error()));
  if (!*owner) tx.put(server_name_key(id.type()), id.lower());
  ours["hasServerName"] = !owner->has_value();
  co_return ours;
}

Task<Result<PutOutcome>> Resources::stage_put(store::Transaction& tx, const ResourceId& asked,
                                              const json::Object& body, const std::string& if_match,
                                              Change change) {
  if (auto held = co_await hold_guard(tx); !held) co_return fail(std::move(held.error()));
  auto group_name = co_await check_place(tx, asked);
  if (!group_name) co_return fail(std::move(group_name.error()));
  ResourceId id = asked.with_group_name(*group_name);
  const std::string key = id.store_key();

  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  std::optional<json::Value> existing;
  if (*stored) {
    auto opened = state_->unseal(**stored, key);
    if (!opened) co_return fail(std::move(opened.error()));
    existing = std::move(*opened);
    if (auto parsed = ResourceId::parse(json::get_string_or(*existing, "id", "")))
      id = std::move(*parsed);
  }
  if (change == Change::patch && !existing) co_return get_error(id);
  if (auto matched = check_etag(existing ? &*existing : nullptr, if_match); !matched)
    co_return fail(std::move(matched.error()));

  const auto now = catalog();
  if (!existing && now->documents.size() >= kDocumentsMax)
    co_return fail(errors::arm::kQuotaExceeded);
  std::string id_scope;
  if (!existing && id.type() == kDpsType) {
    auto next = co_await next_id_scope(tx);
    if (!next) co_return fail(std::move(next.error()));
    id_scope = std::move(*next);
  }
  const json::Object wanted = change == Change::patch ? merged(existing->get_object(), body) : body;
  const PutContext context{.id = id,
                           .body = wanted,
                           .existing = existing ? &existing->get_object() : nullptr,
                           .catalog = *now,
                           .defaults = defaults_,
                           .random = random_,
                           .now = clock_.now(),
                           .validate_route = validate_route_,
                           .new_id_scope = id_scope};
  auto plan = plan_put(context);
  if (!plan) co_return fail(std::move(plan.error()));

  plan->body["etag"] = new_etag(random_);
  if (existing) {
    if (const auto* ours = json::find(*existing, kInternal)) plan->body[kInternal] = *ours;
  } else {
    auto ours = co_await internal_members(tx, id);
    if (!ours) co_return fail(std::move(ours.error()));
    plan->body[kInternal] = std::move(*ours);
  }
  for (const auto& [child_id, child_body] : plan->children) {
    if (auto staged = stage_child(tx, context, child_id, child_body); !staged)
      co_return fail(std::move(staged.error()));
  }
  auto document = std::make_shared<const Document>(
      Document{.id = id.text(), .type = id.type(), .body = std::move(plan->body)});
  tx.put(key, state_->seal(document->body, key));
  co_return PutOutcome{.document = std::move(document), .created = !existing.has_value()};
}

// A document that comes with its parent, e.g. the root rule of a namespace.
Status Resources::stage_child(store::Transaction& tx, const PutContext& parent,
                              const ResourceId& id, const json::Object& body) {
  const PutContext context{.id = id,
                           .body = body,
                           .existing = nullptr,
                           .catalog = parent.catalog,
                           .defaults = parent.defaults,
                           .random = parent.random,
                           .now = parent.now,
                           .validate_route = parent.validate_route,
                           .new_id_scope = {}};
  auto plan = plan_put(context);
  if (!plan) return fail(std::move(plan.error()));
  check(plan->children.empty(), "children of new resources have no children");
  plan->body["etag"] = new_etag(random_);
  plan->body[kInternal] = json::Object{{"generation", random_.next() & kGenerationMask}};
  const std::string key = id.store_key();
  tx.put(key, state_->seal(plan->body, key));
  return {};
}

std::unexpected<Error> Resources::get_error(const ResourceId& id) const {
  auto found = get(id);
  return found ? fail(errors::arm::kResourceNotFound) : fail(std::move(found.error()));
}

Task<Status> Resources::remove(ResourceId id, std::string if_match) {
  std::function<Task<Result<std::vector<DeletedResource>>>(store::Transaction&)> stage =
      [&](store::Transaction& tx) { return stage_remove(tx, id, if_match); };
  auto turn = co_await deletions_->change_queue.enter();
  if (!turn) co_return fail(std::move(turn.error()));
  std::optional<ChangeQueue::Turn> held(std::move(*turn));
  auto removed = co_await store::transact<std::vector<DeletedResource>>(store_, std::move(stage));
  held.reset();  // before the purge, which may take long
  if (!removed) co_return fail(as_arm(std::move(removed.error())));
  // A hook that fails is logged and tried again later; the resource itself is gone either way.
  for (const auto& gone : *removed) (void)co_await deletions_->purge(gone);
  co_return Status{};
}

Task<Result<std::vector<DeletedResource>>> Resources::stage_remove(store::Transaction& tx,
                                                                   const ResourceId& id,
                                                                   const std::string& if_match) {
  if (auto held = co_await hold_guard(tx); !held) co_return fail(std::move(held.error()));
  const std::string key = id.store_key();
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return get_error(id);
  auto body = state_->unseal(**stored, key);
  if (!body) co_return fail(std::move(body.error()));
  if (auto matched = check_etag(&*body, if_match); !matched)
    co_return fail(std::move(matched.error()));
  const std::string type = id.type();
  if ((type == kConsumerGroupType || type == kHubConsumerGroupType) &&
      equal_ignoring_case(id.name(), kDefaultConsumerGroup))
    co_return fail(errors::arm::kBadRequest, "The consumer group $Default cannot be deleted.");

  // The key of a resource is a prefix of its children's, a group's of all that is in it.
  auto entries = co_await tx.scan_prefix(key, kDocumentsMax + 1);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<DeletedResource> removed;
  for (const auto& entry : *entries) {
    auto gone_body = state_->unseal(entry.value, entry.key);
    if (!gone_body) co_return fail(std::move(gone_body.error()));
    auto gone_id = ResourceId::parse(json::get_string_or(*gone_body, "id", ""));
    if (!gone_id) co_return fail(std::move(gone_id.error()));
    tx.erase(entry.key);
    if (auto gone = purged_kind(*gone_id, &*gone_body)) {
      tx.put(deletion_key(*gone), Deletions::encode(*gone));
      removed.push_back(std::move(*gone));
    }
    if (gone_id->is_group() || gone_id->is_child()) continue;
    tx.erase(name_key(gone_id->type(), gone_id->name()));
    if (has_server_name(*gone_body)) tx.erase(server_name_key(gone_id->type()));
  }
  co_return removed;
}

}  // namespace doppel::resources
