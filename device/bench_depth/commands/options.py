"""What can be chosen when measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import UserError
from bench_depth.core.metrics import ALIGNMENTS
from bench_depth.model.description import Description
from bench_depth.timing.measure import TimingPlan


@dataclass(frozen=True)
class BenchOptions:
    """How to measure.

    Attributes:
        data: A dataset for accuracy; None for latency alone.
        data_format: One of `readers.FORMAT_NAMES`.
        data_split: A part of the dataset, where it has named parts; None for all.
        data_limit: At most so many photos, evenly spread; None for all.
        runtime: One of `runtimes.RUNTIMES` by name; None for the first that is installed.
        threads: Of each model, every one of them in turn; empty for one per core, at most 4.
        plan: How long to measure.
        align: One of `metrics.ALIGNMENTS`.
        save_predictions: Where predicted depth maps are written, as NAME.png or, of several
            models, MODEL/NAME.png; None for nowhere.
        interleave: Whether models take turns; None for yes when there are several.
        affinity: Cores that the process is kept on; None for all.
        cooldown_to: Degrees Celsius that the board must have before each timing.
        description: What is said of every model besides its file; None for nothing.
        sustain_minutes: How long each model is run without a pause besides; 0 for not.
        profile_seconds: How long the ops of each model are timed at the end; 0 for not.
    """

    data: Optional[Path] = None
    data_format: str = "auto"
    data_split: Optional[str] = None
    data_limit: Optional[int] = None
    runtime: Optional[str] = None
    threads: Sequence[int] = ()
    plan: TimingPlan = field(default_factory=TimingPlan)
    align: str = "none"
    save_predictions: Optional[Path] = None
    interleave: Optional[bool] = None
    affinity: Optional[list[int]] = None
    cooldown_to: Optional[float] = None
    description: Optional[Description] = None
    sustain_minutes: float = 0.0
    profile_seconds: float = 0.0


def check_options(models: Sequence[Path], options: BenchOptions) -> None:
    """Refuses what cannot be measured.

    Raises:
        UserError: An option is out of range, or two do not go together.
    """
    if not models:
        raise UserError("no model given; name at least one .tflite or .onnx file")
    plan = options.plan
    if plan.warmup < 0 or plan.min_runs < 1 or not 0 <= plan.min_time < float("inf"):
        raise UserError(
            f"warmup {plan.warmup}, min-runs {plan.min_runs}, min-time {plan.min_time:g}: at least "
            "0 runs, 1 run and 0 s are needed"
        )
    for threads in options.threads:
        if threads < 1:
            raise UserError(f"{threads} threads cannot run anything; give at least 1")
    if not 0 <= options.sustain_minutes < float("inf"):
        raise UserError(f"--sustain {options.sustain_minutes:g}: minutes, more than 0, are needed")
    if not 0 <= options.profile_seconds < float("inf"):
        raise UserError(f"--profile {options.profile_seconds:g}: seconds, more than 0, are needed")
    if options.align not in ALIGNMENTS:
        raise UserError(f"unknown alignment {options.align!r}; choose from {', '.join(ALIGNMENTS)}")
    _check_data(options)
    if options.save_predictions is not None:
        names = [path.name for path in models]
        if len(set(names)) < len(names):
            raise UserError(
                "two models have the same file name, so that their predictions would mix; "
                "measure them one at a time"
            )


def _check_data(options: BenchOptions) -> None:
    if options.data_limit is not None and options.data_limit < 1:
        raise UserError(f"--data-limit {options.data_limit}: at least 1 photo is needed")
    if options.data is not None:
        return
    if options.save_predictions is not None:
        raise UserError("predictions are made of a dataset's photos: give --data as well")
    if (options.data_format, options.data_split, options.data_limit) != ("auto", None, None):
        raise UserError("--data-format, --data-split and --data-limit say more of --data: give it")
