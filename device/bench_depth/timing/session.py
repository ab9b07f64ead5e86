"""One model file, loaded and ready to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import read_rgb
from bench_depth.machine import memory
from bench_depth.model.contract import ModelContract, read_contract
from bench_depth.model.description import Description
from bench_depth.model.identity import Identity, identify
from bench_depth.model.postprocess import to_depth
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import LoadedModel, Runtime
from bench_depth.model.signature import Signature, check_signature
from bench_depth.plausibility.output_checks import output_codes
from bench_depth.timing.measure import Timing, TimingPlan, no_limit, summarize, time_once

# Whole frames that are timed per counted run: pre- and postprocessing vary little.
_FRAMES_PER_RUN = 0.2
_MIN_FRAMES = 10


@dataclass(frozen=True)
class Job:
    """One model to measure with one number of threads.

    Attributes:
        path: Path of the model file.
        runtime: Runtime to run the model with.
        description: Description of the model besides its file; None for none.
        need_depth: Whether the model must output a depth map; otherwise it may be timed only.
        threads: Number of threads of the runtime.
        label: Name on the screen: the file's name, with the threads where they differ.
        passed_over: Whether an installed runtime before this one does not work here.
    """

    path: Path
    runtime: Runtime
    description: Optional[Description]
    need_depth: bool
    threads: int
    label: str
    passed_over: bool = False


@dataclass(frozen=True)
class Session:
    """A loaded model that has run once.

    Attributes:
        job: The job that the session was opened for.
        identity: Size and checksum of the model.
        contract: The model contract in the file; None where it has none.
        model: The loaded model, with a photo as its input.
        signature: Input and output of the model.
        input: Shape and dtype of the input that ran, like `1x480x640x3 uint8`.
        output: Shape and dtype of the output of that run.
        load_ms: Time to load the model, milliseconds.
        first_ms: Time of the first run, milliseconds.
        peak_rss_bytes: Largest resident size of the process until then, less that of other loaded
            models.
        first_codes: Codes of `bench_depth.plausibility.output_checks` about the first output.
    """

    job: Job
    identity: Identity
    contract: Optional[ModelContract]
    model: LoadedModel
    signature: Signature
    input: str
    output: str
    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    first_codes: Sequence[str] = ()

    def output_codes(self) -> list[str]:
        """Codes about the first output and the latest, which a state may have made another."""
        latest = _output_codes(self.model, self.signature)
        return list(dict.fromkeys([*self.first_codes, *latest]))


def open_session(job: Job, others_bytes: int = 0) -> Session:
    """Loads a model, sets a photo as its input and runs it once.

    Args:
        job: The model and how to run it.
        others_bytes: Memory of the models that were loaded before, bytes.

    Raises:
        UserError: The file is damaged, the runtime cannot run it, or its input is not a photo or
            its output not a depth map.
    """
    identity, contract = identify(job.path), read_contract(job.path)
    memory.reset_peak()
    loaded: list[LoadedModel] = []
    load_ms = time_once(lambda: loaded.append(job.runtime.load(job.path, job.threads)))
    model = loaded[0]
    signature = check_signature(
        job.path, model, contract, job.description, need_depth=job.need_depth
    )
    picture = to_input(sample_photo(), signature)
    model.set_input(picture)
    first_ms = time_once(model.invoke)
    peak = memory.peak_rss_bytes() - others_bytes
    # The file may leave sizes open; what ran is known only now.
    output = replace(model.outputs[signature.output or 0], shape=model.output().shape)
    return Session(
        job=job,
        identity=identity,
        contract=contract,
        model=model,
        signature=signature,
        input=str(replace(model.inputs[0], shape=picture.shape)),
        output=str(output),
        load_ms=load_ms,
        first_ms=first_ms,
        peak_rss_bytes=peak,
        first_codes=_output_codes(model, signature),
    )


def _output_codes(model: LoadedModel, signature: Signature) -> list[str]:
    if signature.output is None:
        return []
    return output_codes(to_depth(model.output(), signature), metric=not signature.relative)


def sample_photo() -> NDArray[np.uint8]:
    """Returns the photo that models are timed on, 480x640x3 uint8 RGB."""
    with resources.as_file(resources.files("bench_depth") / "timing" / "sample.jpg") as path:
        return read_rgb(path)


def time_frames(
    session: Session, plan: TimingPlan, arm: Callable[[], None] = no_limit
) -> dict[str, Timing]:
    """Times whole frames, from a photo of the camera's size to depth, and their stages.

    Args:
        session: The loaded model.
        plan: A fifth of its minimum number of runs is timed, but at least ten (or all, if fewer).
        arm: Called before each frame, outside the timed interval, to give it a time limit.

    Returns:
        Times of `preprocess`, `postprocess` and `total`.
    """
    photo, model, signature = sample_photo(), session.model, session.signature
    count = max(round(plan.min_runs * _FRAMES_PER_RUN), min(plan.min_runs, _MIN_FRAMES), 1)
    times: dict[str, list[int]] = {"preprocess": [], "postprocess": [], "total": []}
    for _ in range(count):
        arm()
        begin = time.perf_counter_ns()
        model.set_input(to_input(photo, signature))
        ready = time.perf_counter_ns()
        model.invoke()
        done = time.perf_counter_ns()
        to_depth(model.output(), signature)
        end = time.perf_counter_ns()
        times["preprocess"].append(ready - begin)
        times["postprocess"].append(end - done)
        times["total"].append(end - begin)
    return {stage: Timing(ns, summarize(ns)) for stage, ns in times.items()}
