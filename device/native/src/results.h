// What was measured: the results file that bench-depth reads, and the printed report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "board.h"
#include "contract.h"
#include "measure.h"

namespace bench {

// The parts of bench_depth.results.records.Results that differ from run to run.
struct Results {
  std::string created;  // When the measuring began, ISO 8601, UTC.
  Board board;
  int threads;
  Plan plan;
  std::string file;
  std::int64_t bytes;
  std::string sha256;
  std::optional<Json> contract;
  std::optional<bool> xnnpack;
  std::string input, output;  // Like `1x480x640x3 uint8`.
  double load_ms, first_ms;
  Timing preprocess, invoke, postprocess;
  std::int64_t peak_rss_bytes;
  Health idle, before, after;  // Before anything ran, before the timing, after it.
};

// The codes of bench_depth.results.advice that hold.
std::vector<std::string> warnings(const Results& results);

// The text of a results file of schema bench-depth-results/1.
std::string to_json(const Results& results);

// For people: what was measured on, the times, and a remedy for each warning.
std::string render(const Results& results);

}  // namespace bench
