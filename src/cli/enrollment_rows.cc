#include "cli/enrollment_rows.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::cli {
namespace {

std::unexpected<Error> wrong(std::string text) {
  return fail(Code::invalid_argument, std::move(text));
}

// How a column's text and the document's value belong together.
enum class Form : std::uint8_t { text, boolean, json, list };
enum class For : std::uint8_t { both, individual, group };
struct Column {
  std::string_view name;
  std::string_view path;  // of members
  Form form = Form::text;
  For who = For::both;
};

constexpr Column kColumns[] = {
    {"registrationId", "registrationId", Form::text, For::individual},
    {"enrollmentGroupId", "enrollmentGroupId", Form::text, For::group},
    {"deviceId", "deviceId", Form::text, For::individual},
    {"attestation", "attestation.type"},
    {"primaryKey", "attestation.symmetricKey.primaryKey"},
    {"secondaryKey", "attestation.symmetricKey.secondaryKey"},
    {"endorsementKey", "attestation.tpm.endorsementKey", Form::text, For::individual},
    {"storageRootKey", "attestation.tpm.storageRootKey", Form::text, For::individual},
    {"certificate", "attestation.x509.clientCertificates.primary.certificate", Form::text,
     For::individual},
    {"secondaryCertificate", "attestation.x509.clientCertificates.secondary.certificate",
     Form::text, For::individual},
    {"signingCertificate", "attestation.x509.signingCertificates.primary.certificate", Form::text,
     For::group},
    {"secondarySigningCertificate", "attestation.x509.signingCertificates.secondary.certificate",
     Form::text, For::group},
    {"caName", "attestation.x509.caReferences.primary", Form::text, For::group},
    {"secondaryCaName", "attestation.x509.caReferences.secondary", Form::text, For::group},
    {"provisioningStatus", "provisioningStatus"},
    {"approval", "approval", Form::text, For::group},
    {"allocationPolicy", "allocationPolicy"},
    {"iotHubs", "iotHubs", Form::list},
    {"webhookUrl", "customAllocationDefinition.webhookUrl"},
    {"webhookApiVersion", "customAllocationDefinition.apiVersion"},
    {"updateHubAssignment", "reprovisionPolicy.updateHubAssignment", Form::boolean},
    {"migrateDeviceData", "reprovisionPolicy.migrateDeviceData", Form::boolean},
    {"iotEdge", "capabilities.iotEdge", Form::boolean},
    {"tags", "initialTwin.tags", Form::json},
    {"desired", "initialTwin.properties.desired", Form::json},
    {"deviceInformation", "optionalDeviceInformation", Form::json, For::individual},
    {"credentialPolicyName", "credentialPolicyName"},
};

bool is_for(const Column& column, EnrollmentSort sort) {
  switch (column.who) {
    case For::both:
      return true;
    case For::individual:
      return sort == EnrollmentSort::individual;
    case For::group:
      return sort == EnrollmentSort::group;
  }
  return false;
}

const json::Value* at_path(const json::Value& value, std::string_view path) {
  const json::Value* at = &value;
  while (at != nullptr && !path.empty()) {
    const auto dot = path.find('.');
    at = at->is_object() ? json::find(*at, path.substr(0, dot)) : nullptr;
    path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  }
  return at;
}

void set_path(json::Object& object, std::string_view path, json::Value value) {
  const auto dot = path.find('.');
  if (dot == path.npos) {
    object[path] = std::move(value);
    return;
  }
  json::Value& child = object[path.substr(0, dot)];
  if (!child.is_object()) child = json::Object{};
  set_path(child.get_object(), path.substr(dot + 1), std::move(value));
}

std::string cell_of(const json::Value* value, const Column& column) {
  if (value == nullptr || value->is_null()) return "";
  switch (column.form) {
    case Form::text:
      return json::is_string(*value) ? std::string(json::view(value->get_string())) : "";
    case Form::boolean:
    case Form::json:
      return json::write(*value);
    case Form::list: {
      std::string list;
      if (!value->is_array()) return list;
      for (const json::Value& item : value->get_array()) {
        if (!json::is_string(item)) continue;
        list += (list.empty() ? "" : ";") + std::string(json::view(item.get_string()));
      }
      return list;
    }
  }
  return "";
}

Result<json::Value> value_of(const std::string& cell, const Column& column) {
  switch (column.form) {
    case Form::text:
      return json::Value(cell);
    case Form::boolean:
      if (equal_ignoring_case(cell, "true")) return json::Value(true);
      if (equal_ignoring_case(cell, "false")) return json::Value(false);
      return wrong(fmt::format("{} must be true or false", column.name));
    case Form::json: {
      auto parsed = json::parse(cell);
      if (!parsed)
        return wrong(fmt::format("{} is not JSON: {}", column.name, parsed.error().message));
      return parsed;
    }
    case Form::list: {
      json::Array list;
      for (std::string_view rest = cell; !rest.empty();) {
        const auto end = std::min(rest.find(';'), rest.size());
        if (end > 0) list.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      return json::Value(std::move(list));
    }
  }
  return json::Value(cell);
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == cell.npos) return cell;
  std::string out = "\"";
  for (const char c : cell) {
    out += c;
    if (c == '"') out += c;
  }
  return out + '"';
}

}  // namespace

RowFormat row_format_of(std::string_view path) {
  return to_lower(path).ends_with(".csv") ? RowFormat::csv : RowFormat::ndjson;
}

std::optional<RowFormat> parse_row_format(std::string_view text) {
  if (equal_ignoring_case(text, "csv")) return RowFormat::csv;
  if (equal_ignoring_case(text, "ndjson") || equal_ignoring_case(text, "jsonl")) {
    return RowFormat::ndjson;
  }
  return std::nullopt;
}

std::string csv_header(EnrollmentSort sort) {
  std::string header;
  for (const Column& column : kColumns) {
    if (!is_for(column, sort)) continue;
    header += (header.empty() ? "" : ",") + std::string(column.name);
  }
  return header + "\r\n";
}

std::string csv_row(const json::Value& enrollment, EnrollmentSort sort) {
  std::string row;
  bool is_first = true;
  for (const Column& column : kColumns) {
    if (!is_for(column, sort)) continue;
    if (!is_first) row += ',';
    is_first = false;
    row += quoted(cell_of(at_path(enrollment, column.path), column));
  }
  return row + "\r\n";
}

std::string ndjson_row(const json::Value& enrollment) {
  json::Value copy = enrollment;
  if (copy.is_object()) {
    for (const std::string_view name :
         {"etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState"}) {
      copy.get_object().erase(name);
    }
  }
  return json::write(copy) + "\n";
}

// ---- Reading ----

Status RowReader::check_header() {
  if (format_ != RowFormat::csv || !columns_.empty()) return {};
  auto header = read_record();
  if (!header) return fail(std::move(header.error()));
  if (!*header) return wrong("the file is empty: a CSV file begins with a row of column names");
  if (!(*header)->empty() && (*header)->front().starts_with("\xEF\xBB\xBF")) {
    (*header)->front().erase(0, 3);  // spreadsheets write this mark
  }
  for (const std::string& name : **header) {
    const bool is_known = std::ranges::any_of(kColumns, [&](const Column& column) {
      return is_for(column, sort_) && equal_ignoring_case(column.name, name);
    });
    if (!is_known) {
      std::string known = csv_header(sort_);
      known.resize(known.size() - 2);
      return wrong(fmt::format("there is no column '{}'; there is: {}", name, known));
    }
  }
  columns_ = **std::move(header);
  return {};
}

std::optional<RowReader::Row> RowReader::next() {
  return format_ == RowFormat::csv ? next_csv() : next_ndjson();
}

std::optional<RowReader::Row> RowReader::next_ndjson() {
  std::string text;
  while (std::getline(input_, text)) {
    ++line_;
    if (text.find_first_not_of(" \t\r") == text.npos) continue;
    if (text.size() > kRowSizeMax) return Row{line_, wrong("the line is too long")};
    auto parsed = json::parse(text);
    if (!parsed) return Row{line_, wrong("not JSON: " + parsed.error().message)};
    if (!parsed->is_object()) return Row{line_, wrong("not a JSON object")};
    return Row{line_, std::move(parsed->get_object())};
  }
  return std::nullopt;
}

std::optional<RowReader::Row> RowReader::next_csv() {
  while (true) {
    const std::size_t line = line_ + 1;
    auto cells = read_record();
    if (!cells) return Row{line, fail(std::move(cells.error()))};
    if (!*cells) return std::nullopt;
    if ((*cells)->size() == 1 && (*cells)->front().empty()) continue;  // an empty line
    return Row{line, from_cells(**cells)};
  }
}

Result<std::optional<std::vector<std::string>>> RowReader::read_record() {
  std::vector<std::string> cells;
  std::string cell;
  std::size_t size = 0;
  bool is_quoted = false, was_quoted = false, is_anything = false;
  for (int c = input_.get(); c != std::char_traits<char>::eof(); c = input_.get()) {
    is_anything = true;
    if (++size > kRowSizeMax) {
      // Where the row ends nobody knows; what follows is read from the next line.
      while (c != '\n' && c != std::char_traits<char>::eof()) c = input_.get();
      ++line_;
      return wrong("the row is too long; is a quote missing?");
    }
    if (c == '\n') ++line_;
    if (is_quoted) {
      if (c != '"') {
        cell += static_cast<char>(c);
      } else if (input_.peek() == '"') {
        cell += static_cast<char>(input_.get());
      } else {
        is_quoted = false;
      }
      continue;
    }
    if (c == '"' && cell.empty() && !was_quoted) {
      is_quoted = was_quoted = true;
    } else if (c == ',') {
      cells.push_back(std::move(cell));
      cell.clear();
      was_quoted = false;
    } else if (c == '\n') {
      if (!cell.empty() && cell.back() == '\r' && !was_quoted) cell.pop_back();
      cells.push_back(std::move(cell));
      return cells;
    } else if (c != '\r' || !was_quoted) {
      cell += static_cast<char>(c);
    }
  }
  if (!is_anything) return std::nullopt;
  ++line_;
  if (is_quoted) return wrong("the file ends within quotes");
  cells.push_back(std::move(cell));
  return cells;
}

Result<json::Object> RowReader::from_cells(const std::vector<std::string>& cells) const {
  if (cells.size() != columns_.size()) {
    return wrong(fmt::format("{} cells, but the header has {}", cells.size(), columns_.size()));
  }
  json::Object enrollment;
  for (const Column& column : kColumns) {
    if (!is_for(column, sort_)) continue;
    const auto at = std::ranges::find_if(
        columns_, [&](const std::string& name) { return equal_ignoring_case(name, column.name); });
    if (at == columns_.end()) continue;
    const std::string& cell = cells[static_cast<std::size_t>(at - columns_.begin())];
    if (cell.empty()) continue;
    auto value = value_of(cell, column);
    if (!value) return fail(std::move(value.error()));
    set_path(enrollment, column.path, *std::move(value));
  }
  // A list of names alone is the list of a fleet by symmetric keys.
  const json::Value whole(std::move(enrollment));
  json::Object made = whole.get_object();
  if (at_path(whole, "attestation.type") == nullptr) {
    set_path(made, "attestation.type", json::Value("symmetricKey"));
  }
  return made;
}

}  // namespace doppel::cli
