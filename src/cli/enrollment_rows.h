// Enrollments as lines of a file, for import and export: NDJSON, one document a line, or CSV for
// spreadsheets, with a header row. Reading is streaming; a bad line says which one and why, and the
// next one is read all the same.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/enrollment_document.h"
#include "json/value.h"

namespace doppel::cli {

inline constexpr std::size_t kRowSizeMax = 256 * 1024;  // bytes of one enrollment in a file

enum class RowFormat : std::uint8_t { ndjson, csv };
// By the end of a file's name; NDJSON for any other.
RowFormat row_format_of(std::string_view path);
std::optional<RowFormat> parse_row_format(std::string_view text);

// The header row.
std::string csv_header(EnrollmentSort sort);
// One row or line, its end included. What only the service sets (etag, dates, state) is left out.
std::string csv_row(const json::Value& enrollment, EnrollmentSort sort);
std::string ndjson_row(const json::Value& enrollment);

class RowReader {
 public:
  // `input` outlives the reader.
  RowReader(std::istream& input, RowFormat format, EnrollmentSort sort)
      : input_(input), format_(format), sort_(sort) {}

  struct Row {
    std::size_t line = 0;  // where it begins, from 1
    Result<json::Object> enrollment;
  };
  // Nothing at the end. Errors within a row: invalid_argument.
  std::optional<Row> next();
  // What makes the whole file useless (a bad header); checked before the first row.
  Status check_header();

 private:
  std::optional<Row> next_ndjson();
  std::optional<Row> next_csv();
  // The cells of the next record; nothing at the end. Quotes as RFC 4180 has them.
  Result<std::optional<std::vector<std::string>>> read_record();
  Result<json::Object> from_cells(const std::vector<std::string>& cells) const;

  std::istream& input_;
  const RowFormat format_;
  const EnrollmentSort sort_;
  std::vector<std::string> columns_;
  std::size_t line_ = 0;  // lines read so far
};

}  // namespace doppel::cli
