// The part of TensorFlow Lite's C API that is used here. The wheel that has the library brings no
// headers; names, arguments and values are those of tensorflow/lite/core/c (c_api.h,
// c_api_opaque.h, common.h), which promise a stable ABI, and of
// delegates/xnnpack/xnnpack_delegate.h.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>

#pragma GCC diagnostic ignored "-Wpedantic"  // C's flexible array member.

extern "C" {

struct TfLiteModel;
struct TfLiteInterpreterOptions;
struct TfLiteInterpreter;
struct TfLiteTensor;
struct TfLiteDelegate;
struct TfLiteOpaqueContext;
struct TfLiteOpaqueNode;
struct TfLiteOperator;

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt64 = 4,
  kTfLiteInt16 = 7,
  kTfLiteInt8 = 9,
  kTfLiteFloat16 = 10,
  kTfLiteFloat64 = 11,
};

constexpr int kTfLiteBuiltinDelegate = 51;

struct TfLiteIntArray {
  int size;
  int data[];
};

struct TfLiteOpaqueDelegateBuilder {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteOpaqueContext*, TfLiteDelegate*, void* data);
  TfLiteStatus (*CopyFromBufferHandle)(void);  // The last three are not used here.
  TfLiteStatus (*CopyToBufferHandle)(void);
  void (*FreeBufferHandle)(void);
  std::int64_t flags;
};

// Later fields differ between versions. The library alone fills them and reads them, through a
// pointer (of a struct over 16 bytes a caller of AArch64 hands over the address of the result).
struct TfLiteXNNPackDelegateOptions {
  std::int32_t num_threads;
  std::uint32_t flags;
  std::uint64_t later_fields[62];
};

using TfLiteReporter = void (*)(void* user_data, const char* format, va_list arguments);

const char* TfLiteVersion(void);

TfLiteModel* TfLiteModelCreateWithErrorReporter(const void* data, std::size_t size,
                                                TfLiteReporter reporter, void* user_data);
void TfLiteModelDelete(TfLiteModel*);

TfLiteInterpreterOptions* TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsDelete(TfLiteInterpreterOptions*);
void TfLiteInterpreterOptionsSetNumThreads(TfLiteInterpreterOptions*, std::int32_t threads);
void TfLiteInterpreterOptionsSetErrorReporter(TfLiteInterpreterOptions*, TfLiteReporter reporter,
                                              void* user_data);
void TfLiteInterpreterOptionsAddDelegate(TfLiteInterpreterOptions*, TfLiteDelegate*);

TfLiteInterpreter* TfLiteInterpreterCreate(const TfLiteModel*, const TfLiteInterpreterOptions*);
void TfLiteInterpreterDelete(TfLiteInterpreter*);
TfLiteStatus TfLiteInterpreterAllocateTensors(TfLiteInterpreter*);
TfLiteStatus TfLiteInterpreterInvoke(TfLiteInterpreter*);
std::int32_t TfLiteInterpreterGetInputTensorCount(const TfLiteInterpreter*);
TfLiteTensor* TfLiteInterpreterGetInputTensor(const TfLiteInterpreter*, std::int32_t index);
std::int32_t TfLiteInterpreterGetOutputTensorCount(const TfLiteInterpreter*);
const TfLiteTensor* TfLiteInterpreterGetOutputTensor(const TfLiteInterpreter*, std::int32_t index);
TfLiteStatus TfLiteInterpreterModifyGraphWithDelegate(const TfLiteInterpreter*, TfLiteDelegate*);

// Value = scale * (integer - zero_point); a scale of 0 stands for none.
struct TfLiteQuantizationParams {
  float scale;
  std::int32_t zero_point;
};

const char* TfLiteTensorName(const TfLiteTensor*);
TfLiteQuantizationParams TfLiteTensorQuantizationParams(const TfLiteTensor*);
TfLiteType TfLiteTensorType(const TfLiteTensor*);
std::int32_t TfLiteTensorNumDims(const TfLiteTensor*);
std::int32_t TfLiteTensorDim(const TfLiteTensor*, std::int32_t index);
const TfLiteIntArray* TfLiteTensorGetDimsSignature(const TfLiteTensor*);
std::size_t TfLiteTensorByteSize(const TfLiteTensor*);
TfLiteStatus TfLiteTensorCopyFromBuffer(TfLiteTensor*, const void* data, std::size_t size);
TfLiteStatus TfLiteTensorCopyToBuffer(const TfLiteTensor*, void* data, std::size_t size);

TfLiteXNNPackDelegateOptions TfLiteXNNPackDelegateOptionsDefault(void);
TfLiteDelegate* TfLiteXNNPackDelegateCreate(const TfLiteXNNPackDelegateOptions*);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate*);

TfLiteDelegate* TfLiteOpaqueDelegateCreate(const TfLiteOpaqueDelegateBuilder*);
void TfLiteOpaqueDelegateDelete(TfLiteDelegate*);
TfLiteStatus TfLiteOpaqueContextGetExecutionPlan(TfLiteOpaqueContext*, TfLiteIntArray** plan);
TfLiteStatus TfLiteOpaqueContextGetNodeAndRegistration(TfLiteOpaqueContext*, int index,
                                                       TfLiteOpaqueNode** node,
                                                       TfLiteOperator** registration);
int TfLiteOperatorGetBuiltInCode(const TfLiteOperator*);

}  // extern "C"
