"""Shows how far each host is: a line per host on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

from bench_depth.core.screen import say
from ghostdepth_export.host.screen import Screen
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class Reporter:
    """Shows the progress of all hosts; thread-safe, a context manager.

    Args:
        hosts: As the user named them.
        console: Console to print to; standard error where None.
    """

    def __init__(self, hosts: Sequence[str], console: Screen | None = None) -> None:
        self._console = console or Screen(error=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[step]}", markup=False),
        )
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        )
        self._tasks: dict[str, TaskID] = {
            host: self._progress.add_task(host, total=None, step="") for host in hosts
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

    def step(self, host: str, text: str, fraction: float | None = None) -> None:
        """Shows the current step of a host.

        Args:
            host: The host, as the user named it.
            text: The step.
            fraction: Fraction of the step that is done, 0..1; None where it is unknown.
        """
        if self._console.is_terminal:
            total = None if fraction is None else 1.0
            self._progress.update(
                self._tasks[host], total=total, completed=fraction or 0.0, step=text
            )
        elif self._steps[host] != text:
            self._steps[host] = text
            self.log(host, text)

    def log(self, host: str, text: str) -> None:
        """Prints a line that stays on the screen."""
        line = f"{host}: {text}"
        with self._guard:
            if self._console.is_terminal:
                self._console.print(line, highlight=False, soft_wrap=True)
            else:
                say(line, error=True)
