// /digitaltwins/{id}/relationships and /digitaltwins/{id}/incomingrelationships
#include <errors/twins.h>
#include <fmt/core.h>

#include "base/encoding.h"
#include "twins/limits.h"
#include "twins/names.h"
#include "twins/wire/http_answer.h"
#include "twins/wire/routes.h"

namespace doppel::twins::wire {
namespace {

constexpr std::string_view kTokenQuery = "continuationToken";

// Where a page begins, from our own link.
Result<std::string> page_begin(const http::Request& request) {
  const auto token = request.query_value(kTokenQuery).value_or("");
  auto begin = base64url_decode(token);
  if (!begin) return fail(errors::twins::kInvalidArgument, "The continuation token is not valid.");
  return std::move(*begin);
}

std::string address(const DigitalTwinId& twin, std::string_view rest) {
  return fmt::format("/digitaltwins/{}/{}", percent_encode(twin.view()), rest);
}

json::Object page(json::Array items, const std::string& next, const std::string& path,
                  const Call& call, std::string name) {
  json::Object out;
  out["value"] = std::move(items);
  out["nextLink"] = nullptr;
  if (!next.empty())
    out["nextLink"] = link(path, {{"api-version", call.api_version},
                                  {"relationshipName", std::move(name)},
                                  {kTokenQuery, base64url_encode(next)}});
  return out;
}

}  // namespace

Task<http::Response> Routes::list_relationships(Call call) {
  auto begin = page_begin(call.request);
  if (!begin) co_return answer(begin.error());
  const std::string name(call.request.query_value("relationshipName").value_or(""));
  auto found =
      co_await service_.list_relationships(call.instance, call.twin(), name, std::move(*begin));
  if (!found) co_return answer(found.error());
  json::Array items;
  for (auto& relationship : found->items) items.push_back(std::move(relationship.document));
  co_return answer(
      200, page(std::move(items), found->next, address(call.twin(), "relationships"), call, name));
}

Task<http::Response> Routes::list_incoming(Call call) {
  auto begin = page_begin(call.request);
  if (!begin) co_return answer(begin.error());
  auto found = co_await service_.list_incoming(call.instance, call.twin(), std::move(*begin));
  if (!found) co_return answer(found.error());
  json::Array items;
  for (const auto& relationship : found->items) {
    json::Object item;
    item[names::kRelationshipId] = relationship.id.str();
    item[names::kSourceId] = relationship.source.str();
    item[names::kRelationshipName] = relationship.name;
    item[names::kRelationshipLink] =
        address(relationship.source, "relationships/" + percent_encode(relationship.id.view()));
    items.push_back(std::move(item));
  }
  co_return answer(200, page(std::move(items), found->next,
                             address(call.twin(), "incomingrelationships"), call, {}));
}

Task<http::Response> Routes::get_relationship(Call call) {
  auto found = co_await service_.get_relationship(call.instance, call.twin(), call.relationship());
  if (!found) co_return answer(found.error());
  co_return answer(200, json::Value(std::move(found->document)), found->etag);
}

Task<http::Response> Routes::put_relationship(Call call) {
  auto put = read_conditional_object(call.request, kTwinBodyBytesMax,
                                     "A relationship must be a JSON object.");
  if (!put) co_return answer(put.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.put_relationship_if(tx, call.instance, call.twin(), call.relationship(),
                                        put->body, put->condition);
  };
  auto made = co_await store::transact<Relationship>(service_.store(), stage);
  if (!made) co_return answer(made.error());
  co_return answer(200, json::Value(std::move(made->document)), made->etag);
}

Task<http::Response> Routes::patch_relationship(Call call) {
  auto patch = read_conditional_patch(call.request, kTwinBodyBytesMax);
  if (!patch) co_return answer(patch.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.patch_relationship_if(tx, call.instance, call.twin(), call.relationship(),
                                          patch->operations, patch->condition);
  };
  auto changed = co_await store::transact<Relationship>(service_.store(), stage);
  if (!changed) co_return answer(changed.error());
  co_return no_content(changed->etag);
}

Task<http::Response> Routes::delete_relationship(Call call) {
  auto condition = read_condition(call.request);
  if (!condition) co_return answer(condition.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.delete_relationship_if(tx, call.instance, call.twin(), call.relationship(),
                                           *condition);
  };
  auto done = co_await transact_status(service_.store(), stage);
  if (!done) co_return answer(done.error());
  co_return no_content();
}

}  // namespace doppel::twins::wire
