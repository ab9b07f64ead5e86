"""The cache folder and its locks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from filelock import FileLock, Timeout
from ghostdepth_export.host.cache import cache_folder, locked

HOLDING = """
import sys, time
from pathlib import Path
from ghostdepth_export.host.cache import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GHOSTDEPTH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ghostdepth"
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set GHOSTDEPTH_CACHE"), locked(tmp_path / "file" / "root"):
        pass


def test_a_killed_process_frees_its_lock(tmp_path: Path) -> None:
    folder, lock = tmp_path / "new" / "root", tmp_path / "new" / ".root.lock"
    command = [sys.executable, "-c", HOLDING, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Timeout):
            FileLock(lock, timeout=0).acquire()
    finally:
        process.kill()
        process.communicate()
    with locked(folder), pytest.raises(Timeout):
        FileLock(lock, timeout=0).acquire()
    FileLock(lock, timeout=0).acquire().lock.release()


def test_an_error_in_the_block_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "root"):
        raise KeyError
    with locked(tmp_path / "root"):
        pass
