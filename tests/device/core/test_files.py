"""A final name never holds half a file."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from bench_depth.core.dataset import read_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.files import (
    PARTIAL,
    atomic_path,
    is_folder,
    open_regular,
    read_json,
    read_regular,
    require_regular,
    require_writable,
    write_bytes,
    write_json,
)
from bench_depth.core.temporary import remove_left_overs
from bench_depth.model.contract import read_model_bytes


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


def test_threads_that_write_at_once_leave_the_permissions_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    targets = [tmp_path / str(number) for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(partial(write_bytes, data=b"x"), targets))
    (tmp_path / "after").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd here")
def test_a_stream_is_written_straight_and_never_replaced(tmp_path: Path) -> None:
    write_bytes(Path("/dev/null"), b"x")
    assert Path("/dev/null").is_char_device()
    reader, writer = os.pipe()
    write_bytes(Path(f"/dev/fd/{writer}"), b"piped")
    assert os.read(reader, 9) == b"piped"
    with open(tmp_path / "a", "wb") as stream:
        # What `> FILE` makes of /dev/stdout.
        write_bytes(Path(f"/dev/fd/{stream.fileno()}"), b"redirected")
    assert (tmp_path / "a").read_bytes() == b"redirected"
    for number in (reader, writer):
        os.close(number)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("folder", "it is a folder; give the name of a file"),
        ("pipe", "it is a pipe"),
        ("link to a pipe", "it is a pipe"),
        ("socket", "it is a socket"),
        ("device", "it is a device"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_regular_file_is_not_written(tmp_path: Path, kind: str, message: str) -> None:
    target = make_special(tmp_path / "a", kind)
    before = target.lstat()
    with pytest.raises(UserError, match=rf"cannot write .*{target.name}: {message}"):
        write_bytes(target, b"x")
    assert target.lstat().st_ino == before.st_ino


def test_an_exception_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# Waits with a file half-written.
HALF = """
import sys, time
from pathlib import Path
from bench_depth.core.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_a_living_one_has_stays(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HALF, str(tmp_path / "a")]
    killed, living = (subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2))
    try:
        for process in (killed, living):
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.iterdir())) == 2
        write_bytes(tmp_path / "b", b"whole")
        (left,) = (path for path in tmp_path.iterdir() if path.name != "b")
        assert (left / "a").read_text() == "half"
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL])
def test_where_folders_cannot_be_locked_files_are_written_and_left_overs_stay_but_for_one_alone(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = tmp_path / f"{PARTIAL}0a1b2c3d"
    left.mkdir()
    write_bytes(tmp_path / "a", b"whole")
    assert sorted(tmp_path.iterdir()) == [left, tmp_path / "a"]
    remove_left_overs(PARTIAL, tmp_path, alone=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_temporary_folder_that_cannot_be_renamed_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    for name in ("rename", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, refuse)
            with pytest.raises(UserError, match=r"cannot write .*a: Disk quota exceeded"):
                write_bytes(tmp_path / "a", b"x")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "loop", "pipe", "other"])
def test_what_only_looks_like_a_left_over_stays(tmp_path: Path, kind: str) -> None:
    names = {"other": "partial-a", "file": ".partial-a", "loop": ".partial-a", "pipe": ".partial-a"}
    path = tmp_path / names[kind]
    if kind in ("file", "other"):
        path.mkdir() if kind == "other" else path.touch()
    else:
        make_special(path, kind)
    write_bytes(tmp_path / "b", b"whole")
    assert path.is_symlink() or path.exists()


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


def make_special(path: Path, kind: str) -> Path:
    """What is no regular file, at `path` or, for devices, elsewhere."""
    if kind == "device":
        return Path("/dev/zero")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "link to a pipe":
        os.mkfifo(path.with_name("target"))
        path.symlink_to("target")
    else:
        path.symlink_to("nothing")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("folder", "it is a folder"),
        ("pipe", "it is a pipe; give a regular file"),
        ("link to a pipe", "it is a pipe"),
        ("socket", "it is a socket"),
        ("device", "it is a device"),
        ("loop", "Too many levels of symbolic links"),
        ("dangling link", "it is a link to nothing, which is missing"),
    ],
)
def test_only_regular_files_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)  # A socket's path is short.
    path = make_special(Path("a.json"), kind)
    for read in (read_regular, require_regular, read_json, read_rgb, read_model_bytes):
        with pytest.raises(UserError, match=f"cannot read {path}: {message}"):
            read(path)


@pytest.mark.parametrize("name", ["/proc/kmsg", "/proc/self/mem", "/sys/kernel/notes"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_of_the_kernel_is_not_opened(name: str, linked: bool, tmp_path: Path) -> None:
    if not Path(name).exists():
        pytest.skip(f"{name} is not here")
    path = Path(name)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(name)
    for read in (require_regular, read_regular, open_regular):
        with pytest.raises(UserError, match="it is a file of the kernel"):
            read(path)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = make_special(tmp_path / "a", "pipe")
    monkeypatch.setattr("bench_depth.core.files.require_regular", lambda path: path)
    with pytest.raises(UserError, match="it is a pipe"):
        open_regular(pipe)


def test_names_that_no_file_can_have_are_one_line() -> None:
    for name in ("x" * 5000, "a\0b"):
        assert not is_folder(Path(name))
        with pytest.raises(UserError, match="cannot read"):
            read_regular(Path(name))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as stream:
        stream.truncate(2**40)  # Takes no room on the disk.
    with pytest.raises(UserError, match="has 1099511627776 bytes; at most 2147483648 are read"):
        read_regular(tmp_path / "a")


@pytest.mark.parametrize("name", ["new.json", "old.json", "folder/new.json"])
def test_a_file_in_a_folder_that_may_not_be_written_is_refused_before_the_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.json").write_text("{}")
    assert require_writable(tmp_path / name) == tmp_path / name
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(UserError, match=re.escape(f"no file can be made in {tmp_path};")):
        require_writable(tmp_path / name)
