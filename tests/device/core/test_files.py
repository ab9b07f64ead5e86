"""A final name never holds half a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import atomic_path, read_json, write_bytes, write_json


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"old": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.json: No space left.*free space"):
        write_json(target, {"new": 2})
    assert read_json(target) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_is_written_straight_and_never_replaced() -> None:
    with pytest.raises(UserError, match="No space left"):
        write_bytes(Path("/dev/full"), b"x")
    assert not Path("/dev/full").is_file()


def test_an_exception_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_those_of_an_ordinary_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_bytes(tmp_path / "file" / "a", b"")


def test_what_was_measured_is_written_whatever_it_is(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [float("nan"), float("-inf")], "y": "caf\udce9"})
    assert read_json(tmp_path / "a.json") == {"x": ["NaN", "-Infinity"], "y": "caf\\udce9"}


def test_broken_json_is_a_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(UserError, match=r"a\.json: it is not valid JSON.*truncated"):
        read_json(tmp_path / "a.json")
