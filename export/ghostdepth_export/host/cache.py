"""The cache folder, and locks that let one process at a time build what is kept in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bench_depth.core.errors import UserError
from filelock import FileLock
from platformdirs import user_cache_path


def cache_folder() -> Path:
    """`$GHOSTDEPTH_CACHE`, else the user's cache folder: `~/.cache/ghostdepth` on Linux."""
    chosen = os.environ.get("GHOSTDEPTH_CACHE")
    return Path(chosen).absolute() if chosen else user_cache_path("ghostdepth")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time into the block; the lock ends with its process.

    Args:
        folder: Folder that is built in the block. Its parents are made; the lock file lies beside
            it.

    Raises:
        UserError: The cache cannot be written.
    """
    path = folder.parent / f".{folder.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The library's fallback for file systems without flock would outlive a killed process.
        held = FileLock(path, fallback_to_soft=False).acquire()
    except OSError as error:
        raise UserError(
            f"cannot write the cache at {path.parent}: {error.strerror or error}; set "
            "GHOSTDEPTH_CACHE to a folder with some gigabytes of space"
        ) from error
    with held:
        yield
