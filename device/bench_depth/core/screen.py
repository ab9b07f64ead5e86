"""Printing: all text for the screen passes here, without its control characters.

Names of files, tensors and photos, fields of a contract and the lines of a Pi come from outside.
Raw, they could move the cursor, hide a line, or answer for the user.
"""

from __future__ import annotations

import re
import sys

# C0 and C1, separators of lines and paragraphs, what turns the direction of writing, tags, and
# halves of a character that no encoding can write.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, keep: str = "") -> str:
    r"""Returns `text` with each control character as an escape, like `\x1b` or `\u202e`.

    Args:
        text: Any text.
        keep: Control characters that stay, such as a newline in text of several lines.
    """
    return _UNPRINTABLE.sub(
        lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun, like `1 frame` and `2 frames`.

    Args:
        number: How many there are.
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
