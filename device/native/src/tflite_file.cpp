#include "tflite_file.h"

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "errors.h"

namespace bench {
namespace {

// Wide enough for every sum of two offsets; a position before the file is negative.
using Position = std::int64_t;

constexpr char kIdentifier[] = "TFL3";

// Field numbers of the tables that are visited.
constexpr int kModelCodes = 1, kModelSubgraphs = 2, kModelBuffers = 4, kModelMetadata = 6;
constexpr int kCodeCustomName = 1;
constexpr int kGraphTensors = 0, kGraphInputs = 1, kGraphOutputs = 2, kGraphOperators = 3;
constexpr int kGraphName = 4;
constexpr int kTensorShape = 0, kTensorBuffer = 2, kTensorName = 3, kTensorQuantization = 4;
// min, max, scale, zero_point; bytes of an item.
constexpr std::pair<int, int> kQuantizationVectors[] = {{0, 4}, {1, 4}, {2, 4}, {3, 8}};
constexpr int kOperatorInputs = 1, kOperatorOutputs = 2, kOperatorOptions = 4;
constexpr int kBufferData = 0;
constexpr int kMetadataName = 0, kMetadataBuffer = 1;

struct Vector {
  Position start = 0;  // Of the first item.
  Position count = 0;
};

// Bounds-checked access; every function throws FormatError where an offset leaves the file.
class Flatbuffer {
 public:
  explicit Flatbuffer(const Bytes& data) : data_(data), items_left_(size() / 4) {}

  // A little-endian number, like the processors this is built for.
  template <typename Number>
  Position number(Position position) const {
    if (position < 0 || position + static_cast<Position>(sizeof(Number)) > size()) {
      throw FormatError("offset " + std::to_string(position) + " of " + std::to_string(size()) +
                        " bytes");
    }
    Number value;
    std::memcpy(&value, data_.data() + position, sizeof(Number));
    return value;
  }

  // The absolute position that the offset stored at `position` points to.
  Position follow(Position position) const { return position + number<std::uint32_t>(position); }

  // Checks that the table at `position` lies in the file as a whole; gives `position`.
  Position table(Position position) const {
    const Position vtable = position - number<std::int32_t>(position);
    const Position bytes = number<std::uint16_t>(vtable);
    if (bytes < 4 || bytes % 2 != 0 || vtable + bytes > size()) {
      throw FormatError("bad table at " + std::to_string(position));
    }
    if (position + number<std::uint16_t>(vtable + 2) > size()) {
      throw FormatError("the table at " + std::to_string(position) + " ends behind the file");
    }
    return position;
  }

  // The position of a table's field; nothing where the field is absent.
  std::optional<Position> field(Position table, int index) const {
    const Position vtable = table - number<std::int32_t>(table);
    if (4 + 2 * index + 2 > number<std::uint16_t>(vtable)) return std::nullopt;
    const Position offset = number<std::uint16_t>(vtable + 4 + 2 * index);
    if (offset == 0) return std::nullopt;
    return table + offset;
  }

  // An unsigned number field, 0 where absent.
  Position scalar(Position table, int index) const {
    const auto position = field(table, index);
    return position ? number<std::uint32_t>(*position) : 0;
  }

  // A table field, checked.
  std::optional<Position> subtable(Position table_position, int index) const {
    const auto position = field(table_position, index);
    if (!position) return std::nullopt;
    return table(follow(*position));
  }

  Vector vector(Position table, int index, int item_size) const {
    const auto position = field(table, index);
    if (!position) return {};
    const Position start = follow(*position);
    const Position count = number<std::uint32_t>(start);
    if (start + 4 + count * item_size > size()) {
      throw FormatError(std::to_string(count) + " items at " + std::to_string(start) +
                        " end behind the file");
    }
    return {start + 4, count};
  }

  // As `vector`, of offsets or indices each of which the caller visits. An item takes four bytes or
  // more: only a file whose vectors lie on top of each other lists more of them than it has room
  // for, and visiting those takes time that grows with the square of its size.
  Vector visited(Position table, int index) const {
    const Vector found = vector(table, index, 4);
    items_left_ -= found.count;
    if (items_left_ < 0) {
      throw FormatError("its tables share more items than the file can hold");
    }
    return found;
  }

  // The tables of a vector-of-tables field, checked.
  std::vector<Position> tables(Position parent, int index) const {
    const auto [start, count] = visited(parent, index);
    std::vector<Position> found;
    for (Position i = 0; i < count; ++i) found.push_back(table(follow(start + 4 * i)));
    return found;
  }

  // A string or byte-vector field; empty where absent.
  std::string bytes(Position table, int index) const {
    const auto [start, count] = vector(table, index, 1);
    return {reinterpret_cast<const char*>(data_.data()) + start, static_cast<std::size_t>(count)};
  }

  // Whether a string field is `text`; no other string is copied.
  bool holds(Position table, int index, const std::string& text) const {
    return vector(table, index, 1).count == static_cast<Position>(text.size()) &&
           bytes(table, index) == text;
  }

  // The root table.
  Position root() const {
    if (data_.size() < 8 || std::memcmp(data_.data() + 4, kIdentifier, 4) != 0) {
      throw FormatError("it is not a .tflite file: the mark TFL3 is missing");
    }
    return table(follow(0));
  }

 private:
  Position size() const { return static_cast<Position>(data_.size()); }

  const Bytes& data_;
  mutable Position items_left_;
};

void check_indices(const Flatbuffer& flat, Position table, int field, Position tensors) {
  const auto [start, count] = flat.visited(table, field);
  for (Position i = 0; i < count; ++i) {
    if (flat.number<std::int32_t>(start + 4 * i) >= tensors) {
      throw FormatError("an op uses a tensor that is not there");
    }
  }
}

void check_tensor(const Flatbuffer& flat, Position tensor, Position buffers) {
  flat.vector(tensor, kTensorShape, 4);
  flat.vector(tensor, kTensorName, 1);
  if (flat.scalar(tensor, kTensorBuffer) >= buffers) {
    throw FormatError("a tensor has no buffer");
  }
  if (const auto quantization = flat.subtable(tensor, kTensorQuantization)) {
    for (const auto& [field, size] : kQuantizationVectors) flat.vector(*quantization, field, size);
  }
}

void check_graph(const Flatbuffer& flat, Position graph, Position buffers) {
  const std::vector<Position> tensors = flat.tables(graph, kGraphTensors);
  for (const Position tensor : tensors) check_tensor(flat, tensor, buffers);
  const auto count = static_cast<Position>(tensors.size());
  check_indices(flat, graph, kGraphInputs, count);
  check_indices(flat, graph, kGraphOutputs, count);
  for (const Position op : flat.tables(graph, kGraphOperators)) {
    flat.subtable(op, kOperatorOptions);
    check_indices(flat, op, kOperatorInputs, count);
    check_indices(flat, op, kOperatorOutputs, count);
  }
  flat.vector(graph, kGraphName, 1);
}

}  // namespace

void check(const Bytes& data) {
  const Flatbuffer flat(data);
  const Position model = flat.root();
  const std::vector<Position> graphs = flat.tables(model, kModelSubgraphs);
  if (graphs.empty()) throw FormatError("it holds no graph");
  for (const Position code : flat.tables(model, kModelCodes)) {
    flat.vector(code, kCodeCustomName, 1);
  }
  const std::vector<Position> buffers = flat.tables(model, kModelBuffers);
  for (const Position buffer : buffers) flat.vector(buffer, kBufferData, 1);
  for (const Position entry : flat.tables(model, kModelMetadata)) {
    flat.vector(entry, kMetadataName, 1);
  }
  for (const Position graph : graphs) {
    check_graph(flat, graph, static_cast<Position>(buffers.size()));
  }
}

std::optional<std::string> read_metadata(const Bytes& data, const std::string& name) {
  check(data);
  const Flatbuffer flat(data);
  const Position model = flat.root();
  const std::vector<Position> buffers = flat.tables(model, kModelBuffers);
  for (const Position entry : flat.tables(model, kModelMetadata)) {
    if (!flat.holds(entry, kMetadataName, name)) continue;
    const auto buffer = static_cast<std::size_t>(flat.scalar(entry, kMetadataBuffer));
    if (buffer >= buffers.size()) throw FormatError("the metadata has no buffer");
    return flat.bytes(buffers[buffer], kBufferData);
  }
  return std::nullopt;
}

}  // namespace bench
