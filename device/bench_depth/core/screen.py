"""Printing: all text for the screen passes here, without its control characters.

Names of files, tensors and photos, fields of a contract and the lines of a Pi come from outside.
Raw, they could move the cursor, hide a line, or answer for the user.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Literal, TextIO

# Invisible by Unicode's property Default_Ignorable_Code_Point, in categories that are printable.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def printable(text: str, keep: str = "") -> str:
    r"""Returns `text` with each character that cannot be seen as an escape, like `\x1b`.

    These are, as for `repr`, Unicode's categories of controls (Cc), format characters (Cf: those
    without a width, and those that turn the direction of writing), separators other than the space
    (Zl, Zp, Zs), and what has no character (Cs, Co, Cn); besides, characters that are to be ignored
    where they cannot be displayed.

    Args:
        text: Any text.
        keep: Characters that stay, such as a newline in text of several lines.
    """
    if text.isprintable() and not _IGNORED.search(text):
        return text
    return "".join(char if char in keep or _seen(char) else ascii(char)[1:-1] for char in text)


def _seen(char: str) -> bool:
    return char.isprintable() and not _IGNORED.match(char)


def counted(number: int, noun: str) -> str:
    """A number with its noun, like `1 frame` and `2 frames`.

    Args:
        number: Number of things.
        noun: The word for one of them, whose plural ends in -s.
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def say(text: object = "", *, error: bool = False) -> None:
    """Prints one line, a newline in it as an escape too.

    Args:
        text: The line.
        error: Whether it goes to standard error.
    """
    show(f"{printable(str(text))}\n", error=error)


def show(text: str, *, error: bool = False) -> None:
    """Writes text that was made for the screen: of parts that went through `printable`.

    What the screen's encoding lacks is written as an escape.

    Args:
        text: Lines, each ended; colour codes and the redrawing of a line are the program's own.
        error: Whether it goes to standard error. Where that cannot be written, the work goes on
            without it: what was measured is worth more than a line about it.

    Raises:
        OSError: Standard output cannot be written: its reader has gone, or the disk is full.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as failure:
        give_up(stream, failure, error)


def give_up(stream: TextIO, failure: OSError, error: bool) -> None:
    """Discards what a stream that cannot be written still holds, and whatever it gets later.

    Python flushes again at exit, and would print a traceback.

    Args:
        stream: The stream.
        failure: Why it cannot be written.
        error: Whether it is standard error, without which the work goes on.

    Raises:
        OSError: It is standard output.
    """
    with contextlib.suppress(OSError):  # Not a file of the system.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    if not error:
        raise OSError(f"cannot write to standard output: {failure.strerror}") from failure


def open_streams() -> None:
    """Opens the standard streams that were closed when the program started (`>&-`).

    Otherwise the first files that are opened take their places, and get what libraries print. To
    standard output nothing can be written then, so that a result that nobody gets is an error.
    """
    # In this order, as each takes the lowest free number.
    if sys.stdin is None:
        sys.stdin = _nowhere(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _nowhere(os.O_RDONLY, "w")
    if sys.stderr is None:
        sys.stderr = _nowhere(os.O_WRONLY, "w")


def _nowhere(flags: int, mode: Literal["r", "w"]) -> TextIO:
    number = os.open(os.devnull, flags)
    os.set_inheritable(number, True)
    return open(number, mode, encoding="utf-8")
