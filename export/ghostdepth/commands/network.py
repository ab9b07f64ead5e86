"""The verbs about a network and its data: train, check, evaluate, summary, convert."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.errors import refuse_warnings
from bench_depth.core.screen import counted, say

from ghostdepth import datasets, networks
from ghostdepth.commands.app import (
    CheckpointFolder,
    Config,
    app,
    counting,
    dataset_folder,
    output_file,
    training,
)

Data = Annotated[
    Path,
    typer.Option(help="Dataset folder, or a folder with train/ and val/.", callback=dataset_folder),
]
Val = Annotated[
    Path | None,
    typer.Option(
        help="Dataset folder for validation.",
        show_default="DATA/val, or the last tenth",
        callback=dataset_folder,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the config: augment.flip=0."),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Pause after the last epoch that fits; --resume continues."),
]
Patience = Annotated[
    int | None, typer.Option(help="End after so many evaluations without a better one.")
]
Fraction = Annotated[float, typer.Option(help="Fraction of the training pairs, evenly spaced.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with code 4 where there are warnings.")
]
Workers = Annotated[int, typer.Option(help="Processes that load data.")]
Board = Annotated[str, typer.Option(help="rpi4, rpi4-1800, rpi5 or zero2.")]
Runtime = Annotated[
    str, typer.Option(help="2.5 (TensorFlow Lite), litert, or onnxruntime (.onnx).")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")]


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    config: Config = "ghostnet-s",
    val: Val = None,
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs.", show_default="the config's")
    ] = None,
    minutes: Minutes = None,
    patience: Patience = None,
    fraction: Fraction = 1.0,
    settings: Settings = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of weights, order and augmentation.", show_default="the config's"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the checkpoint.", show_default="ghostdepth-CONFIG")
    ] = None,
    note: Annotated[str, typer.Option(help="Description of the data, and its terms of use.")] = "",
    imagenet: Annotated[
        str | None,
        typer.Option(help="Encoder weights: a file, efficientnet-lite0 to -lite2, or a timm name."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint folder, or a model's name, to start from.")
    ] = None,
    workers: Workers = 1,
    resume: Resume = False,
    strict: Strict = False,
) -> None:
    """Train a network. Killed at any moment, it continues with --resume to the same result."""
    options = locals()
    from ghostdepth_train.run_folder import first_process

    with training("training") as callbacks:
        best = networks.train(**options, **callbacks)
    if first_process():
        say(best)


@app.command()
def check(
    data: Annotated[
        Path,
        typer.Argument(
            help="Dataset folder, a folder with train/ and val/, or NYU, TUM, KITTI or DIODE.",
            callback=dataset_folder,
        ),
    ],
    strict: Strict = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with sixteen pairs.", callback=output_file),
    ] = None,
) -> None:
    """Check a dataset: pairs, sizes, distances, and what looks implausible."""
    with counting("reading") as on_image:
        surveys = datasets.check(data, html=html, on_image=on_image)
    codes: list[str] = []
    for dataset, survey in surveys:
        findings = survey.findings()
        warnings = [finding.line for finding in findings] or ["nothing looks implausible"]
        for line in (dataset.label, *survey.lines(), *warnings):
            say(line)
        codes += [finding.code for finding in findings]
    if html is not None:
        say(f"page: {html}")
    # After the figures, which an error of the function would leave out.
    refuse_warnings(codes, strict)


@app.command()
def evaluate(
    checkpoint: CheckpointFolder,
    data: Annotated[Path, typer.Option(help="Dataset folder.", callback=dataset_folder)],
    align: Annotated[str, typer.Option(help="none, median or log-affine.")] = "none",
    hfov: Annotated[
        float | None,
        typer.Option(
            help="Horizontal field of view of the data's camera in degrees.",
            show_default="that of the training data",
        ),
    ] = None,
    strict: Strict = False,
) -> None:
    """Print a checkpoint's accuracy on a dataset folder: RMSE, si-RMSE, delta_1 and others."""
    from bench_depth.core.dataset import list_pairs

    metrics = networks.evaluate(
        checkpoint, data, align, hfov=hfov, strict=strict, log=partial(say, error=True)
    )
    say(f"{counted(len(list_pairs(data)), 'image')}, alignment: {align}")
    for key, value in metrics.to_dict().items():
        unit = {"rmse": " m", "dbe_acc": " px", "dbe_comp": " px"}.get(key, "")
        say(f"{key:11} {value:.4f}{unit}")


@app.command()
def summary(
    config: Config = "ghostnet-s",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint folder, or a model's name, instead of a config.")
    ] = None,
) -> None:
    """Print parameters, MACs and activations, layer by layer and in sum."""
    from ghostdepth_export.host.screen import Screen
    from rich.table import Table

    rows = networks.summary(config, checkpoint)
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
    table.add_row("sum", counted(len(rows), "layer"), "", f"{sums[0]:,}", f"{sums[1]:,}", total)
    Screen(pipe_width=120).print(table)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="nyu, tum, kitti or diode.")],
    path: Annotated[Path, typer.Argument(help="The source's file or folder.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to write.")],
    split: Annotated[str | None, typer.Option(help="nyu: train, test; kitti: train, val.")] = None,
) -> None:
    """Turn a public dataset into a dataset folder (rgb/NAME + depth/NAME.png, millimetres)."""
    with counting("converting") as on_image:
        pairs = datasets.convert(source, path, out, split=split, on_image=on_image)
    say(f"{counted(pairs, 'pair')} in {out}")
