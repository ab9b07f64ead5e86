#include "options.h"

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>

#include "errors.h"

namespace bench {
namespace {

constexpr char kHelp[] = R"(usage: bench-depth-native --model FILE [options]

How fast a monocular depth model (.tflite) is on this machine, without Python.

  --model FILE        one picture in, one depth map out; see bench-depth
  --threads N         default: one per core, at most 4
  --warmup N          runs not counted (default: 5)
  --min-runs N        count at least N (default: 50)
  --min-time S        and measure at least S seconds (default: 5)
  --input FILE        .ppm of the model's size, or raw bytes of the input tensor
                      (default: a fixed pattern)
  --save-output FILE  write the output tensor: raw float32 metres
  --json FILE|-       write the results with every single time, as bench-depth
                      does; - is standard output, with the report on standard error
  --version, --help

exit codes: 0 ok, 2 wrong options or input, 3 the model cannot be loaded or run
)";
constexpr int kMostDefaultThreads = 4;
constexpr double kMostSeconds = 1e6;

enum Option {
  kModel = 256,
  kThreads,
  kWarmup,
  kMinRuns,
  kMinTime,
  kInput,
  kSaveOutput,
  kJson,
  kVersion,
  kHelpOption
};

const option kOptions[] = {{"model", required_argument, nullptr, kModel},
                           {"threads", required_argument, nullptr, kThreads},
                           {"warmup", required_argument, nullptr, kWarmup},
                           {"min-runs", required_argument, nullptr, kMinRuns},
                           {"min-time", required_argument, nullptr, kMinTime},
                           {"input", required_argument, nullptr, kInput},
                           {"save-output", required_argument, nullptr, kSaveOutput},
                           {"json", required_argument, nullptr, kJson},
                           {"version", no_argument, nullptr, kVersion},
                           {"help", no_argument, nullptr, kHelpOption},
                           {nullptr, 0, nullptr, 0}};

int integer(const std::string& name, const char* text, int least) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < least || value > INT_MAX) {
    throw UserError(name + " " + text + ": a whole number of at least " + std::to_string(least) +
                    " is needed");
  }
  return static_cast<int>(value);
}

double seconds(const std::string& name, const char* text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= 0 && value <= kMostSeconds)) {
    throw UserError(name + " " + text + ": seconds from 0 to 1000000 are needed");
  }
  return value;
}

void check_model(const std::string& path) {
  const std::string suffix = ".tflite";
  if (path.empty()) throw UserError("no model given; name a .tflite file with --model");
  if (path.size() < suffix.size() ||
      path.compare(path.size() - suffix.size(), suffix.size(), suffix) != 0) {
    throw UserError(path + " is no .tflite file; bench-depth runs .onnx files");
  }
}

}  // namespace

std::optional<Options> parse_options(int count, char* arguments[]) {
  Options options;
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  options.threads = static_cast<int>(std::clamp(cores, 1L, long{kMostDefaultThreads}));
  // The leading colon: mistakes are told apart and nothing is printed.
  for (int found; (found = ::getopt_long(count, arguments, ":", kOptions, nullptr)) != -1;) {
    switch (found) {
      case kModel:
        if (!options.model.empty()) throw UserError("two models; measure one at a time");
        options.model = optarg;
        break;
      case kThreads:
        options.threads = integer("--threads", optarg, 1);
        break;
      case kWarmup:
        options.plan.warmup = integer("--warmup", optarg, 0);
        break;
      case kMinRuns:
        options.plan.min_runs = integer("--min-runs", optarg, 1);
        break;
      case kMinTime:
        options.plan.min_time = seconds("--min-time", optarg);
        break;
      case kInput:
        options.input = optarg;
        break;
      case kSaveOutput:
        options.save_output = optarg;
        break;
      case kJson:
        options.json = optarg;
        break;
      case kVersion:
        std::puts("bench-depth-native " BENCH_DEPTH_VERSION);
        return std::nullopt;
      case kHelpOption:
        std::fputs(kHelp, stdout);
        return std::nullopt;
      case ':':
        throw UserError(std::string(arguments[optind - 1]) + " needs a value; see --help");
      default:
        throw UserError("unknown option " + std::string(arguments[optind - 1]) + "; see --help");
    }
  }
  if (optind < count) {
    throw UserError("unknown argument " + std::string(arguments[optind]) + "; see --help");
  }
  check_model(options.model);
  return options;
}

}  // namespace bench
