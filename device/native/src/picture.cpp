#include "picture.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "errors.h"

namespace bench {
namespace {

std::size_t pixel_values(const TensorSpec& input) {
  return std::size_t{3} * static_cast<std::size_t>(input.shape[1]) *
         static_cast<std::size_t>(input.shape[2]);
}

std::size_t tensor_bytes(const TensorSpec& input) {
  return pixel_values(input) * (input.dtype == "float32" ? sizeof(float) : 1);
}

Bytes pattern(int height, int width) {
  Bytes pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        pixels.push_back(static_cast<std::uint8_t>(3 * x + 5 * y + 85 * c));
      }
    }
  }
  return pixels;
}

// One number of a .ppm header; -1 where there is none. Comments run from # to the line's end.
int header_number(const Bytes& data, std::size_t& at) {
  const auto is_space = [](std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  bool comment = false;
  while (at < data.size() && (comment || is_space(data[at]) || data[at] == '#')) {
    comment = data[at] != '\n' && (comment || data[at] == '#');
    ++at;
  }
  int number = -1;
  for (; at < data.size() && data[at] >= '0' && data[at] <= '9' && number < 100'000; ++at) {
    number = (number < 0 ? 0 : 10 * number) + (data[at] - '0');
  }
  return number;
}

Bytes read_ppm(const std::string& path, const Bytes& data, const TensorSpec& input) {
  std::size_t at = 2;
  const int width = header_number(data, at), height = header_number(data, at);
  const int most = header_number(data, at);
  ++at;  // One space ends the header.
  if (width < 1 || height < 1 || most != 255) {
    throw UserError(path + " is not a binary .ppm of 8 bits a value (P6, 255)");
  }
  if (height != input.shape[1] || width != input.shape[2]) {
    throw UserError(path + " has " + std::to_string(height) + "x" + std::to_string(width) +
                    " pixels, the model takes " + std::to_string(input.shape[1]) + "x" +
                    std::to_string(input.shape[2]) + "; resize the picture");
  }
  const std::size_t size = pixel_values(input);
  if (data.size() < at + size) throw UserError(path + " is truncated; copy it again");
  const auto start = data.begin() + static_cast<std::ptrdiff_t>(at);
  return {start, start + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

Picture make_picture(const std::optional<std::string>& file, const TensorSpec& input) {
  if (!file) return {pattern(input.shape[1], input.shape[2])};
  Bytes data = read_file(*file);
  if (data.size() >= 2 && data[0] == 'P' && data[1] == '6' && data.size() != tensor_bytes(input)) {
    return {read_ppm(*file, data, input)};
  }
  if (data.size() != tensor_bytes(input)) {
    throw UserError(*file + " has " + std::to_string(data.size()) + " bytes, the model takes " +
                    std::to_string(tensor_bytes(input)) + " (" + input.text() +
                    "); give raw bytes of that size, or a binary .ppm");
  }
  return {std::move(data), true};
}

void to_input(const Picture& picture, const TensorSpec& input, Bytes& tensor) {
  tensor.resize(tensor_bytes(input));
  if (picture.is_tensor || input.dtype == "uint8") {
    std::memcpy(tensor.data(), picture.data.data(), tensor.size());
    return;
  }
  std::uint8_t* to = tensor.data();
  for (const std::uint8_t value : picture.data) {
    const float pixel = value;
    std::memcpy(to, &pixel, sizeof pixel);
    to += sizeof pixel;
  }
}

}  // namespace bench
