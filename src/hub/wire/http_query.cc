// POST /devices/query (iot-hub.md section 13.1).
#include <charconv>

#include <fmt/core.h>

#include "errors/hub.h"
#include "hub/wire/http_service_api.h"

namespace doppel::hub {
namespace {

constexpr std::size_t kPageSizeDefault = 100;
constexpr std::size_t kPageSizeMax = 1000;

Result<std::size_t> parse_page_size(const http::Request& request) {
  const auto text = request.headers.get_or("x-ms-max-item-count", {});
  if (text.empty()) return kPageSizeDefault;
  std::int64_t size = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, size);
  if (error != std::errc() || stopped != end)
    return fail(errors::hub::kArgumentInvalid, "x-ms-max-item-count must be a number.");
  if (size <= 0) return kPageSizeDefault;  // the Java SDK sends -1 for "you choose"
  return std::min(static_cast<std::size_t>(size), kPageSizeMax);
}

}  // namespace

ServiceApi::Answer ServiceApi::query(HubName hub, http::Request request) {
  const auto body = object_body(request);
  if (!body) co_return fail(body.error());
  const auto text = json::find_string(*body, "query");
  if (!text) co_return fail(errors::hub::kArgumentNull, "The body has no 'query'.");
  const auto page_size = parse_page_size(request);
  if (!page_size) co_return fail(page_size.error());
  auto page = co_await hubs_.query(hub, std::string(*text), *page_size,
                                   std::string(request.headers.get_or("x-ms-continuation", {})));
  if (!page) co_return fail(std::move(page.error()));

  json::Array items;
  items.reserve(page->items.size());
  for (auto& item : page->items) items.push_back(std::move(item));
  auto response = http::Response::json(200, json::write(items));
  response.headers.set("x-ms-item-type", page->item_type);
  // Node takes any continuation, an empty one too, for "there is more".
  if (!page->continuation.empty()) response.headers.set("x-ms-continuation", page->continuation);
  co_return response;
}

}  // namespace doppel::hub
