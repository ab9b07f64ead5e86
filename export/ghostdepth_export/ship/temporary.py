"""A temporary folder that does not outlive its process, even where that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Creates the folder, and removes those of processes that were killed.

    Args:
        prefix: Beginning of its name, which only such folders have.
        parent: Folder that it lies in; None for the system's temporary files.

    Raises:
        OSError: It cannot be created.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    for left in place.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)
    # It gets the name that others look for only when it is locked.
    with tempfile.TemporaryDirectory(prefix=f".{prefix}", dir=place) as outer:
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
