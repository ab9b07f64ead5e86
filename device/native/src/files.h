// Reading files whole, and writing them so that a final name never holds half a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

using Bytes = std::vector<std::uint8_t>;

// The whole file; UserError where it is missing, a folder or cannot be read.
Bytes read_file(const std::string& path);

// Writes beside `path`, flushes to the disk, then renames. What is no regular file (a device, a
// pipe) is written straight. UserError where that fails; the partial file is removed.
void write_file(const std::string& path, std::string_view data);

// Writes all of `data` to an open file; std::system_error where that fails.
void write_all(int descriptor, std::string_view data);

// The last part of a path.
std::string file_name(const std::string& path);

}  // namespace bench
