"""The commands `compress` and `label`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import compression
from ghostdepth.commands.app import CheckpointFolder, app, counting, training
from ghostdepth.commands.network import (
    Data,
    Fraction,
    Minutes,
    Patience,
    Resume,
    Strict,
    Val,
    Workers,
)

# The former spelling of --unlabelled.
FormerUnlabelled = Annotated[Path | None, typer.Option("--photos", hidden=True)]


def _recipe_names() -> list[str]:
    from ghostdepth_train.compress.recipe import recipe_names

    return recipe_names()


@app.command()
def compress(
    checkpoint: CheckpointFolder,
    recipe: Annotated[
        str,
        typer.Option(
            help="prune, distil, half (of the MACs, distilled), qat, int8, finetune, finish, "
            "average, xxs, snip, lottery or adder; or a YAML file: a list of steps.",
            autocompletion=_recipe_names,
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    val: Val = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Unlabelled images for distillation: DIR/rgb.")
    ] = None,
    photos: FormerUnlabelled = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of stored labels.", show_default="UNLABELLED/pseudo_depth"),
    ] = None,
    teacher: Annotated[
        list[str] | None, typer.Option(help="Teachers instead of the recipe's; see label.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every training.")] = None,
    minutes: Minutes = None,
    patience: Patience = None,
    fraction: Fraction = 1.0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of a step: distil.trust=0.2."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every step.")] = None,
    note: Annotated[
        str | None,
        typer.Option(
            help="Training data of the result, and its terms of use.",
            show_default="the checkpoint's line, then the pairs and unlabelled images",
        ),
    ] = None,
    workers: Workers = 1,
    resume: Resume = False,
    target_ms: Annotated[
        float | None, typer.Option(help="Prune to this predicted latency, milliseconds.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime, for --target-ms.")] = 4,
    target_file: Annotated[
        str, typer.Option(help="For --target-ms: exported file, int8 or fp32.")
    ] = "int8",
    board: Annotated[
        str, typer.Option(help="For --target-ms: rpi4, rpi4-1800, rpi5 or zero2.")
    ] = "rpi4",
    runtime: Annotated[
        str,
        typer.Option(
            help="For --target-ms: 2.5 (TensorFlow Lite), litert, or onnxruntime (.onnx)."
        ),
    ] = "2.5",
    strict: Strict = False,
) -> None:
    """Prune, distil and quantize a checkpoint by a recipe. If interrupted, add --resume."""
    options = locals()
    options["unlabelled"] = unlabelled or photos
    del options["photos"]
    with training("compressing") as callbacks:
        say(compression.compress(**options, **callbacks))


@app.command()
def label(
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoint folder, .onnx or .tflite file, or transformers:NAME_OR_FOLDER. "
            "Several give their mean."
        ),
    ] = None,
    stored: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folders of labels instead of teachers, at least two: their mean, each at the "
            "scale of the first."
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Unlabelled images: DIR/rgb.", show_default=False)
    ] = None,
    photos: FormerUnlabelled = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the labels.", show_default="UNLABELLED/pseudo_depth"),
    ] = None,
    strict: Strict = False,
) -> None:
    """Label images with a teacher's depth, for distillation. If interrupted, start it again."""
    images = unlabelled or photos
    if images is None:
        raise typer.BadParameter("give the folder of unlabelled images: --unlabelled DIR")
    with counting("labelling") as on_image:
        labels = compression.label(
            teacher,
            images,
            out,
            stored=stored,
            strict=strict,
            on_image=on_image,
            log=partial(say, error=True),
        )
    say(f"{labels.folder}: {labels.written} new labels, {labels.total} in all")
