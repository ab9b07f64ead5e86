"""The temporary folder of a bundle or a deployment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ghostdepth_export.ship.temporary import temporary_folder

PREFIX = "left [x]-"
_WAITING = """
import time
from ghostdepth_export.ship.temporary import temporary_folder
with temporary_folder("left [x]-") as folder:
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
    with pytest.raises(KeyError), temporary_folder(PREFIX) as folder:
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
    with temporary_folder(PREFIX) as folder:
        assert folder != other
        assert (other / "bundle").is_dir()
    process.kill()
    process.communicate()
    assert (other / "bundle").is_dir()
    with temporary_folder(PREFIX) as folder:
        assert list(temporary.iterdir()) == [folder]
