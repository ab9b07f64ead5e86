// The model contract: what goes into a depth model and what comes out, carried in its own file.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "files.h"

namespace bench {

using Json = nlohmann::ordered_json;

// The contract inside a .tflite file, checked: every field of bench_depth.model.contract.ModelContract
// is there and of its type, and nothing else is. Nothing where the file carries none.
// FormatError where the file is damaged, UserError (3) where its contract is not one that this
// version understands; `path` is for the message.
std::optional<Json> read_contract(const std::string& path, const Bytes& model);

// The state of a stream that a contract names: names of its two tensors, and what both are.
struct State {
  std::string input, output, dtype;
  std::vector<int> shape;
  double scale;
  int zero_point;
};

// Nothing for a model that takes every picture by itself.
std::optional<State> state_of(const std::optional<Json>& contract);

}  // namespace bench
