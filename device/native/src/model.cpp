#include "model.h"

#include <cstdio>

#include "errors.h"
#include "tflite_c.h"
#include "tflite_file.h"

namespace bench {
namespace {

void keep_first(void* user_data, const char* format, va_list arguments) {
  auto& message = *static_cast<std::string*>(user_data);
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  if (message.empty()) message = std::string(text).substr(0, std::string(text).find('\n'));
}

Bytes read_checked(const std::string& path) {
  Bytes data = read_file(path);
  try {
    check(data);
  } catch (const FormatError& error) {
    throw UserError(
        path + " is damaged or truncated (" + error.what() + "); copy or export it again",
        kModelFailed);
  }
  return data;
}

std::string dtype_name(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat16:
      return "float16";
    case kTfLiteFloat32:
      return "float32";
    case kTfLiteFloat64:
      return "float64";
    case kTfLiteInt8:
      return "int8";
    case kTfLiteUInt8:
      return "uint8";
    case kTfLiteInt16:
      return "int16";
    case kTfLiteInt32:
      return "int32";
    case kTfLiteInt64:
      return "int64";
    default:
      return "type " + std::to_string(type);
  }
}

TensorSpec spec(const TfLiteTensor* tensor) {
  TensorSpec found{{}, dtype_name(TfLiteTensorType(tensor))};
  const int axes = TfLiteTensorNumDims(tensor);
  // An open axis is 1 in the shape and -1 in the signature, which files may leave out.
  const TfLiteIntArray* signature = TfLiteTensorGetDimsSignature(tensor);
  const bool has_signature = signature != nullptr && signature->size == axes;
  for (int i = 0; i < axes; ++i) {
    found.shape.push_back(has_signature ? signature->data[i] : TfLiteTensorDim(tensor, i));
  }
  return found;
}

bool is_fixed(const std::vector<int>& shape) {
  return shape.size() == 4 && shape[0] == 1 && shape[1] > 0 && shape[2] > 0 && shape[3] > 0;
}

bool is_fixed_picture(const TensorSpec& spec) { return is_fixed(spec.shape) && spec.shape[3] == 3; }

bool is_fixed_depth_map(const TensorSpec& spec) {
  return is_fixed(spec.shape) && (spec.shape[3] == 1 || spec.shape[2] == 1);
}

TfLiteDelegate* make_xnnpack(int threads) {
  TfLiteXNNPackDelegateOptions options = TfLiteXNNPackDelegateOptionsDefault();
  options.num_threads = threads;
  return TfLiteXNNPackDelegateCreate(&options);
}

// A delegate that takes no node over and only looks for one that another delegate has taken.
TfLiteStatus find_delegate(TfLiteOpaqueContext* context, TfLiteDelegate*, void* data) {
  TfLiteIntArray* plan = nullptr;
  if (TfLiteOpaqueContextGetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < plan->size; ++i) {
    TfLiteOpaqueNode* node = nullptr;
    TfLiteOperator* op = nullptr;
    if (TfLiteOpaqueContextGetNodeAndRegistration(context, plan->data[i], &node, &op) !=
        kTfLiteOk) {
      return kTfLiteError;
    }
    if (TfLiteOperatorGetBuiltInCode(op) == kTfLiteBuiltinDelegate)
      *static_cast<bool*>(data) = true;
  }
  return kTfLiteOk;
}

}  // namespace

std::string TensorSpec::text() const {
  std::string text;
  for (const int size : shape) {
    text += (text.empty() ? "" : "x") + (size < 0 ? "?" : std::to_string(size));
  }
  return text + " " + dtype;
}

Model::Model(const std::string& path, int threads)
    : path_(path),
      file_(read_checked(path)),
      model_(TfLiteModelCreateWithErrorReporter(file_.data(), file_.size(), keep_first, &message_),
             TfLiteModelDelete),
      xnnpack_(make_xnnpack(threads), TfLiteXNNPackDelegateDelete),
      interpreter_(nullptr, TfLiteInterpreterDelete) {
  if (model_ == nullptr) fail("load");
  const std::unique_ptr<TfLiteInterpreterOptions, void (*)(TfLiteInterpreterOptions*)> options(
      TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete);
  TfLiteInterpreterOptionsSetNumThreads(options.get(), threads);
  TfLiteInterpreterOptionsSetErrorReporter(options.get(), keep_first, &message_);
  TfLiteInterpreterOptionsAddDelegate(options.get(), xnnpack_.get());
  interpreter_.reset(TfLiteInterpreterCreate(model_.get(), options.get()));
  if (interpreter_ == nullptr) fail("load");
  if (TfLiteInterpreterAllocateTensors(interpreter_.get()) != kTfLiteOk) fail("load");
}

void Model::connect(const std::optional<State>& state) {
  const int inputs = TfLiteInterpreterGetInputTensorCount(interpreter_.get());
  const int outputs = TfLiteInterpreterGetOutputTensorCount(interpreter_.get());
  const int expected = state ? 2 : 1;
  if (inputs != expected || outputs != expected) {
    throw UserError(path_ + " takes " + std::to_string(inputs) + " inputs and gives " +
                        std::to_string(outputs) + " outputs; expected one picture and one depth map" +
                        (state ? ", and the state that its contract names" : ""),
                    kModelFailed);
  }
  int picture = 0, depth = 0;
  if (state) {
    picture = 1 - find("input", state->input);
    depth = 1 - find("output", state->output);
    state_in_ = TfLiteInterpreterGetInputTensor(interpreter_.get(), 1 - picture);
    state_out_ = TfLiteInterpreterGetOutputTensor(interpreter_.get(), 1 - depth);
    check_state(state_in_, *state);
    check_state(state_out_, *state);
    state_.assign(TfLiteTensorByteSize(state_in_),
                  static_cast<std::uint8_t>(state->dtype == "int8" ? state->zero_point : 0));
    if (TfLiteTensorCopyFromBuffer(state_in_, state_.data(), state_.size()) != kTfLiteOk)
      fail("fill the state of");
  }
  in_ = TfLiteInterpreterGetInputTensor(interpreter_.get(), picture);
  out_ = TfLiteInterpreterGetOutputTensor(interpreter_.get(), depth);
  input_ = spec(in_);
  output_ = spec(out_);
  check_signature();
}

int Model::find(const char* what, const std::string& name) const {
  const bool input = std::string(what) == "input";
  for (int i = 0; i < 2; ++i) {
    const TfLiteTensor* tensor = input ? TfLiteInterpreterGetInputTensor(interpreter_.get(), i)
                                       : TfLiteInterpreterGetOutputTensor(interpreter_.get(), i);
    if (TfLiteTensorName(tensor) == name) return i;
  }
  throw UserError(
      path_ + " has no " + what + " " + name + "; its contract says one: export it again",
      kModelFailed);
}

void Model::check_state(const TfLiteTensor* tensor, const State& state) const {
  const TensorSpec found = spec(tensor), expected{state.shape, state.dtype};
  const std::string start = path_ + " has the state " + TfLiteTensorName(tensor);
  if (found.text() != expected.text()) {
    throw UserError(start + " as " + found.text() + "; its contract says " + expected.text() +
                        ": export it again",
                    kModelFailed);
  }
  auto [scale, zero_point] = TfLiteTensorQuantizationParams(tensor);
  if (scale == 0) scale = 1;
  if (scale != static_cast<float>(state.scale) || zero_point != state.zero_point) {
    throw UserError(start + " with another scale or zero point than its contract says: export it again",
                    kModelFailed);
  }
}

void Model::check_signature() const {
  if (!is_fixed_picture(input_) || (input_.dtype != "float32" && input_.dtype != "uint8")) {
    throw UserError(path_ + " takes " + input_.text() +
                        "; expected one picture of a fixed size, 1xHxWx3 float32 or uint8",
                    kModelFailed);
  }
  if (!is_fixed_depth_map(output_) || output_.dtype != "float32") {
    throw UserError(path_ + " gives " + output_.text() +
                        "; expected one depth map of a fixed size, 1xHxWx1 or 1xHx1xW float32",
                    kModelFailed);
  }
}

void Model::set_input(const Bytes& data) {
  if (TfLiteTensorCopyFromBuffer(in_, data.data(), data.size()) != kTfLiteOk) fail("fill");
}

void Model::invoke() {
  if (TfLiteInterpreterInvoke(interpreter_.get()) != kTfLiteOk) fail("run");
  if (state_in_ == nullptr) return;
  if (TfLiteTensorCopyToBuffer(state_out_, state_.data(), state_.size()) != kTfLiteOk ||
      TfLiteTensorCopyFromBuffer(state_in_, state_.data(), state_.size()) != kTfLiteOk) {
    fail("carry the state of");
  }
}

void Model::copy_output(std::vector<float>& depth) const {
  const std::size_t size = TfLiteTensorByteSize(out_);
  depth.resize(size / sizeof(float));
  if (TfLiteTensorCopyToBuffer(out_, depth.data(), size) != kTfLiteOk) fail("read the output of");
}

std::optional<bool> Model::uses_xnnpack() {
  bool found = false;
  TfLiteOpaqueDelegateBuilder builder{};
  builder.data = &found;
  builder.Prepare = find_delegate;
  const std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)> delegate(
      TfLiteOpaqueDelegateCreate(&builder), TfLiteOpaqueDelegateDelete);
  if (TfLiteInterpreterModifyGraphWithDelegate(interpreter_.get(), delegate.get()) != kTfLiteOk) {
    return std::nullopt;
  }
  return found;
}

void Model::fail(const std::string& what) const {
  throw UserError(runtime_name() + " " + runtime_version() + " cannot " + what + " " + path_ +
                      ": " + (message_.empty() ? "it gives no reason" : message_),
                  kModelFailed);
}

std::string runtime_name() { return "libLiteRt"; }

std::string runtime_version() {
  return LITERT_VERSION " (TFLite " + std::string(TfLiteVersion()) + ")";
}

}  // namespace bench
