// A .tflite file in TensorFlow Lite's C API.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "contract.h"
#include "files.h"

struct TfLiteDelegate;
struct TfLiteModel;
struct TfLiteInterpreter;
struct TfLiteTensor;

namespace bench {

// The size of each axis, -1 where the file leaves it open, and numpy's name of the type.
struct TensorSpec {
  std::vector<int> shape;
  std::string dtype;

  std::string text() const;  // Like `1x480x640x3 uint8`.
};

// A model that takes one picture, 1xHxWx3 float32 or uint8, and gives one depth map, 1xHxWx1
// or 1xHx1xW float32; a state that it may carry goes from run to run. It runs in XNNPACK as far as
// that goes, which the Python packages of this runtime do unasked. All errors that are the file's
// are UserErrors (3).
class Model {
 public:
  // Reads, checks and loads a file; `connect` has to follow.
  Model(const std::string& path, int threads);

  // Checks what goes in and comes out, and empties the state if the contract names one.
  void connect(const std::optional<State>& state);

  // The file itself.
  const Bytes& file() const { return file_; }
  const TensorSpec& input() const { return input_; }
  const TensorSpec& output() const { return output_; }

  // Hands over the input: data of its exact size in bytes.
  void set_input(const Bytes& data);
  // A state that is carried goes from this run into the next one.
  void invoke();
  // The output of the last run; resized to fit.
  void copy_output(std::vector<float>& depth) const;

  // Whether XNNPACK runs at least a part of the graph; nothing where it cannot be told. To be
  // called last: the library has to go over the graph once more for it.
  std::optional<bool> uses_xnnpack();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void check_signature() const;
  void check_state(const TfLiteTensor* tensor, const State& state) const;
  // Index of the input (or output) of that name.
  int find(const char* what, const std::string& name) const;

  const std::string path_;
  const Bytes file_;
  std::string message_;  // The first thing that the library complained of.
  std::unique_ptr<TfLiteModel, void (*)(TfLiteModel*)> model_;
  std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)> xnnpack_;
  std::unique_ptr<TfLiteInterpreter, void (*)(TfLiteInterpreter*)> interpreter_;
  TfLiteTensor* in_ = nullptr;
  const TfLiteTensor* out_ = nullptr;
  TfLiteTensor* state_in_ = nullptr;
  const TfLiteTensor* state_out_ = nullptr;
  Bytes state_;
  TensorSpec input_, output_;
};

// Name and version of the library that runs the models.
std::string runtime_name();
std::string runtime_version();

}  // namespace bench
