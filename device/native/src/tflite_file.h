// Reads metadata out of .tflite files and finds damaged ones, as bench_depth/model/readers/tflite_file.py does.
//
// A .tflite file is a flatbuffer with root table `Model` (field numbers: TensorFlow's
// tensorflow/lite/schema/schema.fbs). The C API does not verify a file before it follows the
// offsets in it, so a truncated file could crash the process: `check` follows them first.
#pragma once

#include <optional>
#include <string>

#include "files.h"

namespace bench {

// Follows every offset that a runtime follows while it loads the file; FormatError where one
// leaves the file or the file is no .tflite file.
void check(const Bytes& data);

// The content of the metadata entry called `name`; nothing where there is none. Throws as `check`.
std::optional<std::string> read_metadata(const Bytes& data, const std::string& name);

}  // namespace bench
