"""The verb that searches for a network within a latency: search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import exploration
from ghostdepth.commands.app import app, duration, training
from ghostdepth.commands.network import (
    Board,
    Data,
    Fraction,
    Runtime,
    Settings,
    Strict,
    Val,
    Workers,
)

if TYPE_CHECKING:
    from ghostdepth_export.search.front import TrainedNetwork


@app.command()
def search(
    budget_ms: Annotated[float, typer.Option(help="Predicted milliseconds on the board.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for runs, tables, page and configs.")],
    val: Val = None,
    trials: Annotated[
        int, typer.Option(help="Number of trials of all workers, over all starts.")
    ] = 50,
    epochs: Annotated[int, typer.Option(help="Epochs of each trial's short training.")] = 5,
    config: Annotated[
        str, typer.Option(help="Training settings, and what the space does not choose.")
    ] = "ghostnet-s",
    minutes: Annotated[
        float | None,
        typer.Option(help="Pause after the last trial that fits; start again to continue."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="End a trial after so many epochs without a better one."),
    ] = None,
    fraction: Fraction = 1.0,
    settings: Settings = None,
    space: Annotated[
        str | None,
        typer.Option(help="YAML file of the search space.", show_default="the shipped one"),
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="SQLite file of the study.", show_default="OUT/study.db")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="A database's address instead, for several machines.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime.")] = 4,
    target_file: Annotated[
        str, typer.Option(help="Exported file to predict: int8 or fp32.")
    ] = "int8",
    board: Board = "rpi4",
    runtime: Runtime = "2.5",
    workers: Workers = 1,
    strict: Strict = False,
) -> None:
    """Search for networks that are accurate within a latency. Start it again to continue."""
    options = locals()
    with training("searching", _Estimate(trials).line) as callbacks:
        log = callbacks["log"]
        options["on_trial"] = lambda done, seconds: log(_progress(done, trials, seconds))
        found = exploration.search(**options, **callbacks)
    if found.trials < trials:
        say(
            f"paused by --minutes after {found.trials} of {trials} trials; start again to continue",
            error=True,
        )
    if found.page is None:
        if found.trials < trials:
            return
        say(f"no network of {trials} takes at most {budget_ms:g} ms; give another --space")
        raise typer.Exit(1)
    _print(found.networks)
    say(f"configs: {found.configs[0].parent}; page: {found.page}")


class _Estimate:
    """How long a search may take, logged once, from the first steps of its first training."""

    def __init__(self, trials: int) -> None:
        self._trials, self._estimated = trials, False

    def line(self, seconds: float) -> str:
        """The line; empty after the first call."""
        if self._estimated:
            return ""
        self._estimated = True
        return (
            f"about {duration(seconds)} on this machine for this trial, not counting validation; "
            f"{self._trials} trials take at most about {duration(seconds * self._trials)}"
        )


def _progress(done: int, trials: int, seconds: float) -> str:
    """The trials that are done, and how long this worker alone would take for the others."""
    left = f", about {duration(seconds * (trials - done))} left" if done < trials else ""
    return f"{done} of {trials} trials done{left}"


def _print(rows: Sequence[TrainedNetwork]) -> None:
    from ghostdepth_export.host.screen import Screen
    from rich.table import Table

    front = [row.row() for row in rows if row.front]
    table = Table(box=None, pad_edge=False)
    for title in front[0]:
        table.add_column(title, justify="right", no_wrap=True)
    for row in front:
        table.add_row(*map(str, row.values()))
    say(f"{len(front)} of {len(rows)} trained networks are on the front")
    Screen(pipe_width=120).print(table)
