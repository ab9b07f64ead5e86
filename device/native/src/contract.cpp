#include "contract.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>
#include <utility>

#include "errors.h"
#include "tflite_file.h"

namespace bench {
namespace {

constexpr char kMetadataName[] = "ghostdepth_contract";
constexpr char kSchema[] = "ghostdepth-model/1";
constexpr int kMostDepth = 32;

enum class Kind { kText, kInteger, kNumber, kShape, kRange, kObject };
using Field = std::pair<const char*, Kind>;

// In the order in which bench-depth writes them.
const Field kFields[] = {
    {"name", Kind::kText},
    {"variant", Kind::kText},
    {"input_height", Kind::kInteger},
    {"input_width", Kind::kInteger},
    {"input_dtype", Kind::kText},
    {"input_layout", Kind::kText},
    {"input_color", Kind::kText},
    {"input_range", Kind::kRange},
    {"output_height", Kind::kInteger},
    {"output_width", Kind::kInteger},
    {"output_dtype", Kind::kText},
    {"output_layout", Kind::kText},
    {"output_quantity", Kind::kText},
    {"output_unit", Kind::kText},
    {"output_range", Kind::kRange},
    {"minimum_runtime", Kind::kText},
    {"checkpoint_sha256", Kind::kText},
    {"training_data", Kind::kText},
    {"metrics", Kind::kObject},
    {"created_by", Kind::kText},
};

// Only where it is known.
const Field kCameraFields[] = {{"hfov", Kind::kNumber}};

const Field kStateFields[] = {
    {"input", Kind::kText},    {"output", Kind::kText},  {"shape", Kind::kShape},
    {"dtype", Kind::kText},    {"scale", Kind::kNumber}, {"zero_point", Kind::kInteger},
};

bool is_int(const Json& value) {
  return value.is_number_integer() && value >= std::numeric_limits<int>::min() &&
         value <= std::numeric_limits<int>::max();
}

bool is_of_kind(const Json& value, Kind kind) {
  switch (kind) {
    case Kind::kText:
      return value.is_string();
    case Kind::kInteger:
      return is_int(value);
    case Kind::kNumber:
      return value.is_number();
    case Kind::kShape:
      return value.is_array() && value.size() == 4 && std::all_of(value.begin(), value.end(), is_int);
    case Kind::kRange:
      return value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number();
    case Kind::kObject:
      return value.is_object();
  }
  return false;
}

template <std::size_t n>
Json pick(const Json& value, const Field (&fields)[n]) {
  Json picked;
  for (const auto& [name, kind] : fields) {
    const auto found = value.find(name);
    if (found == value.end()) throw FormatError(std::string(name) + " is missing");
    if (!is_of_kind(*found, kind)) throw FormatError(std::string(name) + " is of another type");
    picked[name] = *found;
  }
  return picked;
}

Json parse(const std::string& text) {
  // The depth is bounded, as writing the text again is recursive.
  const Json::parser_callback_t check_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMostDepth) throw FormatError("it is nested too deeply");
    return true;
  };
  Json value;
  try {
    value = Json::parse(text, check_depth);
  } catch (const Json::exception&) {
    throw FormatError("it is not JSON");
  }
  const Json schema = value.is_object() ? value.value("schema", Json()) : Json();
  if (schema != kSchema) {
    throw FormatError("its schema is " + schema.dump() + ", this program reads " + kSchema);
  }
  Json contract = pick(value, kFields);
  const Json state = value.value("state", Json());
  if (!state.is_null()) contract["state"] = pick(state, kStateFields);
  if (!value.value("hfov", Json()).is_null()) {
    contract.update(pick(value, kCameraFields));
    const double degrees = contract["hfov"];
    if (!(degrees > 0 && degrees < 180)) {
      std::ostringstream line;
      line << "its horizontal field of view is " << degrees << " degrees";
      throw FormatError(line.str());
    }
  }
  return contract;
}

}  // namespace

std::optional<Json> read_contract(const std::string& path, const Bytes& model) {
  const auto text = read_metadata(model, kMetadataName);
  if (!text) return std::nullopt;
  try {
    return parse(*text);
  } catch (const FormatError& error) {
    throw UserError("the contract in " + path + " cannot be read: " + error.what() +
                        "; export the file again, or update bench-depth-native",
                    kModelFailed);
  }
}

std::optional<State> state_of(const std::optional<Json>& contract) {
  if (!contract || !contract->contains("state")) return std::nullopt;
  const Json& state = (*contract)["state"];
  return State{state["input"],  state["output"], state["dtype"],
               state["shape"],  state["scale"],  state["zero_point"]};
}

}  // namespace bench
