"""The verbs that bring models to Raspberry Pis: bundle, deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from bench_depth.core.errors import INTERRUPTED, UserError
from bench_depth.core.screen import say

from ghostdepth import boards, model_files
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


@app.command()
def deploy(
    hosts: Annotated[list[str], typer.Argument(help="Like pi@raspberrypi.local, for ssh.")],
    models: Annotated[
        list[Path] | None,
        typer.Option(help="A model file, or a released model's name; may be given several times."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Target of `bundle`.", show_default="by the Pi's Python")
    ] = None,
    samples: Annotated[
        bool, typer.Option(help="Send the project's samples and measure accuracy on them.")
    ] = True,
    prefix: Annotated[
        str, typer.Option(help="Folder on the Pi; a relative one starts at its home folder.")
    ] = "ghostdepth",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of ssh.")] = None,
    identity: Annotated[Path | None, typer.Option(help="Private key for ssh.")] = None,
    ssh_config: Annotated[
        Path | None, typer.Option(help="File to use instead of ~/.ssh/config.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder for HOST/results.json.")] = Path(
        "runs/deploy"
    ),
    threads: Annotated[int | None, typer.Option(help="Threads of the runtime.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Warm-up runs of bench-depth.")] = None,
    min_runs: Annotated[int | None, typer.Option(help="Least number of timed runs.")] = None,
    min_time: Annotated[float | None, typer.Option(help="Least seconds of timing.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent; change nothing.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Switch back to the previous version.")
    ] = False,
) -> None:
    """Install models on Raspberry Pis over ssh, measure them there, fetch and show the results."""
    options = locals()
    from ghostdepth_export.host.checkout import SAMPLES

    options |= {"models": models or (), "samples": SAMPLES if samples else None}
    try:
        code = boards.deploy(**options)
    except KeyboardInterrupt:
        # typer would exit silently.
        raise UserError("interrupted; what ran on the Pis was ended", INTERRUPTED) from None
    raise typer.Exit(code)
