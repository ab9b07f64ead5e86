"""Packages of compiled code: whether one works here, and what to do where it does not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

# What numpy, or a module that was built for another major version of it, raises about the two.
_NUMPY_SIGNS = (
    "compiled using NumPy",
    "numpy.core.multiarray failed to import",
    "_ARRAY_API not found",
    "numpy.dtype size changed",
    "compiled against ABI version",
)
# OpenCV needs numpy 2 from 4.12 on.
_DOWNGRADE = "pip install 'numpy<2' 'opencv-python-headless<4.12'"
# Standard error belongs to the process: one thread at a time sends it elsewhere.
_ONE_AT_A_TIME = threading.Lock()


def fault_of(use: Callable[[], object]) -> Optional[str]:
    """Finds out whether a package of compiled code works.

    What it writes to standard error meanwhile is dropped: numpy's warnings, which fill a screen,
    and what a library announces once in a process.

    Args:
        use: Imports the package and uses it once.

    Returns:
        The predicate of a sentence about the package: what is wrong and, where that is known, what
        to do; None where `use` succeeds.
    """
    said: list[str] = []
    try:
        with _held_back(said):
            use()
    # A package that was built for another system may raise anything, SystemError included.
    except Exception as error:
        if is_numpy_mismatch(error, "".join(said)):
            return f"was built for another numpy than {numpy_version()}; run: {numpy_remedy()}"
        return f"does not work here: {reason(error)}"
    return None


@contextlib.contextmanager
def _held_back(said: list[str]) -> Iterator[None]:
    """Appends to `said` what Python and compiled code write to standard error in the block."""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as sink,
        native_stderr_into(sink.fileno()),
        contextlib.redirect_stderr(sink),
    ):
        try:
            yield
        finally:
            sink.flush()
            sink.seek(0)
            said.append(sink.read())


@contextlib.contextmanager
def native_lines(said: list[bytes]) -> Iterator[None]:
    """Appends to `said` what compiled code writes to standard error in the block, as one item.

    Of more than a pipe holds, 64 kB on Linux, the rest is dropped.

    Args:
        said: Receives the bytes when the block ends, also by an error.
    """
    with _ONE_AT_A_TIME:
        reader, writer = os.pipe()
        # A full pipe would wait for a reader.
        os.set_blocking(writer, False)
        try:
            with native_stderr_into(writer):
                yield
        finally:
            os.close(writer)
            with os.fdopen(reader, "rb") as stream:
                said.append(stream.read())


@contextlib.contextmanager
def native_stderr_into(descriptor: int) -> Iterator[None]:
    """Lets what compiled code writes to standard error go to an open file in the block.

    Args:
        descriptor: File descriptor of the open file.
    """
    with contextlib.ExitStack() as stack:
        # Without a standard error, `2>&-`, there is nothing to hold back.
        with contextlib.suppress(OSError):
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            os.dup2(descriptor, 2)
        yield


def is_numpy_mismatch(error: BaseException, said: str = "") -> bool:
    """Returns whether an import failed because of the installed major version of numpy.

    Args:
        error: The exception of the import.
        said: Text that the import wrote to standard error.
    """
    found: Optional[BaseException] = error
    while found is not None:
        said += str(found)
        found = found.__cause__ or found.__context__
    return any(sign in said for sign in _NUMPY_SIGNS)


def bundle_folder() -> Optional[Path]:
    """Returns the folder that a bundle was installed into, where this is the program of one."""
    env = Path(sys.prefix)
    if env.parent.name != "envs" or not (env / ".complete").exists():
        return None
    prefix = env.parents[1]
    return prefix if (prefix / "current" / "bench-depth").exists() else None


def numpy_remedy() -> str:
    """Returns the command that installs the other major version of numpy."""
    if bundle_folder() is not None:
        # It has no pip, and takes the numpy that picamera2 needs by itself.
        return "the bundle's install, once more"
    return "pip install 'numpy>=2'" if numpy_version().startswith("1.") else _DOWNGRADE


def reason(error: BaseException) -> str:
    """Returns the first line of an error, or the name of its class where it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def numpy_version() -> str:
    """Returns the version of numpy that is installed."""
    try:
        return importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        return "the installed one"
