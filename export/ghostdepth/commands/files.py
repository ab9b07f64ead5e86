"""The commands that make model files: export, demo."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from bench_depth.core.errors import UserError
from bench_depth.core.screen import printable, say, show
from ghostdepth_export.host.checkout import SAMPLES

from ghostdepth import model_files
from ghostdepth.commands.app import CheckpointFolder, app, dataset_folder, progress


@app.command()
def export(
    checkpoint: CheckpointFolder,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    calibration: Annotated[
        Path,
        typer.Option(
            help="Dataset folder to calibrate on.",
            show_default="the project's samples",
            callback=dataset_folder,
        ),
    ] = SAMPLES,
    runtime: Annotated[str, typer.Option(help="Oldest TFLite that must run the files.")] = "2.5",
    camera: Annotated[str, typer.Option(help="Image size, WIDTHxHEIGHT.")] = "640x480",
    output_size: Annotated[
        str | None,
        typer.Option(
            help="Size of the depth map, WIDTHxHEIGHT or `network` for the network's own, "
            "which is faster; default: the image size."
        ),
    ] = None,
    hfov: Annotated[
        float | None,
        typer.Option(
            help="Horizontal field of view of the camera, degrees: the files give its metres.",
            show_default="that of the training data",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 4 where there are warnings.")
    ] = False,
) -> None:
    """Write .tflite (fp32, fp16, dynamic, int8) and .onnx (fp32, int8), verified against torch."""
    depth_size: tuple[int, int] | Literal["network"] | None = None
    if output_size == "network":
        depth_size = "network"
    elif output_size is not None:
        depth_size = _size("--output-size", output_size)
    with progress() as bar:
        task = bar.add_task("export", total=None)
        files = model_files.export(
            checkpoint,
            out,
            camera=_size("--camera", camera),
            output_size=depth_size,
            hfov=hfov,
            calibration=calibration,
            runtime=runtime,
            strict=strict,
            log=lambda text: bar.update(task, description=text),
            warn=partial(say, error=True),
        )
    for path in files:
        say(path)


def _size(option: str, text: str) -> tuple[int, int]:
    """`640x480` -> height and width."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UserError(f"{option} {text!r} is not a size; write it as 640x480")
    return int(height), int(width)


@app.command()
def demo(
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint folder, or a model's name.",
            show_default="the most accurate model that is fast on a Pi; see `models`",
        ),
    ] = None,
    samples: Annotated[
        Path,
        typer.Option(
            help="Dataset folder to measure on.",
            show_default="the project's samples",
            callback=dataset_folder,
        ),
    ] = SAMPLES,
    out: Annotated[Path, typer.Option(help="Folder for the files, results and page.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Export, verify and measure a released model; write a page with images and a table."""
    from bench_depth.report.table import render
    from ghostdepth_export.pages.demo import STEPS
    from rich.markup import escape

    with progress() as bar:
        task = bar.add_task("demo", total=STEPS)

        def log(line: str) -> None:
            bar.update(task, description=escape(printable(line)), advance=1)
            if bar.disable:
                say(line, error=True)

        done = model_files.demo(checkpoint, samples, out, log=log)
    show(render(done.results, sys.stdout.isatty()) + "\n")
    if done.unpredicted:
        say(f"latency on a Raspberry Pi 4 is not predicted: {done.unpredicted}")
    say(f"page: {done.page}")
