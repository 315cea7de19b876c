#include "cli/output.h"

#include <algorithm>
#include <cctype>

#include "base/encoding.h"

namespace doppel::cli {
namespace {

// A member may have a dot in none of its own names here, so a path is split at each.
const json::Value* at_path(const json::Value& row, std::string_view path) {
  const json::Value* at = &row;
  while (at != nullptr && !path.empty()) {
    const auto dot = path.find('.');
    at = json::find(*at, path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return at;
}

std::string cell(const json::Value* value) {
  if (value == nullptr || value->is_null()) return "";
  if (json::is_string(*value)) return std::string(json::view(value->get_string()));
  if (value->is_array()) {
    std::string list;
    for (const auto& item : value->get_array()) list += (list.empty() ? "" : ", ") + cell(&item);
    return list;
  }
  return json::write(*value);
}

// "Title=path", or a path whose last member is the title.
std::string_view path_of(std::string_view column) { return column.substr(column.find('=') + 1); }

std::string title(std::string_view path) {
  if (const auto named = path.find('='); named != std::string_view::npos)
    return std::string(path.substr(0, named));
  std::string name(
      path.substr(path.rfind('.') == std::string_view::npos ? 0 : path.rfind('.') + 1));
  if (!name.empty()) name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

std::size_t columns_wide(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string as_json(const json::Value& document) { return json::write_pretty(document) + "\n"; }

std::string as_table(const json::Value& document, std::vector<std::string> columns) {
  if (!document.is_array() && !document.is_object()) return cell(&document) + "\n";
  const json::Array rows = document.is_array() ? document.get_array() : json::Array{document};
  if (rows.empty()) return "";
  if (columns.empty() && rows[0].is_object())
    for (const auto& member : rows[0].get_object())
      if (!member.value().is_object() && !member.value().is_array())
        columns.emplace_back(member.key());
  std::vector<std::vector<std::string>> cells(2);
  std::vector<std::size_t> widths;
  for (const auto& column : columns) {
    cells[0].push_back(title(column));
    widths.push_back(columns_wide(cells[0].back()));
  }
  for (const auto& row : rows) {
    auto& line = cells.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      line.push_back(cell(at_path(row, path_of(columns[i]))));
      widths[i] = std::max(widths[i], columns_wide(line.back()));
    }
  }
  for (const auto width : widths) cells[1].push_back(std::string(width, '-'));
  std::string out;
  for (const auto& line : cells) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i)
      text += line[i] +
              std::string(i + 1 == line.size() ? 0 : widths[i] - columns_wide(line[i]) + 2, ' ');
    out += text + "\n";
  }
  return out;
}

}  // namespace doppel::cli
