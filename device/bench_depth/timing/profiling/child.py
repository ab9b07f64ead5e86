"""The process in which ops are timed, started by `run.profile`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench_depth.core.errors import exit_code
from bench_depth.core.files import read_json, write_json
from bench_depth.core.jsonable import build
from bench_depth.machine.guard import end_with_parent
from bench_depth.model.runtimes import choose
from bench_depth.model.runtimes.onnx import OnnxRuntime
from bench_depth.model.runtimes.tflite import TfliteRuntime
from bench_depth.timing.profiling.ops import Profile

REQUEST, PICTURE, ANSWER = "request.json", "picture.npy", "profile.json"


@dataclass(frozen=True)
class Request:
    """The model to profile and how.

    Attributes:
        model: Path of the model file.
        runtime: Name of the runtime, one of `runtimes.RUNTIMES`.
        threads: Number of threads of the runtime.
        seconds: Duration in seconds, including the runs whose ops are not timed.
    """

    model: str
    runtime: str
    threads: int
    seconds: float


def main(folder: str) -> int:
    """Serves the request in a folder and writes the profile there.

    Returns:
        The exit code; an error is one line on standard error.
    """
    end_with_parent()
    return exit_code("bench-depth", lambda: _answer(Path(folder)))


def _answer(folder: Path) -> int:
    request = build(Request, read_json(folder / REQUEST))
    write_json(folder / ANSWER, dataclasses.asdict(_profile(request, folder)))
    return 0


def _profile(request: Request, folder: Path) -> Profile:
    from bench_depth.timing.profiling.onnx import profile_onnx
    from bench_depth.timing.profiling.tflite import profile_tflite

    path, picture = Path(request.model), np.load(folder / PICTURE)
    runtime = choose(path, request.runtime)
    if isinstance(runtime, OnnxRuntime):
        return profile_onnx(runtime, path, request.threads, picture, request.seconds)
    assert isinstance(runtime, TfliteRuntime)
    return profile_tflite(runtime, path, request.threads, picture, request.seconds)
