"""The verbs that make and look at a network: train, evaluate, summary, convert."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import networks
from ghostdepth.commands.app import CheckpointFolder, app, progress

Data = Annotated[Path, typer.Option(help="Dataset folder, or a folder with train/ and val/.")]
Val = Annotated[Path | None, typer.Option(help="Dataset folder for validation.")]


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    config: Annotated[str, typer.Option(help="Name of a config, or a YAML file.")] = "s",
    val: Val = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the config's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the config's.")] = None,
    name: Annotated[
        str | None, typer.Option(help=r"Of the checkpoint \[ghostdepth-CONFIG].")
    ] = None,
    note: Annotated[str, typer.Option(help="What the data is, and its terms.")] = "",
    imagenet: Annotated[
        str | None,
        typer.Option(help="Encoder weights: a file, efficientnet-lite0 to -lite2, or a timm name."),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint folder to start from.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
) -> None:
    """Train a network. Killed at any moment, it goes on with --resume to the same result."""
    with progress("loss {task.fields[loss]:.4f}, {task.fields[speed]:.0f} img/s") as bar:
        task = bar.add_task("training", total=None, loss=float("nan"), speed=0.0)

        def step(done: int, total: int, loss: float, images_per_second: float) -> None:
            bar.update(task, completed=done, total=total, loss=loss, speed=images_per_second)

        def epoch(row: dict[str, float]) -> None:
            if "si_rmse" in row:
                bar.console.print(
                    f"epoch {row['epoch']:.0f}: loss {row['loss']:.4f}, validation "
                    f"si-RMSE {row['si_rmse']:.4f}, RMSE {row['rmse']:.3f} m, "
                    f"delta_1 {row['delta_1']:.3f}"
                )

        best = networks.train(
            data,
            out,
            config=config,
            val=val,
            epochs=epochs,
            seed=seed,
            name=name,
            note=note,
            imagenet=imagenet,
            init=init,
            workers=workers,
            resume=resume,
            on_step=step,
            on_epoch=epoch,
        )
    # Of the processes that torchrun starts one prints.
    if os.environ.get("RANK", "0") == "0":
        say(best)


@app.command()
def evaluate(
    checkpoint: CheckpointFolder,
    data: Data,
    align: Annotated[str, typer.Option(help="none, median or log-affine.")] = "none",
) -> None:
    """Print a checkpoint's accuracy on a dataset folder, by the measuring protocol."""
    from bench_depth.core.dataset import list_pairs

    metrics = networks.evaluate(checkpoint, data, align)
    say(f"{len(list_pairs(data))} images, alignment: {align}")
    for key, value in metrics.to_dict().items():
        say(f"{key:8} {value:.4f}{' m' if key == 'rmse' else ''}")


@app.command()
def summary(
    config: Annotated[str, typer.Option(help="Name of a config, or a YAML file.")] = "s",
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead.")] = None,
) -> None:
    """Print parameters, MACs and activations, layer by layer and in sum."""
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.host.screen import Screen
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.config import load_train_config
    from ghostdepth_train.models.network import DepthNet
    from ghostdepth_train.models.summary import layer_costs
    from rich.table import Table

    if checkpoint is not None:
        network = load_checkpoint(find_checkpoint(checkpoint)).network
    else:
        network = DepthNet(load_train_config(config).network)
    rows = layer_costs(network)
    table = Table("layer", "kind", "output", box=None, pad_edge=False)
    for column in ("parameters", "MACs", "activations"):
        table.add_column(column, justify="right")
    for row in rows:
        shape = "x".join(map(str, row.shape))
        numbers = (f"{n:,}" for n in (row.parameters, row.macs, row.activations))
        table.add_row(row.name, row.kind, shape, *numbers)
    sums = (sum(r.parameters for r in rows), sum(r.macs for r in rows))
    table.add_section()
    total = f"{sum(r.activations for r in rows):,}"
    table.add_row("sum", f"{len(rows)} layers", "", f"{sums[0]:,}", f"{sums[1]:,}", total)
    Screen(pipe_width=120).print(table)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="nyu, tum, kitti or diode.")],
    path: Annotated[Path, typer.Argument(help="The source's file or folder.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to write.")],
    split: Annotated[str | None, typer.Option(help="nyu: train, test; kitti: train, val.")] = None,
) -> None:
    """Turn a public dataset into a dataset folder (rgb/NAME + depth/NAME.png, millimetres)."""
    with progress() as bar:
        task = bar.add_task("converting", total=None)
        pairs = networks.convert(
            source,
            path,
            out,
            split=split,
            on_image=lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(f"{pairs} pairs in {out}")
