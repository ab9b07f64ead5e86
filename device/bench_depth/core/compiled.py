"""Packages of compiled code: whether one works here, and what to do where it does not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Callable
from typing import Optional

# What numpy, or a module that was built for another major version of it, says of the two.
_NUMPY_SIGNS = (
    "compiled using NumPy",
    "numpy.core.multiarray failed to import",
    "_ARRAY_API not found",
    "numpy.dtype size changed",
    "compiled against ABI version",
)
# OpenCV needs numpy 2 from 4.12 on.
_DOWNGRADE = "pip install 'numpy<2' 'opencv-python-headless<4.12'"


def fault_of(use: Callable[[], object]) -> Optional[str]:
    """Finds out whether a package of compiled code works.

    What it writes to Python's standard error meanwhile (numpy's warnings fill a screen) is dropped.

    Args:
        use: Imports the package and uses it once.

    Returns:
        The predicate of a sentence about the package: what is wrong and, where that is known, what
        to do; None where `use` succeeds.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            use()
    # A package that was built for another system may raise anything, SystemError included.
    except Exception as error:
        if is_numpy_mismatch(error, said.getvalue()):
            return f"was built for another numpy than {numpy_version()}; run: {numpy_remedy()}"
        return f"does not work here: {reason(error)}"
    return None


def is_numpy_mismatch(error: BaseException, said: str = "") -> bool:
    """Returns whether an import failed because of the installed major version of numpy.

    Args:
        error: What was raised.
        said: What was written to standard error meanwhile.
    """
    found: Optional[BaseException] = error
    while found is not None:
        said += str(found)
        found = found.__cause__ or found.__context__
    return any(sign in said for sign in _NUMPY_SIGNS)


def numpy_remedy() -> str:
    """Returns the command that installs the other major version of numpy."""
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
