#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "errors.h"

namespace bench {
namespace {

std::system_error last_error() { return {errno, std::generic_category()}; }

// Closes the file when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {
    if (number < 0) throw last_error();
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

void write_beside(const std::string& path, std::string_view data) {
  const std::size_t slash = path.rfind('/');
  const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
  std::string temporary = path.substr(0, start) + "." + path.substr(start) + "-XXXXXX";
  const Descriptor file(::mkstemp(temporary.data()));
  try {
    write_all(file.get(), data);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fsync(file.get()) != 0 || ::fchmod(file.get(), 0666 & ~mask) != 0) throw last_error();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw last_error();
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace

Bytes read_file(const std::string& path) try {
  // A pipe waits for its other end, a device may never end: neither is opened.
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw last_error();
  if (!S_ISREG(status.st_mode)) {
    throw UserError("cannot read " + path + ": it is " +
                    (S_ISDIR(status.st_mode) ? "a folder" : "a pipe or device") +
                    "; give a regular file");
  }
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  Bytes data;
  std::size_t used = 0;
  while (true) {
    data.resize(used + (std::size_t{1} << 20));
    const ssize_t count = ::read(file.get(), data.data() + used, data.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw last_error();
    used += static_cast<std::size_t>(count);
    if (count == 0) break;
  }
  data.resize(used);
  return data;
} catch (const std::system_error& error) {
  throw UserError("cannot read " + path + ": " + std::strerror(error.code().value()));
}

void write_file(const std::string& path, std::string_view data) try {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    write_all(Descriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC)).get(), data);
  } else {
    write_beside(path, data);
  }
} catch (const std::system_error& error) {
  throw UserError("cannot write " + path + ": " + std::strerror(error.code().value()) +
                  "; check free space and permissions");
}

void write_all(int descriptor, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(descriptor, data.data(), data.size());
    if (count < 0 && errno != EINTR) throw last_error();
    if (count > 0) data.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
}

}  // namespace bench
