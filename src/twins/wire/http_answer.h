// What answers and requests of the data plane look like: error bodies, patches, pages, the
// differences of api-versions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "protocol/http/message.h"
#include "twins/api.h"
#include "twins/twin_service.h"

namespace doppel::twins::wire {

// The body that the error's place in the service gives it: the gateway's for 401 and 429, the
// service's for the rest.
http::Response answer(const Error& error);
http::Response answer(int status, const json::Value& body, std::string_view etag = {});
http::Response no_content(std::string_view etag = {});

// Errors: InvalidArgument, LimitExceeded.
Result<json::Value> parse_body(const http::Request& request, std::size_t bytes_max);
// Errors: also JsonPatchInvalid.
Result<std::vector<PatchOperation>> parse_patch(const http::Request& request,
                                                std::size_t bytes_max);
// If-Match and If-None-Match. Errors: InvalidArgument.
Result<Condition> read_condition(const http::Request& request);

// What a conditional request carries. The condition is judged before the body, so a client hears of
// it first. Errors: those of the two parts.
struct ConditionalObject {
  Condition condition;
  json::Object body;
};
// `refusal` is what a client hears whose body is JSON, but no object.
Result<ConditionalObject> read_conditional_object(const http::Request& request,
                                                  std::size_t bytes_max, std::string_view refusal);
struct ConditionalPatch {
  Condition condition;
  std::vector<PatchOperation> operations;
};
Result<ConditionalPatch> read_conditional_patch(const http::Request& request,
                                                std::size_t bytes_max);

// Times of whole twins and components came with 2021-06-30-preview; metadata readers of the SDKs
// before do not know them (.NET 1.2.1 uses 2020-10-31).
bool has_update_times(std::string_view api_version);
void strip_update_times(json::Object& document);

// In our own links, since clients do not repeat the header max-items-per-page on them.
inline constexpr std::string_view kPageSizeQuery = "maxItemsPerPage";
// How many items of a list the client wants at once: max-items-per-page, at most `page_max`.
// Errors: InvalidArgument.
Result<std::size_t> page_size(const http::Request& request, std::size_t page_max);

// "/path?name=value&...", each encoded; empty values are left out.
std::string link(std::string_view path,
                 const std::vector<std::pair<std::string_view, std::string>>& query);

}  // namespace doppel::twins::wire
