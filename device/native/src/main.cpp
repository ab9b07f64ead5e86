// bench-depth-native: the latency of a .tflite depth model, measured as bench-depth does, in C++.

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <system_error>

#include "contract.h"
#include "errors.h"
#include "files.h"
#include "model.h"
#include "options.h"
#include "picture.h"
#include "results.h"
#include "sha256.h"

namespace bench {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
  return text;
}

// Refuses a model that is not what its contract says.
void check_promise(const std::string& path, const Model& model, const Json& contract) {
  const auto pixels = [](const TensorSpec& spec, std::size_t columns) {
    return std::to_string(spec.shape[1]) + "x" + std::to_string(spec.shape[columns]);
  };
  const std::size_t columns = contract["output_layout"] == "NHCW" ? 3 : 2;
  const auto promised = [&](const char* end) {
    return contract[std::string(end) + "_height"].dump() + "x" +
           contract[std::string(end) + "_width"].dump();
  };
  const std::pair<Json, Json> ways[] = {
      {contract["input_dtype"], model.input().dtype},
      {promised("input"), pixels(model.input(), 2)},
      {promised("output"), pixels(model.output(), columns)},
      {contract["input_layout"], "NHWC"},
      {contract["input_color"], "RGB"},
      {contract["input_range"], {0, 255}},
      {contract["output_quantity"], "depth"},
      {contract["output_unit"], "m"},
  };
  for (const auto& [found, expected] : ways) {
    if (found != expected) {
      throw UserError(path + " has " + found.dump() + " in its contract; expected " +
                          expected.dump() + "; export it again",
                      kModelFailed);
    }
  }
}

// Times the stages of a frame, as bench-depth has them. A picture of the model's size need not be
// resized and the output is in metres already, so the first and the last convert and copy. Returns
// the depth of the last run.
std::vector<float> time_stages(Model& model, const Picture& picture, const Plan& plan,
                               Results& results) {
  Bytes tensor;
  std::vector<float> depth;
  const auto preprocess = [&] {
    to_input(picture, model.input(), tensor);
    model.set_input(tensor);
  };
  const auto invoke = [&] { model.invoke(); };
  const auto postprocess = [&] { model.copy_output(depth); };
  preprocess();
  results.first_ms = time_once(invoke);
  results.invoke = measure(invoke, plan);
  // The small stages cost microseconds: as many runs, but no need to fill the time with them.
  Plan brief = plan;
  brief.min_time = 0;
  results.preprocess = measure(preprocess, brief);
  results.postprocess = measure(postprocess, brief);
  return depth;
}

Results run(const Options& options) {
  Results results;
  results.created = utc_now();
  results.board = read_board();
  results.idle = read_health();
  results.threads = options.threads;
  results.plan = options.plan;
  results.file = file_name(options.model);

  reset_peak_memory();
  std::unique_ptr<Model> model;
  results.load_ms =
      time_once([&] { model = std::make_unique<Model>(options.model, options.threads); });
  results.bytes = static_cast<std::int64_t>(model->file().size());
  results.sha256 = sha256(model->file());
  results.contract = read_contract(options.model, model->file());
  model->connect(state_of(results.contract));
  if (results.contract) check_promise(options.model, *model, *results.contract);
  results.input = model->input().text();
  results.output = model->output().text();

  const Picture picture = make_picture(options.input, model->input());
  results.before = read_health();
  const std::vector<float> depth = time_stages(*model, picture, options.plan, results);
  results.after = read_health();
  results.peak_rss_bytes = peak_memory_bytes();
  results.xnnpack = model->uses_xnnpack();
  if (options.save_output) {
    write_file(*options.save_output,
               {reinterpret_cast<const char*>(depth.data()), depth.size() * sizeof(float)});
  }
  return results;
}

void write_stdout(const std::string& text) try {
  write_all(STDOUT_FILENO, text);
} catch (const std::system_error& error) {
  throw UserError(std::string("cannot write to standard output: ") +
                  std::strerror(error.code().value()));
}

void run_program(int count, char* arguments[]) {
  const auto options = parse_options(count, arguments);
  if (!options) return;
  std::fprintf(stderr, "%s: %d threads, at least %d runs and %g s\n",
               file_name(options->model).c_str(), options->threads, options->plan.min_runs,
               options->plan.min_time);
  const Results results = run(*options);
  if (options->json == "-") {
    std::fputs(render(results).c_str(), stderr);
    write_stdout(to_json(results));
    return;
  }
  if (options->json) write_file(*options->json, to_json(results));
  write_stdout(render(results));
}

}  // namespace
}  // namespace bench

int main(int count, char* arguments[]) try {
  bench::run_program(count, arguments);
  return 0;
} catch (const bench::UserError& error) {
  std::fprintf(stderr, "bench-depth-native: %s\n", error.what());
  return error.exit_code;
} catch (const std::bad_alloc&) {
  std::fputs("bench-depth-native: out of memory; end other programs\n", stderr);
  return bench::kBadInput;
}
