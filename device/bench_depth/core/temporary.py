"""Temporary folders that do not outlive their process, even where that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Optional


@contextlib.contextmanager
def fresh_folder(prefix: str, parent: Optional[Path] = None) -> Iterator[Path]:
    """Creates a temporary folder, and removes those of processes that were killed.

    Args:
        prefix: Beginning of its name, which only such folders have.
        parent: Folder that it lies in; None for the system's temporary files.

    Raises:
        OSError: It cannot be created.
    """
    import tempfile  # Here, because `--help` must not wait for it.

    place = Path(tempfile.gettempdir()) if parent is None else parent
    remove_left_overs(prefix, place)
    with temporary_folder(prefix, place) as folder:
        yield folder


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """Creates a folder that only its user can enter, and removes it in the end.

    What a killed process left is removed by `remove_left_overs`.

    Args:
        prefix: Beginning of its name, which only such folders have.
        parent: Folder that it lies in.

    Raises:
        OSError: It cannot be created.
    """
    # It gets the name that others look for only when it is locked.
    outer = parent / f".{prefix}{secrets.token_hex(4)}"
    outer.mkdir(0o700)
    folder = outer
    try:
        with _locked(outer):
            folder = outer.rename(outer.with_name(outer.name[1:]))
            yield folder
    finally:
        remove_folder(folder)


def left_overs(prefix: str, parent: Path, alone: bool = False) -> Iterator[Path]:
    """The temporary folders of killed processes, each locked until the next one is asked for.

    Args:
        prefix: Beginning of their names.
        parent: Folder that they lie in.
        alone: Whether no other process writes into `parent`. Where folders cannot be locked, those
            of living processes are not known otherwise, and none is given.
    """
    try:
        found = [path for path in parent.iterdir() if path.name.startswith(prefix)]
    except OSError:  # It may not be read, or has gone.
        return
    for path in found:
        with contextlib.suppress(OSError), _locked(path) as known:
            if known or alone:
                yield path


def remove_left_overs(prefix: str, parent: Path, alone: bool = False) -> None:
    """Removes the temporary folders of killed processes; what is in use stays.

    Args:
        prefix: Beginning of their names.
        parent: Folder that they lie in.
        alone: See `left_overs`.
    """
    for path in left_overs(prefix, parent, alone):
        remove_folder(path)


@functools.cache
def remove_left_overs_once(prefix: str, parent: Path) -> None:
    """As `remove_left_overs`, the first time that this process asks for the folder."""
    remove_left_overs(prefix, parent)


def remove_folder(folder: Path) -> None:
    """Removes a folder with what it holds, as far as the system allows it."""
    import shutil  # Here, because `--help` must not wait for it.

    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Locks the folder itself; the lock ends with the process.

    Yields:
        Whether it is locked; False where folders cannot be, as on NFS.

    Raises:
        OSError: Another process holds it, or the folder is another user's.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
