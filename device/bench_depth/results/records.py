"""The results file: what was measured, on what, with every single time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Optional

from bench_depth.accuracy.records import Accuracy
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json
from bench_depth.core.jsonable import build
from bench_depth.machine.board import Board, Health
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import Description
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing
from bench_depth.timing.profiling import Profile
from bench_depth.timing.sustained import Sustained

SCHEMA = "bench-depth-results/1"
# The timings of a record, in the order in which a frame goes through them.
STAGES = ("preprocess", "invoke", "postprocess", "total")


@dataclass(frozen=True)
class Context:
    """What holds for all models of a results file.

    Attributes:
        created: When the measuring began, ISO 8601, UTC.
        program: Like `bench-depth 0.1.0`.
        commit: Of the source the program runs from; None for an installed one.
        python: Its version.
        board: The machine.
        threads: That each model was run with.
        warmup: Runs before the counted ones.
        min_runs: See `measure.TimingPlan`.
        min_time: See `measure.TimingPlan`.
        affinity: The cores that the process was kept on; None for all.
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
    """The runtime a model ran in; `xnnpack` is None where it means nothing or cannot be told."""

    name: str
    version: str
    xnnpack: Optional[bool]


@dataclass(frozen=True)
class ModelRecord:
    """What was measured of one model.

    Attributes:
        file: The file's name.
        bytes: Its size.
        sha256: Of the file.
        contract: What the file says of itself; None where it says nothing.
        runtime: What it ran in.
        input: Like `1x480x640x3 uint8`.
        output: Like `1x480x640x1 float32`.
        load_ms: From the file to a model that can run.
        first_ms: The first run, which is not among the counted ones.
        preprocess: Photo to the runtime's input; None where measuring was interrupted.
        invoke: The run itself; what is meant by the latency.
        postprocess: The runtime's output to metres; None as above.
        peak_rss_bytes: The most memory the process held while the model was loaded and ran.
        before: The board before the first run.
        after: The board after the last counted run.
        accuracy: None without a dataset.
        warnings: Codes, see `bench_depth.results.advice`.
        threads: That it was run with; None where the context's hold.
        total: A whole frame, photo to metres.
        description: What was said of the model besides the file.
        comparison: With the first model of the file; None for that one.
        sustained: A long run, where one was asked for.
        profile: The time of each op, where it was asked for and could be had.
        predicted: Of another machine, not measured; bench-depth itself makes none.
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
    """What each record is called: its file, with the threads where they differ."""
    several = len({record.threads for record in results.models}) > 1
    return [
        f"{record.file}, {record.threads} thread{'s' if record.threads != 1 else ''}"
        if several
        else record.file
        for record in results.models
    ]


def to_json(results: Results) -> str:
    """The text of a results file."""
    return json.dumps(asdict(results), indent=1, allow_nan=False) + "\n"


def save(results: Results, target: Path) -> None:
    """Writes a results file; a device or pipe (like /dev/stderr) is written to as it is.

    Raises:
        UserError: It cannot be written, or the disk is full.
    """
    write_json(target, asdict(results))


def load(path: Path) -> Results:
    """Reads a results file.

    Raises:
        UserError: It is missing, truncated, of another schema, or a field is missing or wrong.
    """
    value = read_json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema!r}; this program reads {SCHEMA!r}")
    try:
        return build(Results, value)
    except ValueError as error:
        raise UserError(f"{path} is not a whole results file: {error}; measure again") from error
