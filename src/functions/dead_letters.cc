#include "functions/dead_letters.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/value.h"

namespace doppel::functions {
namespace {

std::string letter_key(std::string_view app, std::string_view function, std::string_view id) {
  return store::key({"function", app, "dead", function, id});
}

std::string to_text(const DeadLetter& letter) {
  json::Object out;
  out["space"] = letter.source.log.space;
  out["log"] = letter.source.log.name;
  out["partition"] = letter.source.index;
  out["sequence"] = letter.sequence.value;
  out["failedAt"] = to_iso8601(letter.failed_at);
  out["reason"] = letter.reason;
  out["attempts"] = letter.attempts;
  out["event"] = base64_encode(events::encode(letter.event));
  return json::write(out);
}

Result<DeadLetter> from_text(std::string_view function, std::string_view id,
                             std::string_view text) {
  auto parsed = json::parse(text, {.depth_max = 4, .size_max = store::kValueSizeMax});
  if (!parsed)
    return fail(Code::internal, "a dead letter in the store is damaged: " + parsed.error().message);
  const auto number = [&](std::string_view name) {
    const json::Value* value = json::find(*parsed, name);
    return value != nullptr ? json::to_int64(*value).value_or(0) : 0;
  };
  const auto record = base64_decode(json::get_string_or(*parsed, "event", ""));
  auto event = events::decode(record.value_or(""));
  if (!event) return fail(std::move(event.error()));
  return DeadLetter{
      .id = std::string(id),
      .function = std::string(function),
      .source = {.log = {json::get_string_or(*parsed, "space", ""),
                         json::get_string_or(*parsed, "log", "")},
                 .index = static_cast<std::uint32_t>(number("partition"))},
      .sequence = {static_cast<std::uint64_t>(number("sequence"))},
      .failed_at =
          parse_iso8601(json::get_string_or(*parsed, "failedAt", "")).value_or(TimePoint{}),
      .reason = json::get_string_or(*parsed, "reason", ""),
      .attempts = static_cast<std::uint32_t>(number("attempts")),
      .event = std::move(*event)};
}

}  // namespace

std::string dead_letter_id(TimePoint failed_at, const events::Partition& source,
                           store::SequenceNumber sequence) {
  return fmt::format("{:020}-{}-{}", failed_at.time_since_epoch().count(), source.index,
                     sequence.value);
}

void stage_dead_letter(store::Transaction& tx, std::string_view app, DeadLetter letter) {
  tx.put(letter_key(app, letter.function, letter.id), to_text(letter));
}

void stage_removal(store::Transaction& tx, std::string_view app, std::string_view function,
                   std::string_view id) {
  tx.erase(letter_key(app, function, id));
}

Task<Result<std::vector<DeadLetter>>> list_dead_letters(store::Transaction& tx, std::string app,
                                                        std::string function, std::string after,
                                                        std::size_t limit) {
  const std::string prefix = store::key({"function", app, "dead", function});
  const std::string first = after.empty() ? prefix : letter_key(app, function, after) + '\0';
  auto entries = co_await tx.scan(first, store::after_prefix(prefix), limit);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<DeadLetter> letters;
  for (const auto& entry : *entries) {
    const auto parts = store::split_key(entry.key);
    auto letter = from_text(function, parts ? parts->back() : "", entry.value);
    if (!letter) co_return fail(std::move(letter.error()));
    letters.push_back(std::move(*letter));
  }
  co_return letters;
}

Task<Result<std::optional<DeadLetter>>> find_dead_letter(store::Transaction& tx, std::string app,
                                                         std::string function, std::string id) {
  auto value = co_await tx.get(letter_key(app, function, id));
  if (!value) co_return fail(std::move(value.error()));
  if (!value->has_value()) co_return std::optional<DeadLetter>{};
  auto letter = from_text(function, id, **value);
  if (!letter) co_return fail(std::move(letter.error()));
  co_return std::optional(std::move(*letter));
}

}  // namespace doppel::functions
