"""Temporary folders that do not outlive their process, even where that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_OLD = "old"


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
    for left in _left_overs(prefix, place):
        shutil.rmtree(left, ignore_errors=True)
    # It gets the name that others look for only when it is locked.
    outer = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=place))
    with _locked(outer):
        folder = outer.rename(outer.with_name(outer.name[1:]))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replaced_folder(target: Path, kind: str) -> Iterator[Path]:
    """A path for a new folder, which replaces `target` when the block succeeds.

    The old folder is moved away only when the new one is whole; what a process moved away that was
    killed at that moment is put back first, see `restore_folder`.

    Args:
        target: The folder; it may be missing.
        kind: Kind of the folder, a part of the temporary folder's name beside it.

    Raises:
        OSError: The folder beside `target` cannot be written; `target` is as it was.
    """
    restore_folder(target, kind)
    with temporary_folder(_prefix(target, kind), target.parent) as temporary:
        folder, old = temporary / kind, temporary / _OLD
        yield folder
        try:
            if target.exists():
                target.rename(old)
            folder.rename(target)
        finally:
            _put_back(old, target)


def restore_folder(target: Path, kind: str) -> None:
    """Puts back what a `replaced_folder` moved away whose process was killed before the new came.

    Args:
        target: The folder, as `replaced_folder` takes it.
        kind: Kind of the folder, likewise.

    Raises:
        OSError: It cannot be moved.
    """
    for left in _left_overs(_prefix(target, kind), target.parent):
        _put_back(left / _OLD, target)


def _prefix(target: Path, kind: str) -> str:
    return f".{target.name}.{kind}-"


def _put_back(old: Path, target: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)


def _left_overs(prefix: str, place: Path) -> Iterator[Path]:
    """The temporary folders of killed processes, each locked until the next one is asked for."""
    for left in place.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(OSError), _locked(left):
            yield left


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
