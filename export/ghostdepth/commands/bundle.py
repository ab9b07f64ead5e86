"""The verb that makes a bundle for a Raspberry Pi without network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import model_files
from ghostdepth.commands.app import app


@app.command()
def bundle(
    target: Annotated[str, typer.Option(help="rpi4-bullseye, rpi4-bookworm or rpi4-trixie.")],
    models: Annotated[list[Path], typer.Option(help="Model files, or names of released models.")],
    more: Annotated[list[Path] | None, typer.Argument(hidden=True, metavar="FILE")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle.", show_default="runs/bundle/TARGET")
    ] = None,
    samples: Annotated[
        bool, typer.Option(help="Include the sample photos with depth (5 MB).")
    ] = True,
) -> None:
    """Put models, bench-depth and all it needs into a folder that a Pi installs offline."""
    from ghostdepth_export.host.checkout import SAMPLES

    folder = out or Path("runs/bundle") / target
    model_files.bundle(
        target,
        [*models, *(more or [])],  # --models A B C gives A to the option, B and C to the argument.
        folder,
        samples=SAMPLES if samples else None,
        log=lambda line: say(line, error=True),
    )
    say(f"copy it to the Pi and run its `install`: sh {folder.name}/install", error=True)
    say(folder)
