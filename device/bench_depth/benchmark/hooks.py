"""The callbacks of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.machine.guard import OnTask
from bench_depth.results.records import Results

OnRun = Callable[[str, Callable[[], float], Sequence[int]], None]


@dataclass(frozen=True)
class Hooks:
    """What `bench` calls while it measures.

    Attributes:
        log: Called with one line of progress text.
        on_results: Called with the results so far: before the first model and after every change,
            so that nothing is lost when a later model fails.
        on_run: Called after each counted run, outside the timed interval, with the label of what is
            timed, a function that returns the completed fraction (0 to 1), and the times so far in
            nanoseconds.
        on_task: Called before each task that may crash or hang inside a runtime, with its
            description and its time limit in seconds (None for none): see `guard.guarded`.
        on_image: Called with the index of a model's record and each dataset image that its depth
            was compared on.
    """

    log: Callable[[str], None]
    on_results: Callable[[Results], None] = lambda results: None
    on_run: OnRun = lambda label, fraction, times_ns: None
    on_task: OnTask = lambda task, limit: None
    on_image: Callable[[int, EvaluatedImage], None] = lambda index, image: None
