#include "measure.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstddef>

namespace bench {
namespace {

std::int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

double percentile(const std::vector<double>& ordered, double percent) {
  const double place = static_cast<double>(ordered.size() - 1) * percent / 100;
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, ordered.size() - 1);
  return ordered[below] + (ordered[above] - ordered[below]) * (place - static_cast<double>(below));
}

// The first and last third of fewer runs than this differ by chance.
constexpr std::size_t kDriftRuns = 30;

}  // namespace

Timing measure(const std::function<void()>& run, const Plan& plan) {
  for (int i = 0; i < plan.warmup; ++i) run();
  std::vector<std::int64_t> times;
  const auto least = static_cast<std::size_t>(std::max(plan.min_runs, 1));
  times.reserve(least);
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(std::ceil(plan.min_time * 1e9));
  while (true) {
    const std::int64_t start = now_ns();
    run();
    const std::int64_t stop = now_ns();
    times.push_back(stop - start);
    if (stop >= end && times.size() >= least) break;
  }
  Statistics statistics = summarize(times);
  return {std::move(times), statistics};
}

double time_once(const std::function<void()>& run) {
  const std::int64_t start = now_ns();
  run();
  return static_cast<double>(now_ns() - start) / 1e6;
}

double drift(const std::vector<std::int64_t>& times_ns) {
  if (times_ns.size() < kDriftRuns) return 0;
  const auto third = static_cast<std::ptrdiff_t>(times_ns.size() / 3);
  std::vector<double> first(times_ns.begin(), times_ns.begin() + third);
  std::vector<double> last(times_ns.end() - third, times_ns.end());
  std::sort(first.begin(), first.end());
  std::sort(last.begin(), last.end());
  return percentile(last, 50) / std::max(percentile(first, 50), 1.0) - 1;
}

Statistics summarize(const std::vector<std::int64_t>& times_ns) {
  assert(!times_ns.empty());
  std::vector<double> ms;
  ms.reserve(times_ns.size());
  for (const std::int64_t time : times_ns) ms.push_back(static_cast<double>(time) / 1e6);
  std::sort(ms.begin(), ms.end());
  const auto count = static_cast<double>(ms.size());
  // long double has 113 bits on AArch64: these sums come out as Python's exact math.fsum does.
  long double sum = 0, squares = 0;
  for (const double time : ms) sum += time;
  const double mean = static_cast<double>(sum) / count;
  for (const double time : ms) squares += (time - mean) * (time - mean);
  const double sd = ms.size() > 1 ? std::sqrt(static_cast<double>(squares) / (count - 1)) : 0.0;
  return {static_cast<std::int64_t>(ms.size()),
          percentile(ms, 50),
          percentile(ms, 90),
          percentile(ms, 95),
          percentile(ms, 99),
          ms.front(),
          ms.back(),
          mean,
          sd};
}

}  // namespace bench
