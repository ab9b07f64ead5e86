"""This machine in the place of a Pi behind ssh: a login of it, and bundles that run here.

The installer, pip and what deploying runs over ssh are the real ones; bench-depth is a stand-in.
"""

from __future__ import annotations

import dataclasses
import functools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_depth.results.records import save
from ghostdepth_export.host.wheels import WheelTarget
from ghostdepth_export.ship.bundle import TARGETS
from ghostdepth_export.ship.bundle.manifest import seal
from ghostdepth_export.ship.deploy import deployment, fleet

from tests.export.results_files import results_of
from tests.export.ship.bundle_pi import HERE, PYTHON, make_folder, make_wheel


def login(folder: Path, home: Path) -> tuple[list[str], str]:
    """A login shell that lacks its last argument, and where it looks for programs.

    Args:
        folder: Where what a Pi has and this machine may lack is put.
        home: The login's home folder.
    """
    folder.mkdir()
    for name in ("python3", f"python{PYTHON}"):
        python = getattr(sys, "_base_executable", sys.executable)
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(python)} "$@"\n')
        (folder / name).chmod(0o755)
    # Made once: what it says of this machine's state would make each bundle another one.
    save(results_of("MODEL", 20.0), folder / "results.json")
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    places = [f"HOME={home}", f"PATH={home}/.fake:{path}"]
    return ["env", "-C", str(home), "-i", *places, "sh", "-c"], path


def main(folder: str) -> None:
    """`ghostdepth` whose bundles are for this machine; takes the folder of `login`."""
    from ghostdepth.commands import main as command

    TARGETS.clear()
    TARGETS["here"] = HERE
    TARGETS["newer"] = dataclasses.replace(HERE, system=WheelTarget("3.13", 41))
    results = (Path(folder) / "results.json").read_text()
    fleet.build_bundle = functools.partial(build_bundle, results)
    deployment._PAUSE_SECONDS = 0.1
    command()


def build_bundle(results: str, target: str, models: Sequence[Path], out: Path, **_: Any) -> str:
    """In the place of the real one, whose wheels are for Pis."""
    wheels = make_folder(out)
    make_wheel(wheels, "1.0", results=results)
    for model in models:
        (out / "models" / model.name).write_bytes(model.read_bytes())
    return seal(out, target, TARGETS[target])
