"""The committed figures of networks with and without a state, as a table."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench_depth.core.screen import counted
from ghostdepth_train.csv_files import csv_rows, markdown_table, mean_and_deviation

RESULTS = Path(__file__).with_name("stream.csv")
PLAIN, STATE, EMPTIED = "without state", "state", "state, emptied at every frame"
KEEP = (0.3, 0.5, 0.7)
FILTERS = {f"filter, keep {keep}": keep for keep in KEEP}
BOTH_KEEP = 0.5
THEN = f"then filter, keep {BOTH_KEEP}"
PLAIN_LOSS, STATE_LOSS = f"{PLAIN}, temporal loss", f"{STATE}, temporal loss"
TRAINED = (PLAIN, STATE, PLAIN_LOSS, STATE_LOSS)
FILTERED_AFTER = {arm: f"{arm}, {THEN}" for arm in TRAINED[1:]}
ARMS = (
    PLAIN,
    *FILTERS,
    STATE,
    EMPTIED,
    FILTERED_AFTER[STATE],
    *itertools.chain(*((arm, FILTERED_AFTER[arm]) for arm in (PLAIN_LOSS, STATE_LOSS))),
)
# The columns of the table: set, figure, heading.
COLUMNS = (
    ("crops", "si_rmse", "crops: si-RMSE"),
    ("crops", "delta_1", "delta_1"),
    ("crops", "temporal_error", "temporal error"),
    ("still", "temporal_error", "still: temporal error"),
    ("still", "flicker", "flicker"),
    ("walk", "si_rmse", "walk: si-RMSE"),
    ("walk", "delta_1", "delta_1"),
    ("walk", "temporal_error", "temporal error"),
)
_HEADS = ("", *(heading for *_, heading in COLUMNS))
# A start and a seed.
Run = tuple[str, str]
# The row by start, seed, arm and set.
_Rows = dict[tuple[str, str, str, str], dict[str, str]]


def table(path: Path = RESULTS) -> str:
    """The figures of each arm as Markdown: mean and deviation of the seeds that have all of them.

    They are of the start that has most such seeds, the later one of two with as many.
    """
    own, runs = _shown(path)
    if not runs:
        return "No seed has every arm yet."
    start = runs[0][0]
    chosen = [arm for arm in ARMS if any(key[2] == arm for key in own)]
    lines = [[arm, *_cells(own, runs, arm)] for arm in chosen]
    lines.append(["state minus without, by seed", *_cells(own, runs, STATE, PLAIN)])
    first = next(iter(own.values()))
    note = (
        f"{counted(len(runs), 'seed')}, from {start}, whose encoder stays as "
        f"it is: {first['steps']} steps of {first['clips']} clips of {first['frames']} frames, "
        f"{first['pairs']} pairs. A training took {_seconds(own, PLAIN)} processor seconds "
        f"without state and {_seconds(own, STATE)} with. Higher is better for delta_1, lower for "
        "the others."
    )
    return f"{markdown_table(_HEADS, lines)}\n\n{note}"


def by_seed(arm: str, name: str, figure: str, path: Path = RESULTS) -> dict[str, float]:
    """A figure of an arm on a set of `COLUMNS` by seed, of the start that `table` shows."""
    rows, runs = _shown(path)
    return {seed: float(rows[start, seed, arm, name][figure]) for start, seed in runs}


def _shown(path: Path) -> tuple[_Rows, list[Run]]:
    """The rows of the start that `table` shows, and its runs that have every arm."""
    rows = _rows(path)
    runs: dict[str, list[Run]] = {}
    for start in {start: None for start, *_ in rows}:
        arms = {arm for of, _, arm, _ in rows if of == start}
        runs[start] = _runs(rows, arms, start)
    start = max(reversed(runs), key=lambda start: len(runs[start]), default="")
    return {key: row for key, row in rows.items() if key[0] == start}, runs.get(start, [])


def _rows(path: Path) -> _Rows:
    """The rows of the longest trainings."""
    rows = csv_rows(path)
    most = max((int(row["epochs"]) for row in rows), default=0)
    return {
        (row["init"], row["seed"], row["arm"], row["set"]): row
        for row in rows
        if int(row["epochs"]) == most
    }


def _runs(rows: _Rows, arms: Iterable[str], start: str) -> list[Run]:
    """A start and the seeds of its runs that have all arms."""
    found = {(of, seed): None for of, seed, *_ in rows if of == start}
    sets = {name for name, *_ in COLUMNS}
    wanted = list(itertools.product(arms, sets))
    return [run for run in found if all((*run, *each) in rows for each in wanted)]


def _cells(rows: _Rows, runs: Sequence[Run], arm: str, minus: str | None = None) -> list[str]:
    """The figures of an arm, or their differences from another arm's in the same run."""
    cells = []
    for name, figure, _ in COLUMNS:
        values = [float(rows[*run, arm, name][figure]) for run in runs]
        if minus is not None:
            others = [float(rows[*run, minus, name][figure]) for run in runs]
            values = [value - other for value, other in zip(values, others, strict=True)]
        cells.append(mean_and_deviation(values, sign="" if minus is None else "+"))
    return cells


def _seconds(rows: _Rows, arm: str) -> str:
    own = [float(row["training_seconds"]) for (*_, of, _), row in rows.items() if of == arm]
    return f"{statistics.mean(own):.0f}"
