"""Profiles a model in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import read_json, write_json
from bench_depth.core.jsonable import build
from bench_depth.core.temporary import fresh_folder
from bench_depth.machine.guard import CRASHES, HANG
from bench_depth.model.preprocess import to_input
from bench_depth.model.signature import Signature
from bench_depth.timing.profiling.child import ANSWER, PICTURE, REQUEST, Request
from bench_depth.timing.profiling.ops import Profile
from bench_depth.timing.session import Job, sample_photo

# The child imports modules from the same paths as this process.
_CODE = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from bench_depth.timing.profiling.child import main
sys.exit(main(sys.argv[2]))
"""


def profile(job: Job, signature: Signature, seconds: float) -> Profile:
    """Times the ops of a model, on the photo that models are timed on.

    Args:
        job: The model, its runtime and number of threads.
        signature: Input and output of the model.
        seconds: Duration, seconds, not including the time to load the model.

    Raises:
        UserError: The ops cannot be timed, or the process crashed or hung (exit code 3).
    """
    with fresh_folder("bench-depth-profile-") as folder:
        np.save(folder / PICTURE, to_input(sample_photo(), signature))
        request = Request(str(job.path.resolve()), job.runtime.name, job.threads, seconds)
        write_json(folder / REQUEST, dataclasses.asdict(request))
        _start(folder, HANG + 2 * seconds)
        return build(Profile, read_json(folder / ANSWER))


def _start(folder: Path, limit: float) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CODE, json.dumps(sys.path), str(folder)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise UserError("the runtime hung while its ops were timed", MODEL_FAILED) from None
    if done.returncode == 0:
        return
    crash = CRASHES.get(-done.returncode)
    if crash is not None:
        raise UserError(f"the runtime {crash} while its ops were timed", MODEL_FAILED)
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
    raise UserError(lines[-1].removeprefix("bench-depth: "), MODEL_FAILED)
