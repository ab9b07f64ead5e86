"""Tables and progress bars by rich: no text from outside is markup or a control code."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any, TextIO, cast

from bench_depth.core.screen import give_up, printable
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text


class Screen(Console):
    """A console whose text goes through `printable`; brackets in it are no markup.

    Args:
        error: Whether it prints to standard error.
        pipe_width: Columns where the output is no terminal, which has no width of its own: wrapping
            a table there would break it for grep and awk. None leaves it to rich.
        others: As for `rich.console.Console`.
    """

    def __init__(
        self, *, error: bool = False, pipe_width: int | None = None, **others: Any
    ) -> None:
        super().__init__(stderr=error, markup=False, emoji=False, **others)
        if pipe_width is not None and not self.is_terminal:
            self.width = pipe_width

    def render_str(self, text: str, **style: Any) -> Text:
        """Text of a line or a cell; a newline in it is an escape too."""
        return super().render_str(printable(text), **style)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Everything that is shown, whatever it is made of; the codes are rich's own."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, "\n"), segment.style)

    def print(self, *objects: Any, **others: Any) -> None:
        """As rich's, whose arguments these are.

        Raises:
            OSError: Standard output cannot be written; without standard error the work goes on.
        """
        try:
            super().print(*objects, **others)
        except OSError as failure:
            give_up(cast(TextIO, self.file), failure, self.stderr)

    def on_broken_pipe(self) -> None:
        """Leaves it to `print`; rich would end the program without a line."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def cell(text: str, style: str = "") -> Text:
    """One line of a table with its style, as rich's `Text`."""
    return Text(printable(text), style)
