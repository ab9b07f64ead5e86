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

    def on_broken_pipe(self) -> None:
        """The reader has gone: an error of standard output; without standard error it goes on."""
        gone = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        give_up(cast(TextIO, self.file), gone, self.stderr)


def cell(text: str, style: str = "") -> Text:
    """One line of a table with its style, as rich's `Text`."""
    return Text(printable(text), style)
