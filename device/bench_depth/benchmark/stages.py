"""The measurements of loaded models, each with its progress reported to the hooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from bench_depth.accuracy.evaluation import evaluate
from bench_depth.accuracy.readers import Dataset
from bench_depth.accuracy.records import Accuracy
from bench_depth.benchmark.hooks import Hooks
from bench_depth.core.screen import counted
from bench_depth.machine.guard import HANG
from bench_depth.plausibility.output_checks import OutputWatch
from bench_depth.timing.measure import Timing, TimingPlan, measure, measure_in_turn
from bench_depth.timing.session import Session
from bench_depth.timing.sustained import Sustained, sustain


@contextlib.contextmanager
def limited(session: Session, hooks: Hooks) -> Iterator[Callable[[], None]]:
    """Gives the runs of a model time limits.

    Yields:
        A function to call before each run; the last run's limit ends with the context.
    """
    task = str(session.job.path)
    try:
        yield lambda: hooks.on_task(task, HANG)
    finally:
        hooks.on_task(task, None)


def time_alone(session: Session, plan: TimingPlan, hooks: Hooks) -> Timing:
    """Times the runs of one model."""

    def watch(times: Sequence[int]) -> None:
        hooks.on_run(session.job.label, lambda: _completed(times, plan), times)

    with limited(session, hooks) as arm:
        return measure(session.model.invoke, plan, watch=watch, arm=arm)


def time_interleaved(sessions: Sequence[Session], plan: TimingPlan, hooks: Hooks) -> list[Timing]:
    """Times the runs of several models that take turns."""
    latest: dict[int, Sequence[int]] = {}

    def fraction() -> float:
        return sum(_completed(times, plan) for times in latest.values()) / len(sessions)

    def watch(index: int, times: Sequence[int]) -> None:
        latest[index] = times
        hooks.on_run(sessions[index].job.label, fraction, times)

    with contextlib.ExitStack() as stack:
        arms = [stack.enter_context(limited(session, hooks)) for session in sessions]
        return measure_in_turn([s.model.invoke for s in sessions], plan, watch=watch, arms=arms)


def run_sustained(session: Session, minutes: float, hooks: Hooks) -> Sustained:
    """Runs one model for minutes without a pause."""
    label = session.job.label
    hooks.log(f"{label}: {minutes:g} minutes without a pause")

    def watch(seconds: float, median_ms: float) -> None:
        times_ns = [round(median_ms * 1e6)]
        hooks.on_run(f"{label}, sustained", lambda: seconds / 60 / minutes, times_ns)

    with limited(session, hooks) as arm:
        return sustain(session.model.invoke, minutes, watch=watch, arm=arm)


def measure_accuracy(
    index: int,
    session: Session,
    dataset: Dataset,
    hooks: Hooks,
    *,
    median_ms: float,
    align: str,
    predictions: Optional[Path],
) -> tuple[Accuracy, list[str]]:
    """Compares one model's depth with the dataset's ground truth.

    Args:
        index: Index of the model's record in the results.
        session: The loaded model.
        dataset: The images and their ground truth.
        hooks: Callbacks.
        median_ms: Median latency of the model in milliseconds, for the score.
        align: One of `metrics.ALIGNMENTS`.
        predictions: Folder to write predicted depth maps to; None to write none.

    Returns:
        The accuracy, and the codes of warnings about the depth of single photos.
    """
    note = f"; {dataset.note}" if dataset.note else ""
    hooks.log(
        f"{session.job.label}: accuracy on {counted(len(dataset.frames), 'photo')} of "
        f"{dataset.label}{note}"
    )
    watch = OutputWatch(not session.signature.relative, hooks.log)
    with limited(session, hooks) as arm:
        accuracy = evaluate(
            session.model,
            session.signature,
            dataset.frames,
            data=dataset.label,
            median_ms=median_ms,
            align=align,
            predictions=predictions,
            on_image=lambda image: hooks.on_image(index, image),
            arm=arm,
            watch=watch,
        )
    return accuracy, watch.codes


def _completed(times_ns: Sequence[int], plan: TimingPlan) -> float:
    runs = len(times_ns) / max(plan.min_runs, 1)
    seconds = sum(times_ns) / 1e9 / plan.min_time if plan.min_time else 1.0
    return min(runs, seconds, 1.0)
