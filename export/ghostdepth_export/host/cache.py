"""Where what can be made again is kept between runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bench_depth.core.errors import UserError


def cache_folder() -> Path:
    """`$GHOSTDEPTH_CACHE`, else `ghostdepth` in `$XDG_CACHE_HOME` or `~/.cache`."""
    chosen = os.environ.get("GHOSTDEPTH_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ghostdepth"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time into the block; makes the folder's parents.

    Raises:
        UserError: The cache cannot be written.
    """
    lock = folder.parent / f".{folder.name}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("w")
    except OSError as error:
        raise UserError(
            f"cannot write the cache at {folder.parent}: {error.strerror}; set GHOSTDEPTH_CACHE "
            "to a folder with some gigabytes of space"
        ) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
