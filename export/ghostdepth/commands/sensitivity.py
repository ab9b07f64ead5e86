"""The verb that shows what pruning each width would save and cost: sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import exploration
from ghostdepth.commands.app import CheckpointFolder, app, progress
from ghostdepth.commands.network import Board, Data, Resume, Runtime, Val

if TYPE_CHECKING:
    from ghostdepth_train.pruning.sensitivity import Sensitivity


@app.command()
def sensitivity(
    checkpoint: CheckpointFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the page and the tables.")],
    val: Val = None,
    importance: Annotated[
        str,
        typer.Option(help="What is removed first: the lowest magnitude, bn, taylor or snip."),
    ] = "taylor",
    pictures: Annotated[int, typer.Option(help="Validation pictures, evenly chosen.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the batches for taylor and snip.")] = 0,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Time the layers on this machine, instead of predicting them for a board.",
        ),
    ] = False,
    board: Board = "rpi4",
    runtime: Runtime = "2.5",
    resume: Resume = False,
) -> None:
    """Show what each width costs and the accuracy lost by pruning it: a page, a table and CSV.

    Killed at any moment, it continues with --resume.
    """
    options = locals()
    with progress() as bar:
        task = bar.add_task("predicting the latency of the layers", total=None)

        def log(line: str) -> None:
            bar.console.print(line, soft_wrap=True, highlight=False)

        def width(done: int, total: int) -> None:
            words = "pruning widths one by one"
            bar.update(task, description=words, completed=done, total=total)

        found = exploration.sensitivity(**options, on_width=width, log=log)
    _print(found.si_rmse, found.widths)
    say(f"page: {found.page}; times of layers: {found.layers}")


def _print(whole: float, rows: list[Sensitivity]) -> None:
    from ghostdepth_export.host.screen import Screen
    from rich.table import Table

    saved, errors = list(rows[0].saved), list(rows[0].si_rmse)
    table = Table(box=None, pad_edge=False)
    table.add_column("width", no_wrap=True)
    for title in ("channels", *saved, *(f"{fraction:.0%} removed" for fraction in errors)):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        figures = [f"{row.saved[name]:.1%}" for name in saved]
        figures += [f"{row.si_rmse[fraction]:.4f}" for fraction in errors]
        table.add_row(row.name, str(row.width), *figures)
    say(f"si-RMSE of the unpruned network: {whole:.4f}")
    say("for each width: the cost that half of it saves, and si-RMSE without retraining")
    Screen(pipe_width=120).print(table)
