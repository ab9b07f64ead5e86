from __future__ import annotations

from pathlib import Path

import pytest
from bench_depth.machine.board import (
    SLOWED,
    UNDERVOLTAGE,
    Health,
    ask_firmware,
    flagged,
    read_board,
    read_health,
)

PI4_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 108.00
CPU implementer\t: 0x41
CPU part\t: 0xd08

Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    files = {
        "proc/cpuinfo": PI4_CPUINFO,
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n',
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1500000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/temp": "48199\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_pi_4_is_described(pi4: Path) -> None:
    board = read_board(pi4, "aarch64")
    assert board.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.cpu == "Cortex-A72"
    assert board.max_clock_mhz == 1500
    assert board.governor == "ondemand"
    assert board.system.startswith("Debian GNU/Linux 11 (bullseye), kernel ")
    assert not board.emulated


def test_the_health_of_a_pi_4_is_read(pi4: Path) -> None:
    health = read_health(pi4, lambda: "throttled=0x50005\n")
    assert health == Health(clock_mhz=600, temperature_c=48.199, throttled=0x50005)


def test_nothing_is_known_where_nothing_is_there(tmp_path: Path) -> None:
    board = read_board(tmp_path)
    assert (board.model, board.cpu, board.max_clock_mhz, board.governor) == (None,) * 4
    assert read_health(tmp_path, lambda: None) == Health(None, None, None)


@pytest.mark.parametrize("answer", [None, "", "VCHI initialization failed\n", "error=1"])
def test_where_the_firmware_does_not_answer_the_kernel_is_asked(
    pi4: Path, answer: str | None
) -> None:
    file = pi4 / "sys/devices/platform/soc/soc:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text("50005\n")
    assert read_health(pi4, lambda: answer).throttled == 0x50005
    assert read_health(pi4, lambda: "throttled=0x0\n").throttled == 0


@pytest.mark.parametrize("answer", ["", "throttled=", "VCHI failed", "error=1", "throttled=-1"])
def test_an_answer_of_the_firmware_that_is_no_number_is_unknown(
    tmp_path: Path, answer: str
) -> None:
    assert read_health(tmp_path, lambda: answer).throttled is None


def test_a_temperature_that_is_no_number_is_unknown(pi4: Path) -> None:
    (pi4 / "sys/class/thermal/thermal_zone0/temp").write_text("")
    assert read_health(pi4, lambda: None).temperature_c is None


@pytest.mark.parametrize(
    ("before", "after", "slowed"),
    [
        (0x0, 0x0, False),
        (None, None, False),
        (0x50000, 0x50000, False),  # Long ago, not now.
        (0x0, 0x4, True),  # Now.
        (0x4, 0x0, True),
        (0x0, 0x40000, True),  # In between.
        (0x10000, 0x50000, True),
    ],
)
def test_throttling_while_measuring_is_distinguished_from_throttling_long_ago(
    before: int | None, after: int | None, slowed: bool
) -> None:
    readings = Health(None, None, before), Health(None, None, after)
    assert flagged(*readings, SLOWED) is slowed


def test_an_arm_process_on_an_x86_cpu_is_emulated(pi4: Path) -> None:
    (pi4 / "proc/cpuinfo").write_text("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n")
    assert read_board(pi4, "aarch64").emulated
    assert not read_board(pi4, "x86_64").emulated


@pytest.mark.parametrize(("flags", "low", "slow"), [(0x1, True, False), (0x8, False, True)])
def test_low_voltage_is_distinguished_from_heat(flags: int, low: bool, slow: bool) -> None:
    readings = Health(None, None, 0), Health(None, None, flags)
    assert flagged(*readings, UNDERVOLTAGE) is low
    assert flagged(*readings, SLOWED) is slow


def test_load_and_swap_are_read_where_they_are_reported(pi4: Path) -> None:
    assert read_health(pi4, lambda: None).load is None
    (pi4 / "proc/loadavg").write_text("1.25 0.80 0.40 2/345 6789\n")
    (pi4 / "proc/vmstat").write_text("pswpout 9\npswpin 42\n")
    health = read_health(pi4, lambda: None)
    assert health.load == 1.25
    assert health.swapped_in == 42


def test_an_answer_of_the_firmware_that_is_no_text_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vcgencmd"
    program.write_text("#!/bin/sh\nprintf 'throttled=\\377\\376'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert read_health(tmp_path, ask_firmware).throttled is None


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e999", "1_000", "\u0663\u0664", "\u00b2", "9" * 5000, "0x10"]
)
def test_what_the_kernel_writes_for_no_number_is_unknown(pi4: Path, text: str) -> None:
    frequency = pi4 / "sys/devices/system/cpu/cpu0/cpufreq"
    (frequency / "scaling_max_freq").write_text(text)
    (frequency / "scaling_cur_freq").write_text(text)
    (pi4 / "sys/class/thermal/thermal_zone0/temp").write_text(text)
    (pi4 / "proc/loadavg").write_text(f"{text} 0.80\n")
    (pi4 / "proc/vmstat").write_text(f"pswpin {text}\n")
    assert read_board(pi4).max_clock_mhz is None
    assert read_health(pi4, lambda: None) == Health(None, None, None)


def test_what_occurred_since_boot_is_no_claim_about_a_measurement_with_one_known_reading() -> None:
    unknown, since_boot = Health(None, None, None), Health(None, None, 0xF0000)
    for bits in (UNDERVOLTAGE, SLOWED):
        assert not flagged(unknown, since_boot, bits)
        assert not flagged(since_boot, unknown, bits)
        assert flagged(unknown, Health(None, None, bits), bits)
        assert flagged(Health(None, None, bits), unknown, bits)
