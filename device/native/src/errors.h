// The one error that ends the program with a clear line; exit codes as in bench_depth/core/errors.py.
#pragma once

#include <stdexcept>
#include <string>

namespace bench {

constexpr int kBadInput = 2;
constexpr int kModelFailed = 3;

// Something the user can put right: what is wrong, where, and what to do.
class UserError : public std::runtime_error {
 public:
  explicit UserError(const std::string& message, int code = kBadInput)
      : std::runtime_error(message), exit_code(code) {}

  const int exit_code;
};

// The user's file is not what it should be; becomes a UserError where the file's path is known.
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace bench
