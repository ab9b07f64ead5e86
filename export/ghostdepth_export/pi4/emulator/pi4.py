"""The files of /proc and /sys that describe a Raspberry Pi 4.

Programs read these files to choose their kernels and threads; QEMU's user mode would show them the
host's. The board's name in them says that it is emulated, and bench-depth warns of it.
"""

from __future__ import annotations

from pathlib import Path

CORES = 4
# Main ID register of the Cortex-A72 r0p3 as QEMU's `-cpu cortex-a72` has it.
_CORE = """\
processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
_MODEL = "Model\t\t: Raspberry Pi 4 Model B (emulated by QEMU)\n"


def write(root: Path) -> None:
    """Writes /proc/cpuinfo and /sys/devices/system/cpu into a root folder."""
    proc = root / "proc"
    proc.mkdir(exist_ok=True)
    cores = "".join(_CORE.format(core=core) for core in range(CORES))
    (proc / "cpuinfo").write_text(cores + _MODEL)
    cpus = root / "sys/devices/system/cpu"
    for core in range(CORES):
        topology = {
            "topology/physical_package_id": "0",
            "topology/core_id": str(core),
            "topology/core_siblings_list": f"0-{CORES - 1}",
            "topology/thread_siblings_list": str(core),
            "cpufreq/cpuinfo_max_freq": "1500000",
            "cpufreq/cpuinfo_min_freq": "600000",
        }
        for name, value in topology.items():
            _write(cpus / f"cpu{core}" / name, value)
    for name in ("possible", "present", "online"):
        _write(cpus / name, f"0-{CORES - 1}")


def _write(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value + "\n")
