"""The command that runs a program on an emulated Raspberry Pi: emulate."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from bench_depth.core.screen import say

from ghostdepth import boards
from ghostdepth.commands.app import app


@app.command(context_settings={"ignore_unknown_options": True})
def emulate(
    command: Annotated[list[str], typer.Argument(help="Command to run there, after `--`.")],
    root: Annotated[
        str,
        typer.Option(help="bullseye (Python 3.9, TFLite 2.5), bookworm (3.11) or trixie (3.13)."),
    ] = "bullseye",
) -> None:
    """Run a command on an emulated Raspberry Pi 4; its timings are not those of a Pi.

    The working directory has the same path there; files written elsewhere are lost.
    """
    argv = boards.emulator_command(command, root, lambda line: say(line, error=True))
    # In place of this process, so that signals and the terminal are the command's.
    os.execv(argv[0], argv)  # noqa: S606 (a list, and no shell)
