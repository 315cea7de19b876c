#include "base/metrics.h"

#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <variant>

#include <fmt/format.h>

#include "base/check.h"

namespace doppel::metrics {
namespace {

using Metric =
    std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;

struct Family {
  std::string help;
  std::map<std::string, Metric> by_labels;  // key: the rendered labels, without braces
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

std::string render(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels)
    fmt::format_to(std::back_inserter(out), "{}{}=\"{}\"", out.empty() ? "" : ",", key, value);
  return out;
}

template <class T>
T& find_or_make(std::string_view name, std::string_view help, const Labels& labels) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  Family& family = all.families[std::string(name)];
  family.help = help;
  auto [at, made] = family.by_labels.try_emplace(render(labels), std::make_unique<T>());
  auto* metric = std::get_if<std::unique_ptr<T>>(&at->second);
  check(metric != nullptr, "one metric name has one type");
  return **metric;
}

void write_histogram(std::string& out, const std::string& name, const std::string& labels,
                     const Histogram& h) {
  const auto sep = labels.empty() ? "" : ",";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    total += h.bucket(i);
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, sep,
                   Histogram::kBounds[i], total);
  }
  total += h.bucket(Histogram::kBounds.size());
  fmt::format_to(std::back_inserter(out), "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, sep,
                 total);
  const std::string braces = labels.empty() ? "" : "{" + labels + "}";
  fmt::format_to(std::back_inserter(out), "{}_sum{} {}\n{}_count{} {}\n", name, braces,
                 h.sum_seconds(), name, braces, total);
}

}  // namespace

void Histogram::observe_seconds(double seconds) {
  std::size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  sum_nanos_.fetch_add(static_cast<std::uint64_t>(seconds < 0 ? 0 : seconds * 1e9),
                       std::memory_order_relaxed);
}

double Histogram::sum_seconds() const {
  return static_cast<double>(sum_nanos_.load(std::memory_order_relaxed)) / 1e9;
}

Counter& counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find_or_make<Counter>(name, help, labels);
}
Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find_or_make<Gauge>(name, help, labels);
}
Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels) {
  return find_or_make<Histogram>(name, help, labels);
}

std::string render_prometheus() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::string out;
  for (const auto& [name, family] : all.families) {
    static constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                   kTypes[family.by_labels.begin()->second.index()]);
    for (const auto& [labels, metric] : family.by_labels) {
      const std::string braces = labels.empty() ? "" : "{" + labels + "}";
      if (const auto* c = std::get_if<std::unique_ptr<Counter>>(&metric))
        fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, braces, (*c)->value());
      else if (const auto* g = std::get_if<std::unique_ptr<Gauge>>(&metric))
        fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, braces, (*g)->value());
      else
        write_histogram(out, name, labels, *std::get<std::unique_ptr<Histogram>>(metric));
    }
  }
  return out;
}

}  // namespace doppel::metrics
