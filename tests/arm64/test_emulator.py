"""The emulated Pi is what it says, and keeps its hands off the host."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.emulator import Machine, build_root, roots

GHOSTDEPTH = [sys.executable, "-c", "from ghostdepth.commands import main; main()"]
HANDLERS = Path("/proc/sys/fs/binfmt_misc")


def test_the_guest_sees_a_pi_4(bullseye_root: Path) -> None:
    script = "uname -m; nproc --all; grep Model /proc/cpuinfo; grep -c 0xd08 /proc/cpuinfo"
    lines = Machine(bullseye_root).run(["sh", "-c", script]).stdout.splitlines()
    assert lines == ["aarch64", "4", "Model\t\t: Raspberry Pi 4 Model B (emulated by QEMU)", "4"]


def test_programs_that_the_guest_starts_are_emulated_as_a_cortex_a72(bullseye_root: Path) -> None:
    # AT_HWCAP of a Cortex-A72: asimd (bit 1) and crc32 (bit 7), but no dot products (bit 20).
    script = "import ctypes; print(ctypes.CDLL(None).getauxval(16))"
    command = ["sh", "-c", f'python3 -c \'import os; os.system("python3 -c \\"{script}\\"")\'']
    capabilities = int(Machine(bullseye_root).run(command).stdout)
    assert capabilities >> 1 & 1 and capabilities >> 7 & 1
    assert not capabilities >> 20 & 1


def test_nothing_is_left_on_the_host(bullseye_root: Path) -> None:
    before = sorted(p.name for p in HANDLERS.iterdir()) if HANDLERS.is_dir() else []
    inventory = roots.inventory(bullseye_root)
    Machine(bullseye_root).run(["sh", "-c", "touch /etc/new /home/pi/new /usr/bin/new; rm /bin/ls"])
    assert roots.inventory(bullseye_root) == inventory
    assert not list((bullseye_root.parent / "mount").iterdir())
    assert (sorted(p.name for p in HANDLERS.iterdir()) if HANDLERS.is_dir() else []) == before


def test_home_is_kept_and_belongs_to_the_user(bullseye_root: Path, tmp_path: Path) -> None:
    machine = Machine(bullseye_root, home=tmp_path)
    machine.run(["sh", "-c", "echo one > 'a file'"])
    machine.run(["sh", "-c", "cat 'a file' > copy"])
    assert (tmp_path / "copy").read_text() == "one\n"
    assert (tmp_path / "copy").stat().st_uid == tmp_path.stat().st_uid


def test_a_share_over_the_guests_own_files_is_refused(bullseye_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="/usr/bin would hide"):
        Machine(bullseye_root, shares={tmp_path: "/usr/bin"}).argv(["true"])


def test_killing_the_command_ends_all_it_started(bullseye_root: Path, tmp_path: Path) -> None:
    machine = Machine(bullseye_root, home=tmp_path)
    script = "while :; do date +%s%N > tick; sleep 0.1; done & wait"
    process = subprocess.Popen(machine.argv(["sh", "-c", script]))
    tick = tmp_path / "tick"
    for _ in range(300):
        if tick.exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The kernel ends the namespace's processes soon after; then the file stands still.
    for _ in range(100):
        seen = tick.read_text()
        time.sleep(0.5)
        if tick.read_text() == seen:
            return
    pytest.fail("the guest's loop still runs")


def test_a_damaged_root_is_built_anew(
    bullseye_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A recipe small enough to be unpacked in seconds; its place is a cache of its own.
    small = dataclasses.replace(
        roots.RECIPES["bullseye"], packages=("coreutils", "dash"), extra_sites=()
    )
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path))
    monkeypatch.setitem(roots.RECIPES, "small", small)
    monkeypatch.setattr(roots, "install", lambda lock, target, folder: folder.mkdir(parents=True))
    said: list[str] = []
    root = build_root("small", said.append)
    built = len(said)
    assert build_root("small", said.append) == root and len(said) == built
    shell = root / "bin/dash"
    shell.write_bytes(shell.read_bytes()[:-100])
    assert build_root("small", said.append) == root
    assert "not whole" in said[built]
    assert Machine(root).run(["sh", "-c", "echo well"]).stdout == "well\n"


def test_the_command_runs_in_the_working_directory_and_passes_on_the_exit_code(
    bullseye_root: Path, tmp_path: Path
) -> None:
    command = [*GHOSTDEPTH, "emulate", "--", "sh", "-c", "cat > 'a b'; pwd; uname -m; exit 7"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, input="typed"
    )
    assert done.returncode == 7
    assert done.stdout.splitlines() == [str(tmp_path), "aarch64"]
    assert (tmp_path / "a b").read_text() == "typed"
