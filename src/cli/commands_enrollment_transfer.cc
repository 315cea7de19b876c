// doppel iot dps enrollment | enrollment-group import | export.
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/dps_calls.h"
#include "cli/enrollment_rows.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::size_t kBatchMax = 10;  // items of one bulk operation; the service's limit
constexpr std::size_t kErrorsShownMax = 20;
constexpr std::int64_t kExistsCode = 409201;
constexpr Duration kProgressEvery = std::chrono::seconds(1);

struct Names {
  std::string_view folder;  // of the URL, and of the list in a bulk operation
  std::string_view id;
};
Names names_of(EnrollmentSort sort) {
  return sort == EnrollmentSort::group ? Names{"enrollmentGroups", "enrollmentGroupId"}
                                       : Names{"enrollments", "registrationId"};
}

Result<RowFormat> format_of(const Arguments& args, const std::string& path) {
  const auto given = args.find("--format");
  if (!given) return row_format_of(path);
  const auto format = parse_row_format(*given);
  if (!format) return fail(Code::invalid_argument, "--format is ndjson or csv");
  return *format;
}

// A line on standard error now and then, so that people see it move.
class Progress {
 public:
  void tell(std::string_view what, std::size_t done, std::size_t failed) {
    const auto now = clock_.steady();
    if (now - told_ < kProgressEvery) return;
    told_ = now;
    std::cerr << fmt::format("{} {}{}\n", done, what,
                             failed > 0 ? fmt::format(", {} failed", failed) : "");
  }

 private:
  SystemClock clock_;
  SteadyTime told_ = clock_.steady();
};

// ---- import ----

struct Item {
  std::size_t line;
  std::string id;
  json::Object enrollment;
};

class Import {
 public:
  enum class Mode : std::uint8_t { create, update, upsert, remove };

  Import(Session& session, Session::Call call, EnrollmentSort sort, Mode mode, bool skips_existing)
      : session_(session),
        call_(std::move(call)),
        names_(names_of(sort)),
        mode_(mode),
        skips_existing_(skips_existing) {}

  // Errors: what ends it all, such as a server that is gone; the rows before are done.
  Status run(RowReader& reader, std::size_t skipped_lines);
  Result<Output> summary() const;
  // The first line that may not be done.
  std::size_t line() const { return batch_.empty() ? last_line_ + 1 : batch_.front().line; }

 private:
  Status take(RowReader::Row row);
  Status send_batch();
  // Sends `items` with a bulk mode; those refused with `again_on` are returned.
  Result<std::vector<Item>> send(std::vector<Item> items, std::string_view mode,
                                 std::int64_t again_on);
  void refuse(std::size_t line, std::string_view id, std::string_view problem);

  Session& session_;
  Session::Call call_;
  const Names names_;
  const Mode mode_;
  const bool skips_existing_;
  Progress progress_;
  std::vector<Item> batch_;
  std::size_t last_line_ = 0;
  std::size_t rows_ = 0, done_ = 0, existing_ = 0, failed_ = 0;
};

void Import::refuse(std::size_t line, std::string_view id, std::string_view problem) {
  if (++failed_ <= kErrorsShownMax) {
    std::cerr << fmt::format("line {}{}{}: {}\n", line, id.empty() ? "" : ", ", id, problem);
  } else if (failed_ == kErrorsShownMax + 1) {
    std::cerr << "(more errors are only counted)\n";
  }
}

Status Import::take(RowReader::Row row) {
  ++rows_;
  if (!row.enrollment) {
    refuse(row.line, "", row.enrollment.error().message);
    return {};
  }
  Item item{row.line, "", *std::move(row.enrollment)};
  item.id = json::get_string_or(json::Value(item.enrollment), names_.id, "");
  if (item.id.empty()) {
    refuse(row.line, "", fmt::format("there is no {}", names_.id));
    return {};
  }
  batch_.push_back(std::move(item));
  return batch_.size() == kBatchMax ? send_batch() : Status();
}

Result<std::vector<Item>> Import::send(std::vector<Item> items, std::string_view mode,
                                       std::int64_t again_on) {
  json::Array list;
  for (const Item& item : items) list.emplace_back(item.enrollment);
  call_.body = json::Object{{"mode", mode}, {names_.folder, std::move(list)}};
  auto answer = session_.send_json(call_);
  if (!answer) return fail(std::move(answer.error()));
  std::map<std::string, const json::Value*> problems;
  if (const json::Value* errors = json::find(*answer, "errors"); errors && errors->is_array()) {
    for (const json::Value& error : errors->get_array()) {
      problems.emplace(to_lower(json::get_string_or(error, names_.id, "")), &error);
    }
  }
  std::vector<Item> again;
  for (Item& item : items) {
    const auto problem = problems.find(to_lower(item.id));
    if (problem == problems.end()) {
      ++done_;
      continue;
    }
    const json::Value* code = json::find(*problem->second, "errorCode");
    const std::int64_t number = code != nullptr ? json::to_int64(*code).value_or(0) : 0;
    if (again_on != 0 && number == again_on) {
      again.push_back(std::move(item));
    } else {
      refuse(
          item.line, item.id,
          fmt::format("{} {}", number, json::get_string_or(*problem->second, "errorStatus", "")));
    }
  }
  return again;
}

Status Import::send_batch() {
  if (batch_.empty()) return {};
  const std::size_t last = batch_.back().line;
  const bool is_careful = mode_ == Mode::upsert || (mode_ == Mode::create && skips_existing_);
  std::string_view verb = "create";
  if (mode_ == Mode::update) verb = "update";
  if (mode_ == Mode::remove) verb = "delete";
  auto existing = send(batch_, verb, is_careful ? kExistsCode : 0);
  if (!existing) return fail(std::move(existing.error()));
  if (mode_ == Mode::upsert && !existing->empty()) {
    auto updated = send(*std::move(existing), "update", 0);
    if (!updated) return fail(std::move(updated.error()));
  } else {
    existing_ += existing->size();
  }
  batch_.clear();
  last_line_ = last;
  progress_.tell("done", done_ + existing_, failed_);
  return {};
}

Status Import::run(RowReader& reader, std::size_t skipped_lines) {
  if (auto good = reader.check_header(); !good) return good;
  while (auto row = reader.next()) {
    if (row->line <= skipped_lines) continue;
    if (auto taken = take(*std::move(row)); !taken) return taken;
  }
  return send_batch();
}

Result<Output> Import::summary() const {
  if (failed_ > 0) {
    return fail(Code::invalid_argument,
                fmt::format("{} of {} rows failed; {} done, {} were there already", failed_, rows_,
                            done_, existing_));
  }
  return Output(json::Value(json::Object{{"rows", static_cast<std::int64_t>(rows_)},
                                         {"done", static_cast<std::int64_t>(done_)},
                                         {"existing", static_cast<std::int64_t>(existing_)},
                                         {"failed", static_cast<std::int64_t>(failed_)}}));
}

Result<Import::Mode> mode_of(const Arguments& args) {
  const std::string text = to_lower(args.get_or("--mode", "create"));
  if (text == "create") return Import::Mode::create;
  if (text == "update") return Import::Mode::update;
  if (text == "upsert") return Import::Mode::upsert;
  if (text == "delete") return Import::Mode::remove;
  return fail(Code::invalid_argument, "--mode is create, update, upsert or delete");
}

Result<std::size_t> skip_of(const Arguments& args) {
  const std::string text = args.get_or("--skip", "0");
  std::size_t lines = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), lines);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) {
    return fail(Code::invalid_argument, "--skip takes a number of lines");
  }
  return lines;
}

Result<Output> import_rows(Session& session, const Arguments& args, EnrollmentSort sort) {
  const std::string path = args.get("--file");
  auto format = format_of(args, path);
  if (!format) return fail(std::move(format.error()));
  auto mode = mode_of(args);
  if (!mode) return fail(std::move(mode.error()));
  auto skip = skip_of(args);
  if (!skip) return fail(std::move(skip.error()));
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return fail(Code::invalid_argument, fmt::format("--file: cannot read {}", path));
  }
  auto call = dps_call(session, args, "POST", fmt::format("/{}", names_of(sort).folder));
  if (!call) return fail(std::move(call.error()));
  RowReader reader(path == "-" ? std::cin : file, *format, sort);
  Import import(session, *std::move(call), sort, *mode, args.has("--skip-existing"));
  if (auto done = import.run(reader, *skip); !done) {
    return fail(done.error().code, fmt::format("{}\nstopped; `--skip {}` goes on where it stopped",
                                               done.error().message, import.line() - 1));
  }
  return import.summary();
}

// ---- export ----

// Where it goes: standard output, or a file that appears under its name when it is whole, readable
// for its owner only, since it may hold keys.
class Target {
 public:
  explicit Target(std::string path) : path_(std::move(path)) {}
  ~Target() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    std::remove(partial().c_str());
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  bool is_standard() const { return path_.empty() || path_ == "-"; }
  Status open() {
    if (is_standard()) return {};
    const mode_t old = ::umask(077);
    file_ = std::fopen(partial().c_str(), "w");
    ::umask(old);
    if (file_ == nullptr) {
      return fail(Code::invalid_argument, fmt::format("--file: cannot write {}", path_));
    }
    return {};
  }
  Status write(std::string_view text) {
    const bool is_good = is_standard()
                             ? static_cast<bool>(std::cout << text)
                             : std::fwrite(text.data(), 1, text.size(), file_) == text.size();
    return is_good ? Status() : broken();
  }
  Status close() {
    if (is_standard()) return std::cout.flush() ? Status() : broken();
    const bool is_safe = std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0;
    const bool is_closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    const bool is_there =
        is_safe && is_closed && std::rename(partial().c_str(), path_.c_str()) == 0;
    if (!is_there) std::remove(partial().c_str());
    return is_there ? Status() : broken();
  }

 private:
  std::string partial() const { return path_ + ".part"; }
  Status broken() const {
    return fail(Code::unavailable,
                fmt::format("cannot write {}", is_standard() ? "to standard output" : path_));
  }
  const std::string path_;
  std::FILE* file_ = nullptr;
};

// The list hides keys, and leaves certificates out.
Status complete_attestation(Session& session, const Session::Call& list_call, const Names& names,
                            bool shows_keys, json::Value& enrollment) {
  json::Value* attestation = enrollment.get_object().if_contains("attestation");
  if (attestation == nullptr) return {};
  const bool has_keys = json::get_string_or(*attestation, "type", "") == "symmetricKey";
  if (has_keys && !shows_keys) {
    if (attestation->is_object()) attestation->get_object().erase("symmetricKey");
    return {};
  }
  Session::Call call = list_call;
  call.path = fmt::format("/{}/{}/attestationmechanism", names.folder,
                          percent_encode(json::get_string_or(enrollment, names.id, "")));
  call.body.reset();
  auto whole = session.send_json(call);
  if (!whole && whole.error().code == Code::not_found) return {};  // deleted meanwhile
  if (!whole) return fail(std::move(whole.error()));
  *attestation = *std::move(whole);
  return {};
}

Result<Output> export_rows(Session& session, const Arguments& args, EnrollmentSort sort) {
  const std::string path = args.get("--file");
  auto format = format_of(args, path);
  if (!format) return fail(std::move(format.error()));
  const Names names = names_of(sort);
  auto call = dps_call(session, args, "POST", fmt::format("/{}/query", names.folder));
  if (!call) return fail(std::move(call.error()));
  Target target(path);
  if (auto opened = target.open(); !opened) return fail(std::move(opened.error()));
  if (*format == RowFormat::csv) {
    if (auto written = target.write(csv_header(sort)); !written) {
      return fail(std::move(written.error()));
    }
  }
  Progress progress;
  std::size_t rows = 0;
  const bool shows_keys = args.has("--show-keys");
  const auto take = [&](json::Array page) -> Status {
    for (json::Value& enrollment : page) {
      if (!enrollment.is_object()) continue;
      auto whole = complete_attestation(session, *call, names, shows_keys, enrollment);
      if (!whole) return whole;
      auto written = target.write(*format == RowFormat::csv ? csv_row(enrollment, sort)
                                                            : ndjson_row(enrollment));
      if (!written) return written;
      ++rows;
      if (!target.is_standard()) progress.tell("exported", rows, 0);
    }
    return {};
  };
  if (auto done = session.query_pages(*call, take); !done) return fail(std::move(done.error()));
  if (auto closed = target.close(); !closed) return fail(std::move(closed.error()));
  if (target.is_standard()) return Output{};
  return Output(json::Value(json::Object{
      {"rows", static_cast<std::int64_t>(rows)}, {"file", path}, {"keys", shows_keys}}));
}

using Run = Result<Output> (*)(Session&, const Arguments&, EnrollmentSort);
std::function<Result<Output>(Session&, const Arguments&)> with(Run run, EnrollmentSort sort) {
  return [run, sort](Session& session, const Arguments& args) { return run(session, args, sort); };
}

}  // namespace

std::vector<Command> enrollment_transfer_commands() {
  const Option format{.names = "--format",
                      .help = "ndjson or csv (default: by the file's name, else ndjson)"};
  const std::vector<Option> import_options = {
      kDpsOption,
      kGroupOption,
      {.names = "--file,-f", .help = "File to read; - for standard input", .is_required = true},
      format,
      {.names = "--mode", .help = "create (default), update, upsert (create or update) or delete"},
      {.names = "--skip-existing",
       .help = "With create: what is there already is no error, so that an import can be repeated",
       .kind = Option::Kind::flag},
      {.names = "--skip", .help = "Leave out the first so many lines"}};
  const std::vector<Option> export_options = {
      kDpsOption,
      kGroupOption,
      {.names = "--file,-f", .help = "File to write; - or nothing for standard output"},
      format,
      {.names = "--show-keys,--keys",
       .help = "With symmetric keys: whoever reads the file can be every device in it",
       .kind = Option::Kind::flag}};
  const std::vector<std::string> imported = {"rows", "done", "existing", "failed"};
  const std::vector<std::string> exported = {"rows", "file", "keys"};
  return {
      {"iot dps enrollment import", "Import individual enrollments from NDJSON or CSV",
       import_options, with(import_rows, EnrollmentSort::individual), imported},
      {"iot dps enrollment export", "Export the individual enrollments as NDJSON or CSV",
       export_options, with(export_rows, EnrollmentSort::individual), exported},
      {"iot dps enrollment-group import", "Import enrollment groups from NDJSON or CSV",
       import_options, with(import_rows, EnrollmentSort::group), imported},
      {"iot dps enrollment-group export", "Export the enrollment groups as NDJSON or CSV",
       export_options, with(export_rows, EnrollmentSort::group), exported},
  };
}

}  // namespace doppel::cli
