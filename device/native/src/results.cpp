#include "results.h"

#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>

#include "model.h"

namespace bench {
namespace {

constexpr double kNoisy = 1.5;
constexpr double kFirstSlow = 3.0;

// A machine at rest has next to nothing; one busy program makes 1.
constexpr double kLoad = 0.7;
constexpr double kDrift = 0.05;

const std::pair<const char*, const char*> kAdvice[] = {
    {"no-contract",
     "the file does not say what it takes and gives;\n"
     "  raw RGB 0..255 in and metres out were assumed"},
    {"emulated", "this is an emulator; its times say nothing about a real board"},
    {"throttled",
     "the board lowered its clock (heat or power);\n"
     "  cool it"},
    {"undervoltage",
     "the supply's voltage is too low;\n"
     "  use a stronger supply and a short cable"},
    {"throttling-unknown",
     "whether the board lowered its clock could not be read;\n"
     "  run as a user of the group video, with vcgencmd installed"},
    {"governor",
     "the governor changes the clock; run: echo performance |\n"
     "  sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"},
    {"load", "other programs were busy before measuring began; end them"},
    {"swap",
     "memory was read back from swap meanwhile;\n"
     "  end other programs, or use a smaller model"},
    {"noisy",
     "the slowest runs took over 1.5 times the median;\n"
     "  end other programs, measure longer"},
    {"drift",
     "the last runs took over 5 % more or less than the first ones;\n"
     "  measure longer"},
    {"first-slow",
     "the first run took over 3 times the median;\n"
     "  warm up before the first frame"},
};

std::string program() { return "bench-depth-native " BENCH_DEPTH_VERSION; }

template <typename Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json to_value(const Timing& timing) {
  const Statistics& s = timing.statistics;
  return {{"times_ns", timing.times_ns},
          {"statistics",
           {{"runs", s.runs},
            {"median", s.median},
            {"p90", s.p90},
            {"p95", s.p95},
            {"p99", s.p99},
            {"minimum", s.minimum},
            {"maximum", s.maximum},
            {"mean", s.mean},
            {"sd", s.sd}}}};
}

Json to_value(const Health& health) {
  return {{"clock_mhz", or_null(health.clock_mhz)},
          {"temperature_c", or_null(health.temperature_c)},
          {"throttled", or_null(health.throttled)},
          {"load", or_null(health.load)},
          {"swapped_in", or_null(health.swapped_in)}};
}

Json to_value(const Board& board) {
  return {{"model", or_null(board.model)},
          {"cpu", or_null(board.cpu)},
          {"cores", board.cores},
          {"architecture", board.architecture},
          {"system", board.system},
          {"max_clock_mhz", or_null(board.max_clock_mhz)},
          {"governor", or_null(board.governor)},
          {"emulated", board.emulated}};
}

Json context(const Results& results) {
  return {{"created", results.created},
          {"program", program()},
          {"commit", nullptr},
          {"python", "none"},
          {"board", to_value(results.board)},
          {"threads", results.threads},
          {"warmup", results.plan.warmup},
          {"min_runs", results.plan.min_runs},
          {"min_time", results.plan.min_time}};
}

template <typename... Values>
std::string format(const char* text, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, text, values...);
  return line;
}

std::string board_line(const Board& board) {
  std::string line = board.model.value_or("unknown board") + ", " + std::to_string(board.cores) +
                     "x " + board.cpu.value_or("unknown CPU");
  if (board.max_clock_mhz) line += format(", up to %.0f MHz", *board.max_clock_mhz);
  if (board.governor) line += ", governor " + *board.governor;
  return line + "\n";
}

std::string health_line(const Health& before, const Health& after) {
  std::string line;
  if (before.clock_mhz && after.clock_mhz) {
    line += format("  %.0f -> %.0f MHz", *before.clock_mhz, *after.clock_mhz);
  }
  if (before.temperature_c && after.temperature_c) {
    line += format("  %.0f -> %.0f C", *before.temperature_c, *after.temperature_c);
  }
  if (after.throttled) line += format("  throttled=%#x", static_cast<unsigned>(*after.throttled));
  return line.empty() ? line : line + "\n";
}

}  // namespace

std::vector<std::string> warnings(const Results& results) {
  const Statistics& invoke = results.invoke.statistics;
  const Health &before = results.before, &after = results.after;
  const std::optional<std::string>& governor = results.board.governor;
  const bool holds[] = {
      !results.contract,
      results.board.emulated,
      flagged(before, after, kSlowed),
      flagged(before, after, kUndervoltage),
      throttling_unknown(results.board, before, after),
      governor && *governor != "performance",
      results.idle.load && *results.idle.load > kLoad,
      after.swapped_in.value_or(0) > before.swapped_in.value_or(0),
      invoke.p99 > kNoisy * invoke.median,
      std::abs(drift(results.invoke.times_ns)) > kDrift,
      results.first_ms > kFirstSlow * invoke.median,
  };
  static_assert(std::size(holds) == std::size(kAdvice));
  std::vector<std::string> codes;
  for (std::size_t i = 0; i < std::size(kAdvice); ++i) {
    if (holds[i]) codes.emplace_back(kAdvice[i].first);
  }
  return codes;
}

std::string to_json(const Results& results) {
  const Json runtime = {{"name", runtime_name()},
                        {"version", runtime_version()},
                        {"xnnpack", or_null(results.xnnpack)}};
  const Json model = {{"file", results.file},
                      {"bytes", results.bytes},
                      {"sha256", results.sha256},
                      {"contract", or_null(results.contract)},
                      {"runtime", runtime},
                      {"input", results.input},
                      {"output", results.output},
                      {"load_ms", results.load_ms},
                      {"first_ms", results.first_ms},
                      {"preprocess", to_value(results.preprocess)},
                      {"invoke", to_value(results.invoke)},
                      {"postprocess", to_value(results.postprocess)},
                      {"peak_rss_bytes", results.peak_rss_bytes},
                      {"before", to_value(results.before)},
                      {"after", to_value(results.after)},
                      {"accuracy", nullptr},
                      {"warnings", warnings(results)}};
  const Json file = {{"context", context(results)},
                     {"models", Json::array({model})},
                     {"schema", "bench-depth-results/1"}};
  // File names need not be UTF-8, JSON must.
  return file.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string render(const Results& results) {
  const Statistics& s = results.invoke.statistics;
  const double megabytes = static_cast<double>(results.bytes) / 1e6;
  std::string text = program() + "\n" + board_line(results.board) + "  " +
                     results.board.architecture + ", " + results.board.system + "\n\n" +
                     results.file + "\n";
  text += "  " + runtime_name() + " " + runtime_version();
  if (results.xnnpack) text += *results.xnnpack ? ", XNNPACK delegate on" : ", XNNPACK off";
  text += format(", %d thread%s\n", results.threads, results.threads > 1 ? "s" : "");
  text += format("  %.2f MB, ", megabytes) + results.input + " -> " + results.output + "\n";
  text += format("  %lld runs, %.2f +- %.2f ms, %.2f to %.2f ms, p95 %.2f ms\n",
                 static_cast<long long>(s.runs), s.mean, s.sd, s.minimum, s.maximum, s.p95);
  text += format("  load %.1f ms, first run %.1f ms, peak memory %.0f MB\n", results.load_ms,
                 results.first_ms, static_cast<double>(results.peak_rss_bytes) / 1e6);
  text += format("  preprocess %.2f ms, postprocess %.2f ms\n",
                 results.preprocess.statistics.median, results.postprocess.statistics.median);
  text += health_line(results.before, results.after);
  text += format("\n%10s %10s %10s %10s %10s\n", "MB", "median ms", "p90", "p99", "FPS");
  text += format("%10.1f %10.2f %10.2f %10.2f %10.2f\n", megabytes, s.median, s.p90, s.p99,
                 1000 / s.median);
  for (const std::string& code : warnings(results)) {
    for (const auto& [known, advice] : kAdvice) {
      if (code == known) text += "\n" + code + ": " + advice + "\n";
    }
  }
  return text;
}

}  // namespace bench
