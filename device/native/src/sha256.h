// SHA-256 (FIPS 180-4), which the results file identifies a model by.
#pragma once

#include <string>

#include "files.h"

namespace bench {

// In hexadecimal.
std::string sha256(const Bytes& data);

}  // namespace bench
