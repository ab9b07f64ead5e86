// The measuring loop and the statistics of its times, as in bench_depth/timing/measure.py.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace bench {

// How long to measure: `warmup` runs that are not counted, then at least `min_runs` (1 or more)
// and at least `min_time` seconds; both must be reached.
struct Plan {
  int warmup = 5;
  int min_runs = 50;
  double min_time = 5.0;
};

// What a series of times comes to, in milliseconds. Percentiles are interpolated linearly between
// the two nearest times; `sd` is the sample standard deviation, 0 for a single run.
struct Statistics {
  std::int64_t runs;
  double median, p90, p95, p99, minimum, maximum, mean, sd;
};

struct Timing {
  std::vector<std::int64_t> times_ns;  // Every counted run, in the order they ran.
  Statistics statistics;
};

// Times `run` as the plan says, by a monotonic clock.
Timing measure(const std::function<void()>& run, const Plan& plan);

// Times a single run, in milliseconds.
double time_once(const std::function<void()>& run);

// How much slower the last third of the runs is than the first, by medians; 0 for few runs.
double drift(const std::vector<std::int64_t>& times_ns);

// The statistics of at least one time.
Statistics summarize(const std::vector<std::int64_t>& times_ns);

}  // namespace bench
