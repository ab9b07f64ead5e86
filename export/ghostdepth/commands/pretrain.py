"""The command `pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import pretraining
from ghostdepth.commands.app import app, training
from ghostdepth.commands.network import Minutes, Resume


@app.command()
def pretrain(
    images: Annotated[
        list[Path], typer.Option(metavar="DIR", help="Folder of images; may be given repeatedly.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    config: Annotated[
        str, typer.Option(help="Config whose network's encoder is pretrained, or a YAML file.")
    ] = "ghostnet-s",
    method: Annotated[
        str | None,
        typer.Option(help="skip-gram, cbow or features.", show_default="skip-gram"),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="For features: checkpoint folder or timm name.", show_default="efficientnet-lite0"
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.", show_default="30")] = None,
    minutes: Minutes = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the pretraining: window=5."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights, codebook, order and negatives.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the checkpoint.", show_default="ghostdepth-CONFIG")
    ] = None,
    note: Annotated[
        str, typer.Option(help="Description of the images, and their terms of use.")
    ] = "",
    workers: Annotated[int, typer.Option(help="Processes that load images.")] = 1,
    resume: Resume = False,
) -> None:
    """Pretrain an encoder on unlabelled images; then train --init. If interrupted, add --resume."""
    options = locals()
    from ghostdepth_train.run_folder import first_process

    with training("pretraining") as callbacks:
        best = pretraining.pretrain(**options, **callbacks)
    if first_process():
        say(best)
