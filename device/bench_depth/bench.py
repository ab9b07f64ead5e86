"""Measures model files one after the other: what the command and the demo call."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth import __version__, memory
from bench_depth.accuracy import evaluate
from bench_depth.advice import warnings_for
from bench_depth.board import Board, read_board, read_health
from bench_depth.contract import read_contract, read_model_bytes
from bench_depth.dataset import Pair, list_pairs, read_rgb
from bench_depth.errors import UserError
from bench_depth.measure import Plan, Timing, measure, time_once
from bench_depth.metrics import ALIGNMENTS
from bench_depth.postprocess import to_metres
from bench_depth.preprocess import to_input
from bench_depth.results import Context, ModelRecord, Results, RuntimeRecord
from bench_depth.runtimes import LoadedModel, Runtime, choose
from bench_depth.signature import Signature, check_signature

MOST_DEFAULT_THREADS = 4


@dataclass(frozen=True)
class BenchOptions:
    """How to measure.

    Attributes:
        data: A dataset folder for accuracy; None for latency alone.
        runtime: One of `runtimes.RUNTIMES` by name; None for the first that is installed.
        threads: Of each model; None for one per core, at most 4.
        plan: How long to measure.
        align: One of `metrics.ALIGNMENTS`.
        save_predictions: Where predicted depth maps are written, as NAME.png or, of several
            models, MODEL/NAME.png; None for nowhere.
    """

    data: Optional[Path] = None
    runtime: Optional[str] = None
    threads: Optional[int] = None
    plan: Plan = field(default_factory=Plan)
    align: str = "none"
    save_predictions: Optional[Path] = None


def bench(
    models: Sequence[Path],
    options: BenchOptions,
    progress: Callable[[str], None],
    keep: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Measures model files, one after the other.

    Args:
        models: .tflite and .onnx files.
        options: How.
        progress: Takes one line whenever something begins.
        keep: Takes what there is, once before the first and again after each model, so that
            nothing is lost when a later one fails.

    Returns:
        One record per model, in their order.

    Raises:
        UserError: An option or a file is wrong. Everything that can be checked is checked before
            the first model is run.
    """
    models = [Path(path) for path in models]
    _check_options(models, options)
    pairs = list_pairs(options.data) if options.data is not None else []
    jobs = [(path, choose(path, options.runtime)) for path in models]
    for path in models:
        read_contract(path)
    context = _context(options)
    results = Results(context)
    keep(results)
    for path, runtime in jobs:
        predictions = options.save_predictions
        if predictions is not None and len(models) > 1:
            predictions = predictions / path.name
        record = _bench_one(
            path,
            runtime,
            context=context,
            options=options,
            pairs=pairs,
            predictions=predictions,
            progress=progress,
        )
        results = dataclasses.replace(results, models=[*results.models, record])
        keep(results)
    return results


def default_threads() -> int:
    """One per core, at most 4: small networks do not gain from more."""
    return min(os.cpu_count() or 1, MOST_DEFAULT_THREADS)


def sample_photo() -> NDArray[np.uint8]:
    """The photo that models are timed on: 480x640x3 uint8 RGB."""
    with resources.as_file(resources.files("bench_depth") / "data" / "sample.jpg") as path:
        return read_rgb(path)


def _bench_one(
    path: Path,
    runtime: Runtime,
    *,
    context: Context,
    options: BenchOptions,
    pairs: Sequence[Pair],
    predictions: Optional[Path],
    progress: Callable[[str], None],
) -> ModelRecord:
    progress(
        f"{path.name}: {runtime.name}, {context.threads} threads, at least "
        f"{context.min_runs} runs and {context.min_time:g} s"
    )
    data = read_model_bytes(path)
    contract = read_contract(path)
    memory.reset_peak()
    loaded: list[LoadedModel] = []
    load_ms = time_once(lambda: loaded.append(runtime.load(path, context.threads)))
    model = loaded[0]
    signature = check_signature(path, model, contract)
    before = read_health()
    first_ms, stages = _time_stages(model, signature, options.plan)
    after = read_health()
    peak = memory.peak_rss_bytes()
    accuracy = None
    if options.data is not None:
        progress(f"{path.name}: accuracy on {len(pairs)} photos of {options.data}")
        accuracy = evaluate(
            model,
            signature,
            pairs,
            data=str(options.data),
            median_ms=stages["invoke"].statistics.median,
            align=options.align,
            predictions=predictions,
        )
    return ModelRecord(
        file=path.name,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        contract=contract,
        runtime=RuntimeRecord(model.name, model.version, model.xnnpack),
        input=str(model.inputs[0]),
        output=str(model.outputs[0]),
        load_ms=load_ms,
        first_ms=first_ms,
        **stages,
        peak_rss_bytes=peak,
        before=before,
        after=after,
        accuracy=accuracy,
        warnings=warnings_for(
            contract,
            context.board,
            before=before,
            after=after,
            first_ms=first_ms,
            invoke=stages["invoke"].statistics,
        ),
    )


def _time_stages(
    model: LoadedModel, signature: Signature, plan: Plan
) -> tuple[float, dict[str, Timing]]:
    """The first run in milliseconds, and the stages of a frame, each timed apart."""
    photo = sample_photo()

    def preprocess() -> None:
        model.set_input(to_input(photo, signature))

    def postprocess() -> None:
        to_metres(model.output(), signature)

    preprocess()
    first_ms = time_once(model.invoke)
    # The small stages cost microseconds: as many runs, but no need to fill the time with them.
    brief = dataclasses.replace(plan, min_time=0)
    stages = {
        "invoke": measure(model.invoke, plan),
        "preprocess": measure(preprocess, brief),
        "postprocess": measure(postprocess, brief),
    }
    return first_ms, stages


def _check_options(models: Sequence[Path], options: BenchOptions) -> None:
    if not models:
        raise UserError("no model given; name at least one .tflite or .onnx file")
    plan = options.plan
    if plan.warmup < 0 or plan.min_runs < 1 or not 0 <= plan.min_time < float("inf"):
        raise UserError(
            f"warmup {plan.warmup}, min-runs {plan.min_runs}, min-time {plan.min_time:g}: at least "
            "0 runs, 1 run and 0 s are needed"
        )
    if options.threads is not None and options.threads < 1:
        raise UserError(f"{options.threads} threads cannot run anything; give at least 1")
    if options.align not in ALIGNMENTS:
        raise UserError(f"unknown alignment {options.align!r}; choose from {', '.join(ALIGNMENTS)}")
    if options.save_predictions is not None:
        if options.data is None:
            raise UserError("predictions are made of a dataset's photos: give --data as well")
        names = [path.name for path in models]
        if len(set(names)) < len(names):
            raise UserError(
                "two models have the same file name, so that their predictions would mix; "
                "measure them one at a time"
            )


def _context(options: BenchOptions) -> Context:
    board: Board = read_board()
    return Context(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        program=f"bench-depth {__version__}",
        commit=_commit(),
        python=platform.python_version(),
        board=board,
        threads=options.threads or default_threads(),
        warmup=options.plan.warmup,
        min_runs=options.plan.min_runs,
        min_time=options.plan.min_time,
    )


def _commit() -> Optional[str]:
    """The last commit of this package's source; None where it is installed or git is missing."""
    git = shutil.which("git")
    if git is None:
        return None
    # Asking for the folder's own history keeps a virtual environment inside some other repository
    # from giving that repository's commit.
    folder = Path(__file__).resolve().parent
    done = subprocess.run(
        [git, "-C", str(folder), "log", "-1", "--format=%H", "--", "."],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or None
