"""The results file: its records, with every single time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from bench_depth.accuracy.records import Accuracy
from bench_depth.core.bounds import within
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json
from bench_depth.core.json_text import dumps
from bench_depth.core.jsonable import build
from bench_depth.core.screen import counted
from bench_depth.machine.board import Board, Health
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import Description
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, require_sound
from bench_depth.timing.profiling import Profile
from bench_depth.timing.sustained import Sustained

SCHEMA = "bench-depth-results/1"
# No figure of a measurement is larger: nanoseconds of eleven days, or bytes of a petabyte.
_LARGEST = 1e15
# The timings of a record, in the order of a frame's processing.
STAGES = ("preprocess", "invoke", "postprocess", "total")


@dataclass(frozen=True)
class Context:
    """The conditions that hold for all models of a results file.

    Attributes:
        created: Start of the benchmark, ISO 8601, UTC.
        program: Name and version of the program, like `bench-depth 0.1.0`.
        commit: Commit of the source that the program ran from; None for an installed package.
        python: Version of Python.
        board: The machine.
        threads: Number of threads of the first model; each record has its own.
        warmup: Number of runs before the counted ones.
        min_runs: Smallest number of counted runs.
        min_time: Smallest time spent on counted runs, seconds.
        affinity: Cores that the process was restricted to; None for all.
        interleaved: Whether the models took turns.
    """

    created: str
    program: str
    commit: Optional[str]
    python: str
    board: Board
    threads: int
    warmup: int
    min_runs: int
    min_time: float
    affinity: Optional[list[int]] = None
    interleaved: bool = False


@dataclass(frozen=True)
class RuntimeRecord:
    """The runtime of a model.

    Attributes:
        name: Import name of the runtime.
        version: Version of the runtime.
        xnnpack: Whether XNNPACK ran at least a part of the graph; None where that does not apply or
            is unknown.
        xnnpack_ops: Number of ops that XNNPACK runs, and of all ops of the graph; None where that
            is unknown.
    """

    name: str
    version: str
    xnnpack: Optional[bool]
    xnnpack_ops: Optional[tuple[int, int]] = None


@dataclass(frozen=True)
class ModelRecord:
    """The measurements of one model with one number of threads.

    Attributes:
        file: Name of the file.
        bytes: Size of the file in bytes, with the files beside it that hold its weights.
        sha256: SHA-256 of the same, see `bench_depth.model.identity.Identity`.
        contract: The model contract in the file; None where it has none.
        runtime: The runtime that ran the model.
        input: Shape and dtype of the input that ran, like `1x480x640x3 uint8`.
        output: Shape and dtype of the output of that run, like `1x480x640x1 float32`.
        load_ms: Time to load the model, milliseconds.
        first_ms: Time of the first run, milliseconds; it is not among the counted runs.
        preprocess: Times from a photo to the runtime's input; None where measuring was interrupted.
        invoke: Times of the counted runs: the latency.
        postprocess: Times from the runtime's output to metres; None where measuring was
            interrupted.
        peak_rss_bytes: Largest resident size of the process while the model was loaded and ran.
        before: State of the board before the first run.
        after: State of the board after the last counted run.
        accuracy: Accuracy on a dataset; None without one.
        warnings: Codes of the warnings, keys of `advice.ADVICE`.
        threads: Number of threads; None in files that have it in the context only.
        total: Times of whole frames, from a photo to metres.
        description: Description of the model that was given besides the file.
        comparison: Comparison with the first model of the file; None for the first model.
        sustained: Measurement of a sustained run; None where none was requested.
        profile: Time of each op; None where it was not requested or not available.
        predicted: Predicted latency on another machine; bench-depth itself makes no prediction.
    """

    file: str
    bytes: int
    sha256: str
    contract: Optional[ModelContract]
    runtime: RuntimeRecord
    input: str
    output: str
    load_ms: float
    first_ms: float
    preprocess: Optional[Timing]
    invoke: Timing
    postprocess: Optional[Timing]
    peak_rss_bytes: int
    before: Health
    after: Health
    accuracy: Optional[Accuracy]
    warnings: list[str]
    threads: Optional[int] = None
    total: Optional[Timing] = None
    description: Optional[Description] = None
    comparison: Optional[Comparison] = None
    sustained: Optional[Sustained] = None
    profile: Optional[Profile] = None
    predicted: Optional[PredictedLatency] = None


@dataclass(frozen=True)
class Results:
    """The content of a results file."""

    context: Context
    models: list[ModelRecord] = field(default_factory=list)
    schema: str = SCHEMA


def labels(results: Results) -> list[str]:
    """Returns a label for each record: its file, with the threads where they differ."""
    counts = [record.threads or results.context.threads for record in results.models]
    several = len(set(counts)) > 1
    return [
        f"{record.file}, {counted(threads, 'thread')}" if several else record.file
        for record, threads in zip(results.models, counts)
    ]


def to_json(results: Results) -> str:
    """Returns the text of a results file."""
    return dumps(asdict(results), indent=1) + "\n"


def save(results: Results, target: Path) -> None:
    """Writes a results file; a device or pipe (like /dev/stderr) is written to directly.

    Raises:
        UserError: It cannot be written, or the disk is full.
    """
    write_json(target, asdict(results))


def load(path: Path) -> Results:
    """Reads a results file.

    Raises:
        UserError: It is missing, truncated, of another schema, a field is missing or wrong, or it
            holds figures that no measurement gives.
    """
    return parse(read_json(path), str(path))


def parse(value: Any, name: str) -> Results:
    """Takes the content of a results file that was read as JSON.

    Args:
        value: Content of the file.
        name: Name of the file, for the error.

    Raises:
        UserError: As `load`.
    """
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{name} has schema {schema!r}; this program reads {SCHEMA!r}")
    try:
        results = build(Results, value)
        _require_threads(results.context.threads, "context")
        # Files from before each record had its own.
        given = results.context.threads
        models = [replace(r, threads=given) if r.threads is None else r for r in results.models]
        results = replace(results, models=models)
        for index, record in enumerate(results.models):
            _require_sound(record, f"models[{index}]")
        _require_size(value, "")
    except ValueError as error:
        raise UserError(f"{name} is not a whole results file: {error}; measure again") from error
    return results


def _require_size(value: Any, where: str) -> None:
    """Refuses numbers so large that no figure can be made of them, anywhere in the file."""
    if isinstance(value, dict):
        for name, entry in value.items():
            _require_size(entry, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            _require_size(entry, f"{where}[{index}]")
    elif isinstance(value, (int, float)) and abs(value) > _LARGEST:
        raise ValueError(f"{where} is {value:g}")


def _require_threads(threads: int, where: str) -> None:
    if not within("threads", threads):
        raise ValueError(f"{where}.threads is {threads}")


def _require_sound(record: ModelRecord, where: str) -> None:
    """Refuses figures that no measurement gives, for whatever is compared with them is nonsense."""
    for stage in STAGES:
        timing: Optional[Timing] = getattr(record, stage)
        if timing is not None:
            try:
                require_sound(timing)
            except ValueError as error:
                raise ValueError(f"{where}.{stage} {error}") from error
    if record.threads is not None:
        _require_threads(record.threads, where)
    for name in ("bytes", "load_ms", "first_ms", "peak_rss_bytes"):
        if getattr(record, name) < 0:
            raise ValueError(f"{where}.{name} is {getattr(record, name):g}")
    if record.accuracy is not None:
        for name, value in asdict(record.accuracy.mean).items():
            largest = 1 + 1e-9 if name.startswith("delta") else math.inf
            if value is not None and (value < 0 or value > largest):  # NaN was measured.
                raise ValueError(f"{where}.accuracy.mean.{name} is {value:g}")
