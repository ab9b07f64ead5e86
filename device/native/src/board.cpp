#include "board.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace bench {
namespace {

using Text = std::optional<std::string>;

constexpr char kFrequency[] = "/sys/devices/system/cpu/cpu0/cpufreq/";
// vcgencmd get_throttled: the low half says what is so now, the high half what has been so.
constexpr int kSinceBootShift = 16;
// The kernel reports the same number in hexadecimal.
constexpr char kKernelFlags[] = "/sys/devices/platform/soc/soc:firmware/get_throttled";
constexpr int kFirmwareTimeoutMs = 5000;

std::string strip(const std::string& text) {
  // Device-tree strings end in a zero byte.
  const std::string spaces("\0 \n\t", 4);
  const std::size_t start = text.find_first_not_of(spaces);
  if (start == std::string::npos) return "";
  return text.substr(start, text.find_last_not_of(spaces) + 1 - start);
}

Text read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string stripped = strip(text.str());
  return stripped.empty() ? Text() : Text(stripped);
}

// A file's number in thousands of the unit that is wanted.
std::optional<double> read_thousandth(const std::string& path) {
  const Text text = read(path);
  if (!text) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return value / 1000;
}

// The first value of each key: that of core 0, or of the whole board.
std::map<std::string, std::string> fields(const std::string& cpuinfo) {
  std::map<std::string, std::string> values;
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) {
      values.emplace(strip(line.substr(0, colon)), strip(line.substr(colon + 1)));
    }
  }
  return values;
}

Text find(const std::map<std::string, std::string>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? Text() : Text(found->second);
}

Text cpu_name(const std::map<std::string, std::string>& values) {
  // Main ID parts of ARM cores (Arm's technical reference manuals): 64-bit kernels give no name.
  static const std::map<std::string, std::string> kArmCores = {
      {"0xd03", "Cortex-A53"}, {"0xd08", "Cortex-A72"}, {"0xd0b", "Cortex-A76"}};
  if (const Text name = find(values, "model name")) return name;
  const Text part = find(values, "CPU part");
  if (!part) return std::nullopt;
  const Text core = find(kArmCores, *part);
  return core ? core : part;
}

std::string system_name(const utsname& kernel) {
  std::string name = kernel.sysname;
  std::istringstream lines(read("/etc/os-release").value_or(""));
  const std::string key = "PRETTY_NAME=";
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, key.size(), key) == 0) {
      name = line.substr(key.size());
      name.erase(std::remove(name.begin(), name.end(), '"'), name.end());
    }
  }
  return name + ", kernel " + kernel.release;
}

// What a program says before it closes its output or the time is over; nothing where it cannot be
// started.
Text ask(const char* program, const char* argument) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  char* const arguments[] = {const_cast<char*>(program), const_cast<char*>(argument), nullptr};
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, program, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string answer;
  pollfd waiting{ends[0], POLLIN, 0};
  char text[256];
  while (failed == 0 && ::poll(&waiting, 1, kFirmwareTimeoutMs) > 0) {
    const ssize_t count = ::read(ends[0], text, sizeof text);
    if (count <= 0) break;
    answer.append(text, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  if (failed != 0) return std::nullopt;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return answer;
}

// A hexadecimal number of 32 bits.
std::optional<int> to_flags(const std::string& text) {
  constexpr std::size_t kDigits = 8;
  const std::string digits = text.compare(0, 2, "0x") == 0 ? text.substr(2) : text;
  if (digits.empty() || digits.size() > kDigits ||
      digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return std::nullopt;
  }
  return static_cast<int>(std::stoul(digits, nullptr, 16));
}

// The flags out of `throttled=0x50000`, or as the kernel reports them.
std::optional<int> read_throttled() {
  const std::string answer = strip(ask("vcgencmd", "get_throttled").value_or(""));
  const std::string key = "throttled=";
  if (answer.compare(0, key.size(), key) == 0) {
    if (const std::optional<int> flags = to_flags(answer.substr(key.size()))) return flags;
  }
  return to_flags(read(kKernelFlags).value_or(""));
}

// The first number of /proc/loadavg.
std::optional<double> read_load() {
  const std::string text = read("/proc/loadavg").value_or("");
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() ? std::nullopt : std::optional(value);
}

std::optional<std::int64_t> read_swapped_in() {
  std::ifstream lines("/proc/vmstat");
  std::string key;
  for (std::int64_t value = 0; lines >> key >> value;) {
    if (key == "pswpin") return value;
  }
  return std::nullopt;
}

}  // namespace

Board read_board() {
  utsname kernel{};
  ::uname(&kernel);
  const std::string architecture = kernel.machine;
  const std::string cpuinfo = read("/proc/cpuinfo").value_or("");
  const auto values = fields(cpuinfo);
  Text model = read("/proc/device-tree/model");
  if (!model) model = find(values, "Model");
  // QEMU's user mode shows the host's cpuinfo to an ARM process; its `virt` board has this model.
  const bool foreign = architecture == "aarch64" && cpuinfo.find("vendor_id") != std::string::npos;
  return {model,
          cpu_name(values),
          static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))),
          architecture,
          system_name(kernel),
          read_thousandth(std::string(kFrequency) + "scaling_max_freq"),
          read(std::string(kFrequency) + "scaling_governor"),
          foreign || cpuinfo.find("QEMU") != std::string::npos || model == "linux,dummy-virt"};
}

Health read_health() {
  return {read_thousandth(std::string(kFrequency) + "scaling_cur_freq"),
          read_thousandth("/sys/class/thermal/thermal_zone0/temp"), read_throttled(), read_load(),
          read_swapped_in()};
}

bool throttling_unknown(const Board& board, const Health& before, const Health& after) {
  const bool reports =
      board.model.value_or("").compare(0, 12, "Raspberry Pi") == 0 && !board.emulated;
  return reports && !(before.throttled && after.throttled);
}

bool flagged(const Health& before, const Health& after, int bits) {
  if (!after.throttled) return false;
  const int earlier = before.throttled.value_or(0);
  const int fresh = (*after.throttled & ~earlier) >> kSinceBootShift;
  return ((earlier | *after.throttled | fresh) & bits) != 0;
}

void reset_peak_memory() {
  // 5 sets the peak (VmHWM) back to the present size: proc(5).
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::int64_t peak_memory_bytes() {
  const auto values = fields(read("/proc/self/status").value_or(""));
  if (const Text peak = find(values, "VmHWM")) return std::atoll(peak->c_str()) * 1024;
  rusage usage{};  // No /proc.
  ::getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace bench
