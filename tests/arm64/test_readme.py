"""README from top to bottom on a fresh clone: every block that a reader can paste."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY

_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a block needs that a clone does not have, as its first line says it.
_ELSEWHERE = ("# With a dataset", "# With a Raspberry Pi", "# On the Raspberry Pi")
_INSTALLS = re.compile(r"^make setup$", re.MULTILINE)


def pasted() -> str:
    blocks = _BLOCK.findall((REPOSITORY / "README.md").read_text())
    here = [block for block in blocks if not block.startswith("#")]
    assert all(block.startswith(_ELSEWHERE) for block in blocks if block not in here)
    script, installs = _INSTALLS.subn(":", "".join(here))
    assert installs == 1
    return script


# A third of the samples takes a third of the time.
ROOMS = ("office", "kitchen")


def clone(folder: Path) -> Path:
    """The tracked files of the working tree, with this environment in the place of `.venv`.

    Of the samples it has those of two rooms.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split("\0"):
        picture = name.startswith(("samples/rgb/", "samples/depth/"))
        if picture and not Path(name).name.startswith(ROOMS):
            continue
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


# Some three minutes of one core, which a busy machine stretches.
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("bullseye_root")
def test_every_block_runs_as_it_stands(tmp_path: Path) -> None:
    source = clone(tmp_path / "ghostdepth")
    packages = os.pathsep.join(str(source / name) for name in ("train", "export", "device"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=pasted(),
        cwd=source,
        env={**os.environ, "PYTHONPATH": packages},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for wanted in ("depth/office_05-depth.png", "results.html", "bundle/install"):
        assert (source / wanted).is_file(), wanted
    assert len(list((source / "exported").glob("*.*"))) >= 6
