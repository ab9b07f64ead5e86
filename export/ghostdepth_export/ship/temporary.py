"""A temporary folder that does not outlive its process, even where that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "ghostdepth-deploy-"


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Creates the folder, and removes those of processes that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)
    # It gets the name that others look for only when it is locked.
    with tempfile.TemporaryDirectory(prefix=f".{_PREFIX}") as outer:
        folder = Path(outer).with_name(Path(outer).name[1:])
        with _locked(Path(outer)):
            Path(outer).rename(folder)
            try:
                yield folder
            finally:
                folder.rename(outer)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder itself, which filelock cannot; the lock ends with the process.

    Raises:
        OSError: Another process holds it, or the folder is another user's.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
