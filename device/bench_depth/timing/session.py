"""One model file, loaded and ready to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import read_rgb
from bench_depth.machine import memory
from bench_depth.model.contract import ModelContract, read_contract, read_model_bytes
from bench_depth.model.description import Description
from bench_depth.model.postprocess import to_depth
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import LoadedModel, Runtime
from bench_depth.model.signature import Signature, check_signature
from bench_depth.timing.measure import Timing, TimingPlan, summarize, time_once

# Whole frames that are timed, of the runs that are: their small stages vary little.
_FRAMES_PER_RUN = 0.2
_LEAST_FRAMES = 10


@dataclass(frozen=True)
class Job:
    """What is to be measured.

    Attributes:
        path: The model file.
        runtime: What runs it.
        description: What was said of the model besides the file; None for nothing.
        need_depth: Whether the model must give a depth map; else it may be timed alone.
        threads: Of the runtime.
        label: How it is called on the screen: the file's name, with the threads where they differ.
    """

    path: Path
    runtime: Runtime
    description: Optional[Description]
    need_depth: bool
    threads: int
    label: str


@dataclass(frozen=True)
class Session:
    """A loaded model that has run once.

    Attributes:
        job: What it was made from.
        data: The file.
        contract: What the file says of itself.
        model: The loaded model; its input is a photo.
        signature: What it takes and gives.
        load_ms: From the file to a model that can run.
        first_ms: The first run.
        peak_rss_bytes: The most memory the process held by then, less what other loaded models
            hold.
    """

    job: Job
    data: bytes
    contract: Optional[ModelContract]
    model: LoadedModel
    signature: Signature
    load_ms: float
    first_ms: float
    peak_rss_bytes: int


def open_session(job: Job, others_bytes: int = 0) -> Session:
    """Loads a model, gives it a photo and runs it once.

    Args:
        job: Which.
        others_bytes: What models that were loaded before hold.

    Raises:
        UserError: The file is damaged, the runtime cannot run it, or it takes or gives something
            else than a photo and a depth map.
    """
    data, contract = read_model_bytes(job.path), read_contract(job.path)
    memory.reset_peak()
    loaded: list[LoadedModel] = []
    load_ms = time_once(lambda: loaded.append(job.runtime.load(job.path, job.threads)))
    model = loaded[0]
    signature = check_signature(
        job.path, model, contract, job.description, need_depth=job.need_depth
    )
    model.set_input(to_input(sample_photo(), signature))
    first_ms = time_once(model.invoke)
    peak = memory.peak_rss_bytes() - others_bytes
    return Session(job, data, contract, model, signature, load_ms, first_ms, peak)


def sample_photo() -> NDArray[np.uint8]:
    """The photo that models are timed on: 480x640x3 uint8 RGB."""
    with resources.as_file(resources.files("bench_depth") / "timing" / "sample.jpg") as path:
        return read_rgb(path)


def time_frames(
    session: Session, plan: TimingPlan, clock: Callable[[], int] = time.perf_counter_ns
) -> dict[str, Timing]:
    """Times whole frames: from a photo of the camera's size to depth, and what is around the run.

    Args:
        session: The model.
        plan: A fifth of its runs, at least ten where it wants as many, are made.
        clock: Monotonic, nanoseconds.

    Returns:
        `preprocess`, `postprocess` and `total`.
    """
    photo, model, signature = sample_photo(), session.model, session.signature
    count = max(round(plan.min_runs * _FRAMES_PER_RUN), min(plan.min_runs, _LEAST_FRAMES), 1)
    times: dict[str, list[int]] = {"preprocess": [], "postprocess": [], "total": []}
    for _ in range(count):
        begin = clock()
        model.set_input(to_input(photo, signature))
        ready = clock()
        model.invoke()
        done = clock()
        to_depth(model.output(), signature)
        end = clock()
        times["preprocess"].append(ready - begin)
        times["postprocess"].append(end - done)
        times["total"].append(end - begin)
    return {stage: Timing(ns, summarize(ns)) for stage, ns in times.items()}
