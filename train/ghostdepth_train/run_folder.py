"""The folder of a run, which one process at a time works in.

The lock belongs to the process: the system frees it when the process ends, however it ends. Beside
it lies a note about the holder, for the message that a second process gives.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.files import PARTIAL, read_object, write_json
from bench_depth.core.temporary import remove_left_overs
from filelock import FileLock, Timeout

LOCK, HOLDER = ".lock", ".lock-holder.json"


@contextlib.contextmanager
def run_folder(folder: Path, work: str, replaced: bool = False) -> Iterator[None]:
    """Lets one process at a time into the block, and removes what a killed one left half-written.

    Of several processes of one training (`torchrun`) only the first takes the lock.

    Args:
        folder: Folder of the run; made where missing.
        work: Name of the work done in it, e.g. `ghostdepth train`, for the message to others.
        replaced: Whether the work makes the folder anew and puts it in place of the old one. The
            lock lies beside it then, and nothing is removed.

    Raises:
        UserError: Another process works in the folder, or it cannot be written.
    """
    if not first_process():
        yield
        return
    folder = Path(folder)
    place, prefix = (folder.parent, f".{folder.name}") if replaced else (folder, "")
    path, note = (place / f"{prefix}{name}" for name in (LOCK, HOLDER))
    # The library's fallback for file systems without flock would outlive a killed process.
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    made = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{folder} is in use by {_holder(note)}; wait for it, or choose another --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot lock {folder} by {path}: {reason}; check that {place} is a folder that can be "
            f"written, and {path.name} in it, if there is one, a file"
        ) from error
    try:
        write_json(note, _note(work))
        if not replaced:
            _remove_partial(folder)
        yield
    finally:
        for own in (note, path):  # The lock last, while it is held: nobody else's goes.
            with contextlib.suppress(OSError):
                own.unlink()
        lock.release()
        if made:
            with contextlib.suppress(OSError):  # It holds something.
                place.rmdir()


def first_process() -> bool:
    """Whether this is the process that prints and keeps files, of those that torchrun started."""
    return environment_number("RANK", 0) == 0


def environment_number(name: str, otherwise: int, minimum: int = 0) -> int:
    """A number that torchrun sets in the environment of each of its processes.

    Args:
        name: Name of the variable.
        otherwise: Value where it is not set.
        minimum: Smallest possible value.

    Raises:
        UserError: It is no integer, or smaller than `minimum`.
    """
    text = os.environ.get(name, str(otherwise))
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < minimum:
        raise UserError(
            f"the environment has {name}={text!r}, which must be an integer from {minimum} on; "
            "unset it, or start the training with torchrun"
        )
    return int(text)


def _note(work: str) -> dict[str, str | int]:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"work": work, "pid": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(path: Path) -> str:
    """The holder in words; its note may be missing or cut off, as nothing guards it."""
    try:
        note = read_object(path)
        return f"{note['work']} (process {note['pid']} on {note['host']}, since {note['since']})"
    except (UserError, KeyError):
        return "another process"


def _remove_partial(folder: Path) -> None:
    """Removes what killed processes left of `atomic_path` in a folder and those below it."""
    for top, folders, _ in os.walk(folder):
        remove_left_overs(PARTIAL, Path(top), alone=True)
        folders[:] = [name for name in folders if not name.startswith(".")]
