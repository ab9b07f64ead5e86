"""The machine a measurement was made on, and its state."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

ROOT = Path("/")
# Part numbers of ARM cores (Arm's technical reference manuals): 64-bit kernels give no name.
_ARM_CORES = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
# vcgencmd get_throttled: the low half is the present state, the high half what occurred since
# boot. Bit 0 is undervoltage; 1 to 3 are a capped clock, throttling and the soft temperature limit.
UNDERVOLTAGE = 0x1
SLOWED = 0xE
_SINCE_BOOT_SHIFT = 16
# The kernel reports the same number in hexadecimal.
_KERNEL_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
MAX_DEFAULT_THREADS = 4
_LARGEST = 2**20


@dataclass(frozen=True)
class Board:
    """The properties of a machine that do not change; None where the system does not report one.

    Attributes:
        model: Name of the board, like `Raspberry Pi 4 Model B Rev 1.4`.
        cpu: Name of the processor, like `Cortex-A72`.
        cores: Number of cores.
        architecture: Architecture, like `aarch64`.
        system: Operating system and kernel.
        max_clock_mhz: Highest clock frequency of core 0, MHz.
        governor: Frequency governor of core 0, like `ondemand`.
        emulated: Whether the machine is emulated, so that times do not transfer to a real board.
    """

    model: Optional[str]
    cpu: Optional[str]
    cores: int
    architecture: str
    system: str
    max_clock_mhz: Optional[float]
    governor: Optional[str]
    emulated: bool


@dataclass(frozen=True)
class Health:
    """The state of a machine at one moment; None where the system does not report a value.

    Attributes:
        clock_mhz: Clock frequency of core 0, MHz.
        temperature_c: Temperature of the processor, degrees Celsius.
        throttled: Flags of the firmware (`vcgencmd get_throttled`), 0 for no limitation; None for
            unknown, which is not the same.
        load: Number of processes that ran or waited to run, mean of the last minute.
        swapped_in: Number of pages read back from swap since boot, by any process.
    """

    clock_mhz: Optional[float]
    temperature_c: Optional[float]
    throttled: Optional[int]
    load: Optional[float] = None
    swapped_in: Optional[int] = None


def read_board(root: Path = ROOT, architecture: Optional[str] = None) -> Board:
    """Describes the machine.

    Args:
        root: Folder that contains /proc and /sys; another one in tests.
        architecture: Architecture of this process; None to query the system.
    """
    architecture = architecture or platform.machine()
    cpuinfo = _read(root / "proc/cpuinfo") or ""
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    fields = _fields(cpuinfo)
    model = _read(root / "proc/device-tree/model") or fields.get("Model")
    return Board(
        model=model,
        cpu=_cpu_name(fields),
        cores=os.cpu_count() or 1,
        architecture=architecture,
        system=_system(root),
        max_clock_mhz=_scaled(frequency / "scaling_max_freq", 1e-3),
        governor=_read(frequency / "scaling_governor"),
        emulated=_is_emulated(architecture, cpuinfo, model),
    )


def ask_firmware() -> Optional[str]:
    """Returns the output of `vcgencmd get_throttled`, like `throttled=0x0`; None without it."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get_throttled"],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


def read_health(root: Path = ROOT, firmware: Callable[[], Optional[str]] = ask_firmware) -> Health:
    """Reads the present state of the machine."""
    return Health(
        clock_mhz=_scaled(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1e-3),
        temperature_c=read_temperature(root),
        throttled=_throttled(root, firmware()),
        load=_first_number(root / "proc/loadavg"),
        swapped_in=_counter(root / "proc/vmstat", "pswpin"),
    )


def read_temperature(root: Path = ROOT) -> Optional[float]:
    """Returns the temperature of the processor in degrees Celsius; None without a sensor."""
    return _scaled(root / "sys/class/thermal/thermal_zone0/temp", 1e-3)


def throttling_unknown(board: Board, before: Health, after: Health) -> bool:
    """Returns whether a board that can report its throttling did not do so at either reading.

    An emulated one cannot.
    """
    reports = (board.model or "").startswith("Raspberry Pi") and not board.emulated
    return reports and None in (before.throttled, after.throttled)


def flagged(before: Health, after: Health, bits: int) -> bool:
    """Returns whether any of the firmware's bits was set at either reading or between them.

    Args:
        before: State at the first reading.
        after: State at the second reading.
        bits: `UNDERVOLTAGE`, `SLOWED`, or both.
    """
    earlier, later = before.throttled or 0, after.throttled or 0
    # What occurred since boot may be older than the measurement if only one reading is known.
    known = None not in (before.throttled, after.throttled)
    new = (later & ~earlier) >> _SINCE_BOOT_SHIFT if known else 0
    return bool((earlier | later | new) & bits)


def _read(path: Path) -> Optional[str]:
    try:
        # Larger than any of the kernel's files that is read here. A device tree's strings end in a
        # zero byte.
        with open(path, errors="replace") as stream:
            return stream.read(_LARGEST).strip("\0 \n\t") or None
    except OSError:
        return None


def _number(text: Optional[str]) -> Optional[float]:
    """A number as the kernel writes it; None for anything else, like `nan` or no text."""
    found = re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", text or "")
    return float(found[0]) if found else None


def _scaled(path: Path, factor: float) -> Optional[float]:
    number = _number(_read(path))
    return None if number is None else round(number * factor, 3)


def _fields(cpuinfo: str) -> dict[str, str]:
    """The first value of each key: that of core 0, or of the whole board."""
    values: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values.setdefault(key.strip(), value.strip())
    return values


def _first_number(path: Path) -> Optional[float]:
    return _number((_read(path) or "").partition(" ")[0])


def _counter(path: Path, name: str) -> Optional[int]:
    for line in (_read(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and (number := _number(value)) is not None:
            return int(number)
    return None


def _cpu_name(fields: dict[str, str]) -> Optional[str]:
    part = fields.get("CPU part")
    return fields.get("model name") or _ARM_CORES.get(part or "", part)


def _system(root: Path) -> str:
    name = platform.system()
    for line in (_read(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            name = line.partition("=")[2].strip('"')
    return f"{name}, kernel {platform.release()}"


def _is_emulated(architecture: str, cpuinfo: str, model: Optional[str]) -> bool:
    # QEMU's user mode exposes the host's cpuinfo to an ARM process; `virt` boards have this model.
    foreign = architecture.startswith(("aarch64", "arm")) and "vendor_id" in cpuinfo
    return foreign or "QEMU" in cpuinfo or model == "linux,dummy-virt"


def _throttled(root: Path, answer: Optional[str]) -> Optional[int]:
    """The flags out of `throttled=0x50000`, or as the kernel reports them."""
    flags = re.fullmatch(r"throttled=(?:0x)?([0-9a-fA-F]{1,8})", (answer or "").strip())
    flags = flags or re.fullmatch(r"(?:0x)?([0-9a-f]{1,8})", _read(root / _KERNEL_FLAGS) or "")
    return int(flags[1], 16) if flags is not None else None


def default_threads() -> int:
    """Returns the default number of threads: one per core, at most 4.

    Small networks do not run faster with more.
    """
    return min(os.cpu_count() or 1, MAX_DEFAULT_THREADS)
