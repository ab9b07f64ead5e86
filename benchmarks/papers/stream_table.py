"""The committed figures of networks with and without a state, as a table."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
Row = dict[str, Any]


def table(path: Path = RESULTS) -> str:
    """The figures of each arm as Markdown: mean and deviation of the seeds that have every arm."""
    rows = csv_rows(path)
    most = max((int(row["epochs"]) for row in rows), default=0)
    rows = [row for row in rows if int(row["epochs"]) == most]
    measured = {(row["seed"], row["arm"]) for row in rows}
    seeds = {seed for seed, _ in measured if measured.issuperset((seed, arm) for arm in ARMS)}
    if not seeds:
        return "No seed has every arm yet."
    rows = [row for row in rows if row["seed"] in seeds]
    lines = []
    for arm in ARMS:
        cells = [list(_by_seed(rows, arm, *column[:2]).values()) for column in COLUMNS]
        lines.append([arm, *map(mean_and_deviation, cells)])
    differences = []
    for column in COLUMNS:
        plain, state = (_by_seed(rows, arm, *column[:2]) for arm in (PLAIN, STATE))
        by_seed = [state[seed] - plain[seed] for seed in state]
        differences.append(mean_and_deviation(by_seed, sign="+"))
    lines.append(["state minus without, by seed", *differences])
    first = rows[0]
    note = (
        f"{counted(len(seeds), 'seed')}, from {first['init']}, whose encoder stays as "
        f"it is: {first['steps']} steps of {first['clips']} clips of {first['frames']} frames, "
        f"{first['pairs']} pairs. A training took {_seconds(rows, PLAIN)} processor seconds "
        f"without state and {_seconds(rows, STATE)} with. Higher is better for delta_1, lower for "
        "the others."
    )
    return f"{markdown_table(['', *(heading for *_, heading in COLUMNS)], lines)}\n\n{note}"


def _by_seed(rows: Sequence[Row], arm: str, name: str, figure: str) -> dict[str, float]:
    own = [row for row in rows if row["arm"] == arm and row["set"] == name]
    return {row["seed"]: float(row[figure]) for row in own}


def _seconds(rows: Sequence[Row], arm: str) -> str:
    own = [float(row["training_seconds"]) for row in rows if row["arm"] == arm]
    return f"{statistics.mean(own):.0f}"
