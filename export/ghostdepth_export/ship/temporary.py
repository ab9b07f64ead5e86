"""Folders that a new one replaces as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench_depth.core.temporary import fresh_folder, left_overs

_OLD = "old"


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
    with fresh_folder(_prefix(target, kind), target.parent) as temporary:
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
    for left in left_overs(_prefix(target, kind), target.parent):
        _put_back(left / _OLD, target)


def _prefix(target: Path, kind: str) -> str:
    return f".{target.name}.{kind}-"


def _put_back(old: Path, target: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)
