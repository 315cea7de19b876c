#include "cli/attempt_text.h"

#include <string_view>

#include <fmt/format.h>

namespace doppel::cli {
namespace {

std::string_view mark_of(std::string_view verdict) {
  if (verdict == "passed") return "ok";
  if (verdict == "refused") return "NO";
  if (verdict == "skipped") return "--";
  return "";
}

std::string number_text(const json::Value& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  return value != nullptr && !value->is_null() ? json::write(*value) : "";
}

double milliseconds(const json::Value& object, std::string_view name) {
  const std::string text = number_text(object, name);
  return text.empty() ? 0 : std::strtod(text.c_str(), nullptr);
}

std::string headline(const json::Value& attempt) {
  const auto text = [&](std::string_view name) { return json::get_string_or(attempt, name, ""); };
  std::string line;
  if (const std::string number = number_text(attempt, "number"); number != "0") {
    line = fmt::format("#{} ", number);
  }
  line += fmt::format("{}  {} {}", text("begunUtc").substr(0, 23), text("call"),
                      text("registrationId"));
  if (!text("transport").empty()) line += " over " + text("transport");
  if (!text("peer").empty()) line += " from " + text("peer");
  line += fmt::format(": {}", text("outcome"));
  if (const auto code = number_text(attempt, "errorCode"); !code.empty()) line += " " + code;
  return line + fmt::format(" ({:.1f} ms)\n", milliseconds(attempt, "tookMs"));
}

std::string summary(const json::Value& attempt) {
  std::string line;
  const auto add = [&](std::string_view label, std::string value) {
    if (!value.empty()) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", label, value);
  };
  const auto text = [&](std::string_view name) { return json::get_string_or(attempt, name, ""); };
  add("enrollment", text("enrollment"));
  add("device", text("deviceId"));
  add("hub", text("assignedHub"));
  add("commit", number_text(attempt, "commitVersion"));
  add("tracking id", text("trackingId"));
  return line.empty() ? "" : "    " + line + "\n";
}

}  // namespace

std::string attempt_text(const json::Value& attempt) {
  std::string out = headline(attempt) + summary(attempt);
  const json::Value* steps = json::find(attempt, "steps");
  if (steps != nullptr && steps->is_array()) {
    for (const json::Value& step : steps->get_array()) {
      out += fmt::format("    {:>8.1f} ms  {:<2}  {:<12}  {}\n", milliseconds(step, "atMs"),
                         mark_of(json::get_string_or(step, "verdict", "")),
                         json::get_string_or(step, "step", ""),
                         json::get_string_or(step, "detail", ""));
    }
  }
  if (const auto more = number_text(attempt, "stepsLeftOut"); !more.empty()) {
    out += fmt::format("    ... and {} steps more\n", more);
  }
  const std::string message = json::get_string_or(attempt, "message", "");
  if (!message.empty()) out += fmt::format("    {}\n", message);
  return out;
}

}  // namespace doppel::cli
