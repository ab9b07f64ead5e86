"""The temporary folder of a bundle or a deployment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.ship.temporary import replaced_folder, restore_folder

PREFIX = "left [x]-"
_WAITING = """
import time
from bench_depth.core.temporary import fresh_folder
with fresh_folder("left [x]-") as folder:
    (folder / "bundle").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_is_gone_afterwards_and_after_an_error(temporary: Path) -> None:
    with pytest.raises(KeyError), fresh_folder(PREFIX) as folder:
        (folder / "file").touch()
        assert folder.parent == temporary
        raise KeyError
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_stays(
    temporary: Path,
) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WAITING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    other = Path(process.stdout.readline().strip())
    with fresh_folder(PREFIX) as folder:
        assert folder != other
        assert (other / "bundle").is_dir()
    process.kill()
    process.communicate()
    assert (other / "bundle").is_dir()
    with fresh_folder(PREFIX) as folder:
        assert list(temporary.iterdir()) == [folder]


def held(folder: Path) -> str:
    """The content of a folder of the tests below."""
    return (folder / "file").read_text()


@pytest.fixture
def target(temporary: Path) -> Path:
    """A folder that holds something old."""
    folder = temporary / "a [b]"
    folder.mkdir()
    (folder / "file").write_text("old")
    return folder


def replace(target: Path) -> None:
    with replaced_folder(target, "bundle") as folder:
        folder.mkdir()
        (folder / "file").write_text("new")


def test_a_folder_is_replaced_or_made(temporary: Path, target: Path) -> None:
    for folder in (target, temporary / "other"):
        replace(folder)
        assert held(folder) == "new"
    assert len(list(temporary.iterdir())) == 2


def test_an_error_while_the_new_folder_is_filled_leaves_the_old_one(
    temporary: Path, target: Path
) -> None:
    with pytest.raises(KeyError), replaced_folder(target, "bundle") as folder:
        folder.mkdir()
        raise KeyError
    assert held(target) == "old"
    assert list(temporary.iterdir()) == [target]


# The renames of one replacement: the temporary folder, the old folder, the new one.
@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "error"])
def test_a_replacement_that_ends_at_any_rename_leaves_a_whole_folder(
    count: int, end: int | None, temporary: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []
    rename = Path.rename

    def ends(self: Path, other: Path) -> Path:
        if len(done) == count and end is not None:
            os.kill(os.getpid(), end)
        if len(done) == count:
            done.append(self)
            raise KeyboardInterrupt
        done.append(self)
        return rename(self, other)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Path, "rename", ends)
        try:
            replace(target)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    if end is None:  # Nothing has to come after it.
        assert held(target) == ("new" if count == 3 else "old")
    restore_folder(target, "bundle")
    assert held(target) == ("new" if count == 3 else "old")
    replace(target)
    assert held(target) == "new"
    # Killed before its lock, an empty folder may stay.
    assert [path for path in temporary.iterdir() if any(path.iterdir())] == [target]
