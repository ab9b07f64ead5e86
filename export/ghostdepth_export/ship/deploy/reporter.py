"""Shows how far each host is: a line per host on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class Reporter:
    """Takes what threads report; a context manager.

    Args:
        hosts: As the user named them.
        console: Where to; standard error where not given.
    """

    def __init__(self, hosts: Sequence[str], console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"))
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        )
        self._tasks: dict[str, TaskID] = {
            host: self._progress.add_task(escape(host), total=None, step="") for host in hosts
        }
        self._steps = dict.fromkeys(hosts, "")
        self._guard = threading.Lock()

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self, host: str, text: str, share: float | None = None) -> None:
        """Says what goes on now.

        Args:
            host: Where.
            text: What.
            share: How much of it is done, 0..1; None where that is not known.
        """
        if self._console.is_terminal:
            total = None if share is None else 1.0
            self._progress.update(
                self._tasks[host], total=total, completed=share or 0.0, step=escape(text)
            )
        elif self._steps[host] != text:
            self._steps[host] = text
            self.say(host, text)

    def say(self, host: str, text: str) -> None:
        """Says something that is to stay on the screen."""
        line = f"{host}: {text}"
        with self._guard:
            if self._console.is_terminal:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)
