"""Printing: all text for the screen passes here, without its control characters.

Names of files, tensors and photos, fields of a contract and the lines of a Pi come from outside.
Raw, they could move the cursor, hide a line, or answer for the user.
"""

from __future__ import annotations

import re
import sys

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
        error: Whether it goes to standard error.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
