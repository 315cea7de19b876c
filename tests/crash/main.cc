// store_power_cut [--load store|events] [--runs N] [--seed S] [--durability every_commit|none]
// [--expect-violation]
//
// Run r uses the seed S + r. Ends with 0 if no promise was broken; with --expect-violation, if one
// was: that is how the test shows that it would notice.
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "power_cut.h"
#include "store/contract_testing.h"

namespace {

struct Arguments {
  std::string_view load = "store";
  std::uint64_t runs = 40;
  std::uint64_t seed = 1;
  doppel::store::Durability durability = doppel::store::Durability::every_commit;
  bool is_violation_expected = false;
};

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--expect-violation") {
      arguments.is_violation_expected = true;
      continue;
    }
    ++i;
    if (name == "--runs" && parse_number(value, arguments.runs)) continue;
    if (name == "--seed" && parse_number(value, arguments.seed)) continue;
    if (name == "--load" && (value == "store" || value == "events")) {
      arguments.load = value;
      continue;
    }
    if (name == "--durability" && (value == "none" || value == "every_commit")) {
      if (value == "none") arguments.durability = doppel::store::Durability::none;
      continue;
    }
    return std::nullopt;
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    fmt::print(stderr,
               "usage: store_power_cut [--load store|events] [--runs N] [--seed S] "
               "[--durability every_commit|none] [--expect-violation]\n");
    return 2;
  }
  doppel::crash::Report report;
  std::uint64_t run = 0;
  for (; run < arguments->runs && report.violations.empty(); ++run) {
    const doppel::store::testing::TemporaryFolder folder;
    const auto cut = arguments->load == "events" ? doppel::crash::run_event_power_cuts
                                                 : doppel::crash::run_power_cuts;
    cut(folder.path() + "/data", arguments->seed + run, arguments->durability, report);
  }
  fmt::print(
      "{} runs from seed {}: {} power cuts ({} while opening), {} commits acknowledged, "
      "{} kept without, {} lost without\n",
      run, arguments->seed, report.cuts, report.cuts_while_opening, report.acknowledged,
      report.unacknowledged_but_kept, report.lost);
  for (const auto& violation : report.violations) fmt::print("BROKEN: {}\n", violation);
  if (!report.violations.empty())
    fmt::print(
        "again: store_power_cut --load {} --runs 1 --seed {}{}\n", arguments->load,
        arguments->seed + run - 1,
        arguments->durability == doppel::store::Durability::none ? " --durability none" : "");
  return report.violations.empty() == arguments->is_violation_expected ? 1 : 0;
}
