// Says what the reader finds in files: one line of JSON each.

#include <cstdio>

#include "contract.h"
#include "errors.h"
#include "files.h"
#include "sha256.h"

namespace {

bench::Json describe(const std::string& path) {
  bench::Json found = {{"error", nullptr}, {"contract", nullptr}};
  try {
    const bench::Bytes data = bench::read_file(path);
    found["sha256"] = bench::sha256(data);
    if (auto contract = bench::read_contract(path, data)) found["contract"] = *contract;
  } catch (const std::runtime_error& error) {  // UserError or FormatError.
    found["error"] = error.what();
  }
  return found;
}

}  // namespace

int main(int count, char* arguments[]) {
  for (int i = 1; i < count; ++i) {
    std::puts(
        describe(arguments[i]).dump(-1, ' ', true, bench::Json::error_handler_t::replace).c_str());
  }
}
