// What a model is timed on.
#pragma once

#include <optional>
#include <string>

#include "files.h"
#include "model.h"

namespace bench {

// Pixels, HxWx3 RGB 0..255, or a whole input tensor as it is.
struct Picture {
  Bytes data;
  bool is_tensor = false;
};

// The picture for a model.
//
// Args:
//   file: A binary .ppm (P6, 8 bits) of exactly the model's size, or the raw bytes of the input
//     tensor in any other file. Without one, a fixed pattern: channel c of the pixel in row y,
//     column x is (3x + 5y + 85c) mod 256.
//   input: Of the model.
//
// UserError where the file cannot be read or is of another size. Nothing is resized: whoever wants
// to time that has bench-depth.
Picture make_picture(const std::optional<std::string>& file, const TensorSpec& input);

// Picture -> input tensor, into a buffer that is kept between frames.
void to_input(const Picture& picture, const TensorSpec& input, Bytes& tensor);

}  // namespace bench
