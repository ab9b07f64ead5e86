// The machine a measurement was made on, and how it was doing, as in bench_depth/machine/board.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace bench {

// What stays the same while measuring; nothing where the system does not tell.
struct Board {
  std::optional<std::string> model;  // Like `Raspberry Pi 4 Model B Rev 1.4`.
  std::optional<std::string> cpu;    // Like `Cortex-A72`.
  int cores;
  std::string architecture;
  std::string system;                   // Operating system and its kernel.
  std::optional<double> max_clock_mhz;  // The highest that core 0 may have.
  std::optional<std::string> governor;  // Who sets core 0's clock.
  bool emulated;                        // An emulator's times say nothing about a real board.
};

// What may change while measuring.
struct Health {
  std::optional<double> clock_mhz;      // Of core 0.
  std::optional<double> temperature_c;  // Degrees Celsius.
  std::optional<int> throttled;         // The firmware's flags, 0 when all is well.
  std::optional<double> load;           // Processes that ran or waited to, mean of a minute.
  std::optional<std::int64_t> swapped_in;  // Pages read back from swap since boot.
};

Board read_board();
Health read_health();

// Bits of the firmware's flags: low voltage; a capped clock, throttling or the soft temperature limit.
constexpr int kUndervoltage = 0x1;
constexpr int kSlowed = 0xE;

// Whether any of the bits held at either reading or came up between them.
bool flagged(const Health& before, const Health& after, int bits);

// Whether a board that can report its throttling did not do so at either reading. An emulated one
// cannot.
bool throttling_unknown(const Board& board, const Health& before, const Health& after);

// Starts a new peak of the process's memory, where the system can.
void reset_peak_memory();

// The most memory the process has held since then, or since its start.
std::int64_t peak_memory_bytes();

}  // namespace bench
