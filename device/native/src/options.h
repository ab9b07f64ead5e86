// The command line.
#pragma once

#include <optional>
#include <string>

#include "measure.h"

namespace bench {

struct Options {
  std::string model;
  int threads;
  Plan plan;
  std::optional<std::string> input;
  std::optional<std::string> save_output;
  std::optional<std::string> json;
};

// Nothing where --help or --version was asked for and has been answered. UserError where something
// is wrong.
std::optional<Options> parse_options(int count, char* arguments[]);

}  // namespace bench
