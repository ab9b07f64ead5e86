"""What the benchmarks share: turns taken fairly, the machine's name, one form of results."""

from __future__ import annotations

import datetime
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import write_json
from bench_depth.machine.board import read_board

SCHEMA = "ghostdepth-benchmark/1"
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def interleave(
    rounds: int, contenders: Mapping[str, Callable[[], float]]
) -> dict[str, list[float]]:
    """Lets the contenders run in turn, so that a change of the machine's mood meets all of them.

    Args:
        rounds: How often each runs; who begins alternates.
        contenders: By name; each returns its own figure.

    Returns:
        The figures by name, one a round.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            figures[name].append(contenders[name]())
    return figures


def median(figures: Sequence[float]) -> float:
    """The middle figure."""
    return statistics.median(figures)


def write_result(name: str, *, ratio: float, target: str, raw: dict[str, Any]) -> None:
    """Writes `benchmarks/results/NAME.json` and says where.

    Args:
        name: Of the benchmark.
        ratio: Its one figure.
        target: What the ratio should be, like `>= 0.9`.
        raw: All that was measured, with units in the keys.
    """
    path = RESULTS / f"{name}.json"
    write_json(
        path,
        {
            "schema": SCHEMA,
            "benchmark": name,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": {**asdict(read_board()), "python": platform.python_version()},
            "ratio": ratio,
            "target": target,
            "raw": raw,
        },
    )
    print(f"\nratio {ratio:.4f}, should be {target}; written to {path.relative_to(ROOT)}")


def run(main: Callable[[], None]) -> None:
    """Runs a benchmark; a user's error is one line and a non-zero exit."""
    try:
        main()
    except UserError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
