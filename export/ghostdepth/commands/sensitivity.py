"""The verb to look at before choosing what to prune: sensitivity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.errors import UserError
from bench_depth.core.screen import say

from ghostdepth.commands.app import CheckpointFolder, app, progress
from ghostdepth.commands.network import Data, Val

if TYPE_CHECKING:
    from ghostdepth_train.compress.sensitivity import Sensitivity
    from ghostdepth_train.models.network import DepthNet


@app.command()
def sensitivity(
    checkpoint: CheckpointFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the page and the tables.")],
    val: Val = None,
    importance: Annotated[
        str, typer.Option(help="What goes first: magnitude, bn, taylor or snip.")
    ] = "taylor",
    pictures: Annotated[int, typer.Option(min=1, help="Validation pictures, evenly chosen.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the batches for taylor and snip.")] = 0,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Time the layers on this machine, not predict them for a Pi 4."
        ),
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
) -> None:
    """Show what each width costs and how much accuracy goes with it: a page, a table, CSV files.

    Killed, it goes on with --resume after the last width that was done.
    """
    from ghostdepth_export.convert.source import evenly
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.pages.sensitivity_page import Latency, write_page, write_tables
    from ghostdepth_export.pi4.budget.layer_times import layer_times
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.compress.sensitivity import SensitivityFile
    from ghostdepth_train.compress.sensitivity import sensitivity as run
    from ghostdepth_train.config import LossConfig
    from ghostdepth_train.data import read_split
    from ghostdepth_train.models.summary import layer_costs
    from ghostdepth_train.pruning import importance as units

    kind = units.named(importance)
    loaded, split = load_checkpoint(find_checkpoint(checkpoint)), read_split(data, val)
    network = loaded.network
    chosen = evenly(split.val, pictures)
    with progress() as bar:
        bar.add_task("predicting the latency of the layers", total=None)
        predicted = None if measure else _predicted(network, bar.console.print)
    identity = {
        "latency": "predicted" if predicted else "measured",
        "checkpoint_sha256": loaded.sha256,
        "train_pairs": len(split.train),
        "pictures": [pair.rgb.name for pair in chosen],
        "importance": kind,
        "seed": seed,
    }
    kept = SensitivityFile(out / "measured.json", identity, resume=resume)
    losses = units.batch_losses(network, split, LossConfig(), batches=16, batch_size=8, seed=seed)
    with progress() as bar:
        task = bar.add_task("pruning widths one by one", total=None)
        if kept.times is None:
            kept.add_times(predicted or layer_times(network, progress=bar.console.print))
        assert kept.times is not None
        whole, rows = run(
            network,
            chosen,
            lambda axes: units.importance(network, axes, kind, losses),
            kept.times,
            lambda done, total: bar.update(task, completed=done, total=total),
            kept,
        )
    write_tables(out, layer_costs(network), kept.times, whole, rows)
    latency = Latency(sum(kept.times.values()) / 1000, predicted is not None)
    write_page(out / "sensitivity.html", loaded.name, whole, rows, len(chosen), importance, latency)
    _print(whole, rows)
    say(f"page: {out / 'sensitivity.html'}; times of layers: {out / 'layers.csv'}")


def _predicted(network: DepthNet, log: Callable[[str], None]) -> dict[str, float] | None:
    """The predicted latency of each layer; None, with the reason printed, where there is none."""
    from ghostdepth_export.pi4.budget.layer_times import predicted_layer_times

    try:
        return predicted_layer_times(network, log)
    except UserError as error:
        say(
            f"the latency on a Raspberry Pi 4 is not predicted: {error}; the layers are timed on "
            "this machine instead",
            error=True,
        )
        return None


def _print(whole: float, rows: list[Sensitivity]) -> None:
    from ghostdepth_export.host.screen import Screen
    from rich.table import Table

    saved, errors = list(rows[0].saved), list(rows[0].si_rmse)
    table = Table(box=None, pad_edge=False)
    table.add_column("width", no_wrap=True)
    for title in ("channels", *saved, *(f"{part:.0%} gone" for part in errors)):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        figures = [f"{row.saved[name]:.1%}" for name in saved]
        figures += [f"{row.si_rmse[part]:.4f}" for part in errors]
        table.add_row(row.name, str(row.width), *figures)
    say(f"si-RMSE of the whole network: {whole:.4f}")
    say("of each width: what half of it saves, and si-RMSE when a part of it goes, untrained")
    Screen(pipe_width=120).print(table)
