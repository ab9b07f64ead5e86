"""Deploys whose connection is cut at a random byte; the next one must put everything right."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from corpus import ROOT, Corpus
from damage import pick
from processes import Outcome, left_overs, run

# Beside the `ssh` of the tests, which runs commands here: the chosen connection ends after some
# bytes in one direction, as a cable does that is pulled out.
_CUT = """\
#!/bin/bash
count=$(($(cat '{folder}/count' 2>/dev/null || echo 0) + 1))
echo $count >'{folder}/count'
[ $count = {number} ] || exec '{folder}/whole-ssh' "$@"
{pipe}
echo 'client_loop: send disconnect: Broken pipe' >&2
exit 255
"""
_SENT = "head -c {size} | '{folder}/whole-ssh' \"$@\""
_ANSWERED = """\
'{folder}/whole-ssh' "$@" <&0 > >(head -c {size}; touch '{folder}/cut') &
while kill -0 $! && [ ! -e '{folder}/cut' ]; do sleep 0.05; done
kill $!"""
CONNECTIONS = 12
# rsync itself waits 60 s for the other side.
LIMIT_S = 150.0


def deploys(corpus: Corpus, seed: int, folder: Path) -> str:
    """Deploys to this machine, cut once, and then again; a file must never be half installed."""
    rng = np.random.default_rng(seed)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tests.export.ship.deploy_here import Homes

    homes = Homes(folder)
    ssh = homes.programs / "ssh"
    ssh.rename(folder / "whole-ssh")
    pipe = pick(rng, (_SENT, _ANSWERED)).format(
        size=int(rng.integers(0, 2 ** int(rng.integers(1, 17)))), folder=folder
    )
    number = int(rng.integers(1, CONNECTIONS + 1))
    ssh.write_text(_CUT.format(folder=folder, number=number, pipe=pipe))
    ssh.chmod(0o755)
    model = folder / "m.tflite"
    model.write_bytes(rng.bytes(50_000))
    cut = _deploy(homes, model, folder / "fetched")
    # A cut that the protocol does not notice, behind the last byte, is none.
    if cut.fault:
        return cut.fault
    installed = homes.home("pi@one") / "prefix" / "current" / "models" / model.name
    if installed.exists() and installed.read_bytes() != model.read_bytes():
        return f"half a model is installed after\n{cut.text}"
    (folder / "whole-ssh").replace(ssh)
    whole = _deploy(homes, model, folder / "fetched")
    if whole.code != 0:
        return f"the deploy after the cut fails: {whole.fault or whole.text}\nthe cut:\n{cut.text}"
    incoming = homes.home("pi@one") / "prefix" / "incoming"
    if installed.read_bytes() != model.read_bytes() or incoming.exists():
        return f"not whole after\n{cut.text}\n{whole.text}"
    return left_overs(folder)


def _deploy(homes: Any, model: Path, fetched: Path) -> Outcome:
    from ghostdepth_export.ship.bundle.targets import TARGETS
    from ghostdepth_export.ship.deploy import DeployOptions, deploy, deployment, fleet

    from tests.export.ship.deploy_here import HERE

    def work() -> int:
        from bench_depth.core.errors import exit_code

        os.environ["PATH"] = f"{homes.programs}:{os.environ['PATH']}"
        fleet.build_bundle = homes.build_bundle
        deployment._PAUSE_SECONDS = 0
        TARGETS.clear()
        TARGETS["here"] = HERE
        options = DeployOptions(models=[model], prefix="prefix", results=fetched)
        return exit_code("ghostdepth", lambda: deploy(["pi@one"], options))

    return run(work, LIMIT_S)
