"""The options of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import ALIGNMENTS
from bench_depth.model.description import Description
from bench_depth.timing.measure import TimingPlan


@dataclass(frozen=True)
class BenchOptions:
    """The options of a benchmark.

    Attributes:
        data: Path of a dataset to measure accuracy on; None to measure latency only.
        data_format: Format of the dataset, one of `readers.FORMAT_NAMES`.
        data_split: Name of a split of the dataset; None for all photos.
        data_limit: Largest number of photos, evenly spaced; None for all.
        runtime: Name of the runtime, one of `runtimes.RUNTIMES`; None for the first installed one.
        threads: Thread counts to measure each model with; empty for one per core, at most 4.
        plan: Length of the latency measurement.
        align: Alignment of predictions to the ground truth, one of `metrics.ALIGNMENTS`.
        save_predictions: Folder to write predicted depth maps to, as NAME.png or, with several
            models, MODEL/NAME.png; None to write none.
        interleave: Whether models take turns; None to do so when there are several.
        affinity: Cores to restrict the process to; None for all.
        cooldown_to: Temperature to cool down to before each timing, degrees Celsius; None to start
            at once.
        description: Description of every model besides its file; None for none.
        sustain_minutes: Duration of an additional run of each model without a pause; 0 for none.
        profile_seconds: Duration of timing the ops of each model at the end; 0 for none.
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
    """Checks the options.

    Raises:
        UserError: An option is out of range, or two contradict each other.
    """
    if not models:
        raise UserError("no model given; name at least one .tflite or .onnx file")
    plan = options.plan
    require_bounds(
        warmup=plan.warmup,
        min_runs=plan.min_runs,
        min_time=plan.min_time,
        sustain=options.sustain_minutes,
        profile=options.profile_seconds,
        cooldown_to=options.cooldown_to,
        data_limit=options.data_limit,
    )
    for threads in options.threads:
        require_bounds(threads=threads)
    if options.align not in ALIGNMENTS:
        raise UserError(f"unknown alignment {options.align!r}; choose from {', '.join(ALIGNMENTS)}")
    _check_data(options)
    if options.save_predictions is not None:
        names = [path.name for path in models]
        if len(set(names)) < len(names):
            raise UserError(
                "two models have the same file name, so their predictions would be written to the "
                "same files; measure them one at a time"
            )


def _check_data(options: BenchOptions) -> None:
    if options.data is not None:
        return
    if options.save_predictions is not None:
        raise UserError("--save-predictions needs a dataset's photos: give --data as well")
    if (options.data_format, options.data_split, options.data_limit) != ("auto", None, None):
        raise UserError("--data-format, --data-split and --data-limit need --data: give it as well")
