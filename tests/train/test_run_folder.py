"""One process at a time in a run's folder; what a killed one left is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import atomic_path
from ghostdepth_train.run_folder import HOLDER, LOCK, environment_number, run_folder

# Holds the folder with a file half-written until it is killed.
HOLD = """
import sys, time
from pathlib import Path
from bench_depth.core.files import atomic_path
from ghostdepth_train.run_folder import run_folder
out = Path(sys.argv[1])
with run_folder(out, "ghostdepth train"), atomic_path(out / "last" / "a.json") as temporary:
    temporary.write_text("half")
    print("holding", flush=True)
    time.sleep(60)
"""


def test_the_second_process_names_the_first_until_that_dies(tmp_path: Path) -> None:
    out = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"holding\n"
    try:
        with (
            pytest.raises(UserError, match=rf"ghostdepth train \(process {holder.pid} on .*since"),
            run_folder(out, "ghostdepth compress"),
        ):
            pytest.fail("two processes are in the block")
        assert list((out / "last").iterdir()), "the holder's file must not go"
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert len(list((out / "last").iterdir())) == 1
    with run_folder(out, "ghostdepth train"):
        assert list((out / "last").iterdir()) == []
    assert [path.name for path in out.iterdir()] == ["last"]


def test_only_left_overs_of_atomic_writing_are_removed(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("a.json", ".a-12345678.json", ".hidden")]
    for path in kept:
        path.touch()
    with run_folder(tmp_path, "test"), atomic_path(tmp_path / "b") as temporary:
        temporary.touch()
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "b"])


@pytest.mark.parametrize("note", [b"", b"[1]", b'{"work": 1}', b"\xff", b"[" * 5000])
def test_a_damaged_note_is_another_process(tmp_path: Path, note: bytes) -> None:
    with run_folder(tmp_path, "test"):
        (tmp_path / HOLDER).write_bytes(note)
        with pytest.raises(UserError, match="in use by another process"):
            run_folder(tmp_path, "test").__enter__()


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path, "test"):
        assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_replaced_is_locked_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "new" / "bundle"
    with run_folder(out, "ghostdepth bundle", replaced=True):
        out.mkdir()
        with pytest.raises(UserError, match=r"bundle is in use by ghostdepth bundle \(process"):
            run_folder(out, "ghostdepth bundle", replaced=True).__enter__()
        # Neither of its neighbours, nor what is in it, is held by that.
        with run_folder(out.with_name("other"), "test", replaced=True), run_folder(out, "test"):
            pass
        out.rmdir()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [LOCK, HOLDER])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "loop"])
def test_what_stands_in_the_place_of_the_lock_is_a_line_or_goes_and_nothing_else_is_touched(
    tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / "other").write_text("of somebody else")
    path = tmp_path / name
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"link": "other", "loop": name}[kind])
    said = ""
    try:
        with run_folder(tmp_path, "test"):
            pass
    except UserError as error:
        said = str(error)
    assert said == "" or str(path) in said
    assert (tmp_path / "other").read_text() == "of somebody else"
    assert said or not (tmp_path / LOCK).exists()


def test_a_folder_that_is_a_file_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="cannot lock"):
        run_folder(tmp_path / "run", "test").__enter__()


def test_of_several_processes_of_one_training_the_first_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_folder(tmp_path, "test"):
        monkeypatch.setenv("RANK", "1")
        with run_folder(tmp_path, "test"):
            pass
        assert (tmp_path / HOLDER).exists()


@pytest.mark.parametrize("text", ["abc", "-1", "", "1.0", " 1", "\u0663", "9" * 5000, "0"])
def test_what_torchrun_cannot_have_set_is_a_line(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", text)
    with pytest.raises(UserError, match=r"WORLD_SIZE=.*integer from 1 on; unset it"):
        environment_number("WORLD_SIZE", 1, minimum=1)
