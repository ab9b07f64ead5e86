"""The verb that makes a network smaller and faster: compress."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ghostdepth.commands.app import CheckpointFolder, app, progress
from ghostdepth.commands.network import Data, Val

if TYPE_CHECKING:
    from ghostdepth_train.checkpoint import Checkpoint


@app.command()
def compress(
    checkpoint: CheckpointFolder,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a YAML file: a list of steps.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    val: Val = None,
    photos: Annotated[
        Path | None, typer.Option(help="Photos without depth, for distillation: DIR/rgb.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of every step's own.")] = None,
    note: Annotated[
        str | None,
        typer.Option(
            help="What the result was trained on, and its terms.",
            show_default="the checkpoint's line, then the pairs and photos",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    target_ms: Annotated[
        float | None, typer.Option(help="Prune until the file takes no longer, as predicted.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Of the runtime, for --target-ms.")] = 4,
    target_file: Annotated[
        str, typer.Option(help="For --target-ms: int8 or fp32, a .tflite file.")
    ] = "int8",
) -> None:
    """Prune, distil and quantise a checkpoint by a recipe. Killed, it goes on with --resume."""
    from ghostdepth_export.pi4.budget import FileLatency
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.compress import Work, load_recipe, run_recipe, with_budget
    from ghostdepth_train.compress.distil import DistilConfig
    from ghostdepth_train.config import parse_config
    from ghostdepth_train.data import read_split
    from ghostdepth_train.pruning.latency import Budget

    steps = load_recipe(recipe, seed)
    if target_ms is not None:
        wanted = {"ms": target_ms, "threads": threads, "file": target_file}
        steps = with_budget(steps, parse_config(Budget, wanted, "the time budget"), recipe)
    split = read_split(data, val)
    sees_photos = any(isinstance(step, DistilConfig) and step.photos for step in steps)
    now = f"{len(split.train)} pairs of {data.resolve().name}"
    if photos is not None and sees_photos:
        now += f" and photos without depth of {photos.resolve().name}"
    with progress("loss {task.fields[loss]:.4f}, {task.fields[speed]:.0f} img/s") as bar:
        task = bar.add_task("compressing", total=None, loss=float("nan"), speed=0.0)

        def step(done: int, total: int, loss: float, images_per_second: float) -> None:
            bar.update(task, completed=done, total=total, loss=loss, speed=images_per_second)

        # A line stays one in a log too, and the brackets in a path are no markup.
        say = partial(bar.console.print, soft_wrap=True, markup=False, highlight=False)

        def epoch(row: dict[str, float]) -> None:
            if "si_rmse" in row:
                say(f"  epoch {row['epoch']:.0f}: si-RMSE {row['si_rmse']:.4f}")

        work = Work(
            out=out,
            split=split,
            training_data=note or _trained_on(load_checkpoint(checkpoint), now),
            photos=photos,
            workers=workers,
            resume=resume,
            progress=step,
            report=epoch,
            say=say,
            clock=FileLatency(log=say),
        )
        result = run_recipe(checkpoint, steps, work)
    print(result)


def _trained_on(start: Checkpoint, now: str) -> str:
    """What a result was trained on: all that the start was, then what it is given now."""
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
    photos: Annotated[Path, typer.Option(help="Photos without depth: DIR/rgb.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the labels go.", show_default="PHOTOS/pseudo_depth")
    ] = None,
) -> None:
    """Label photos with a teacher's depth, to distil from. Killed, it goes on where it was."""
    import torch
    from ghostdepth_train.distillation import load_teacher
    from ghostdepth_train.distillation.labelling import label_photos
    from ghostdepth_train.distillation.unlabelled import LABELS, list_photos

    out = photos / LABELS if out is None else out
    found = list_photos(photos, out)
    loaded = load_teacher(teacher, "cuda" if torch.cuda.is_available() else "cpu")
    with progress("{task.completed} of {task.total}") as bar:
        task = bar.add_task("labelling", total=len(found))
        written = label_photos(
            loaded, found, out, lambda done, total: bar.update(task, completed=done)
        )
    print(f"{out}: {written} new labels, {len(found)} in all")
