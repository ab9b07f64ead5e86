"""What of the emulated Pi can be tested without emulating: tests/arm64 has the rest."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.machine.board import read_board
from ghostdepth_export.host import programs, wheels
from ghostdepth_export.pi4.emulator import Machine, build_root, debian, pi4, roots


def test_an_unknown_root_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="'sid'; choose from bullseye, bookworm, trixie"):
        build_root("sid")


def test_a_missing_program_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"qemu-aarch64-static.*apt install qemu-user-static"):
        programs.need("qemu-aarch64-static")


def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(UserError, match=r"^cannot do it: the last line$"):
        programs.run(["sh", "-c", "echo first >&2; echo the last line >&2; exit 3"], "cannot do it")
    with pytest.raises(UserError, match=r"^cannot do it: exit code 3$"):
        programs.run(["sh", "-c", "exit 3"], "cannot do it")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "sources.list.d/debian.sources",
            "Types: deb\n# a comment: http://no/debian\nURIs: http://mirror/debian\nSuites: x\n",
        ),
        ("sources.list", "# deb http://no/debian x main\ndeb http://mirror/debian x main\n"),
        ("sources.list", "deb [arch=amd64] http://mirror/debian x main\n"),
        (
            "sources.list",
            "deb http://mirror/debian-security x main\ndeb http://mirror/debian x main\n",
        ),
    ],
)
def test_the_hosts_own_mirror_is_used(
    file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    assert debian.local_mirror(tmp_path) == "http://mirror/debian"
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "ubuntu"})
    assert debian.local_mirror(tmp_path) is None


def test_bench_depth_reads_the_emulated_boards_files_as_an_emulated_pi(tmp_path: Path) -> None:
    pi4.write(tmp_path)
    board = read_board(tmp_path, "aarch64")
    assert board.model == "Raspberry Pi 4 Model B (emulated by QEMU)"
    assert board.cpu == "Cortex-A72"
    assert board.emulated


@pytest.mark.parametrize("name", roots.RECIPES)
def test_every_wheel_of_a_root_has_its_version_and_checksum(name: str) -> None:
    recipe = roots.RECIPES[name]
    for lock in (name, *recipe.extra_sites):
        lines = recipe.lock(lock).read_text().splitlines()
        assert lines
        for line in lines:
            wheel, _, checksum = line.partition(" --hash=sha256:")
            assert "==" in wheel
            assert len(checksum) == 64


def test_wheels_are_those_of_the_targets_glibc_and_older() -> None:
    options = wheels.WheelTarget("3.9", 31).options()
    assert "manylinux_2_31_aarch64" in options and "manylinux_2_17_aarch64" in options
    assert "manylinux_2_32_aarch64" not in options


def test_a_wheel_that_is_not_the_committed_one_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"iniconfig==2.1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match=r"cannot install the wheels of lock.txt"):
        wheels.install(lock, wheels.WheelTarget("3.9", 31), tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_the_inventory_changes_with_a_file_a_mode_and_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file, link = tmp_path / "folder" / "file", tmp_path / "link"
    file.write_text("text")
    link.symlink_to("folder")
    seen = {roots.inventory(tmp_path)}
    file.write_text("longer text")
    seen.add(roots.inventory(tmp_path))
    file.chmod(0o755)
    seen.add(roots.inventory(tmp_path))
    link.unlink()
    link.symlink_to("elsewhere")
    seen.add(roots.inventory(tmp_path))
    file.unlink()
    seen.add(roots.inventory(tmp_path))
    assert len(seen) == 5


def test_a_cache_whose_path_cannot_be_mounted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="colon, comma or backslash; set GHOSTDEPTH_CACHE"):
        Machine(tmp_path / "a,b" / "root").argv(["true"])
