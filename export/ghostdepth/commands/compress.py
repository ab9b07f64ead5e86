"""The commands `compress` and `label`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth.commands.app import CheckpointFolder, app, progress
from ghostdepth.commands.network import Data, Val

if TYPE_CHECKING:
    from ghostdepth_train.checkpoint import Checkpoint

# The former spelling of --unlabelled.
FormerUnlabelled = Annotated[Path | None, typer.Option("--photos", hidden=True)]


@app.command()
def compress(
    checkpoint: CheckpointFolder,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a YAML file: a list of steps.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    val: Val = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Unlabelled images for distillation: DIR/rgb.")
    ] = None,
    photos: FormerUnlabelled = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every step.")] = None,
    note: Annotated[
        str | None,
        typer.Option(
            help="What the result was trained on, and its terms.",
            show_default="the checkpoint's line, then the pairs and unlabelled images",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    target_ms: Annotated[
        float | None, typer.Option(help="Prune to this predicted latency of the file.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime, for --target-ms.")] = 4,
    target_file: Annotated[
        str, typer.Option(help="For --target-ms: int8 or fp32, a .tflite file.")
    ] = "int8",
) -> None:
    """Prune, distil and quantize a checkpoint by a recipe. If interrupted, add --resume."""
    from ghostdepth_export.pi4.budget import FileLatency
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.compress import Work, load_recipe, run_recipe, with_budget
    from ghostdepth_train.compress.distil import DistilConfig
    from ghostdepth_train.config import parse_config
    from ghostdepth_train.data import read_split
    from ghostdepth_train.pruning.latency import LatencyBudget

    steps = load_recipe(recipe, seed)
    if target_ms is not None:
        wanted = {"ms": target_ms, "threads": threads, "file": target_file}
        steps = with_budget(steps, parse_config(LatencyBudget, wanted, "the time budget"), recipe)
    split = read_split(data, val)
    unlabelled = unlabelled or photos
    distils = any(isinstance(step, DistilConfig) and step.unlabelled for step in steps)
    now = f"{len(split.train)} pairs of {data.resolve().name}"
    if unlabelled is not None and distils:
        now += f" and unlabelled images of {unlabelled.resolve().name}"
    with progress("loss {task.fields[loss]:.4f}, {task.fields[speed]:.0f} img/s") as bar:
        task = bar.add_task("compressing", total=None, loss=float("nan"), speed=0.0)

        def step(done: int, total: int, loss: float, images_per_second: float) -> None:
            bar.update(task, completed=done, total=total, loss=loss, speed=images_per_second)

        # No wrapping in logs.
        log = partial(bar.console.print, soft_wrap=True, highlight=False)

        def epoch(row: dict[str, float]) -> None:
            if "si_rmse" in row:
                log(f"  epoch {row['epoch']:.0f}: si-RMSE {row['si_rmse']:.4f}")

        work = Work(
            out=out,
            split=split,
            training_data=note or _trained_on(load_checkpoint(checkpoint), now),
            unlabelled=unlabelled,
            workers=workers,
            resume=resume,
            on_step=step,
            on_epoch=epoch,
            log=log,
            predict_latency=FileLatency(log=log),
        )
        result = run_recipe(checkpoint, steps, work)
    say(result)


def _trained_on(start: Checkpoint, now: str) -> str:
    """The training data of a result: that of the initial checkpoint, then that of this run."""
    said = start.training_data
    return said if said.endswith(now) else f"{said}; then {now}"


@app.command()
def label(
    teacher: Annotated[
        list[str],
        typer.Option(
            help="Checkpoint folder, .onnx or .tflite file, or transformers:NAME_OR_FOLDER. "
            "Several give their mean."
        ),
    ],
    unlabelled: Annotated[
        Path | None, typer.Option(help="Unlabelled images: DIR/rgb.", show_default=False)
    ] = None,
    photos: FormerUnlabelled = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the labels.", show_default="UNLABELLED/pseudo_depth"),
    ] = None,
) -> None:
    """Label images with a teacher's depth, for distillation. If interrupted, start it again."""
    images = unlabelled or photos
    if images is None:
        raise typer.BadParameter("give the folder of unlabelled images: --unlabelled DIR")
    import torch
    from ghostdepth_train.distillation import load_teacher
    from ghostdepth_train.distillation.labelling import label_images
    from ghostdepth_train.distillation.unlabelled import LABEL_FOLDER, list_unlabelled

    out = images / LABEL_FOLDER if out is None else out
    found = list_unlabelled(images, out)
    loaded = load_teacher(teacher, "cuda" if torch.cuda.is_available() else "cpu")
    with progress("{task.completed} of {task.total}") as bar:
        task = bar.add_task("labelling", total=len(found))
        written = label_images(
            loaded, found, out, lambda done, total: bar.update(task, completed=done)
        )
    say(f"{out}: {written} new labels, {len(found)} in all")
