"""Shared by the benchmarks: interleaved runs, a loaded model, the machine, one results format."""

from __future__ import annotations

import datetime
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_json
from bench_depth.machine.board import default_threads, read_board
from bench_depth.model.runtime import LoadedModel
from bench_depth.model.runtimes import choose

SCHEMA = "ghostdepth-benchmark/1"
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def interleave(
    rounds: int, contenders: Mapping[str, Callable[[], float]]
) -> dict[str, list[float]]:
    """Runs the contenders in turn, so that a change in the machine's load affects all of them.

    Args:
        rounds: Number of runs of each contender; the order alternates between rounds.
        contenders: Functions by name; each returns its measured figure.

    Returns:
        The figures of each contender by name, one per round.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            figures[name].append(contenders[name]())
    return figures


def ready_model(path: Path) -> LoadedModel:
    """Loads a model file with the default number of threads and a random picture as its input."""
    model = choose(path).load(path, default_threads())
    spec = model.inputs[0]
    picture = np.random.default_rng(0).integers(0, 256, [n or 1 for n in spec.shape])
    model.set_input(picture.astype(spec.dtype))
    return model


def write_result(name: str, *, ratio: float, target: str, raw: dict[str, Any]) -> None:
    """Writes `benchmarks/results/NAME.json` and prints its path.

    Args:
        name: Name of the benchmark.
        ratio: The dimensionless result of the benchmark.
        target: Target for the ratio, such as `>= 0.9`.
        raw: All measured figures, with units in the keys.
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
    print(f"\nratio {ratio:.4f}, target {target}; written to {path.relative_to(ROOT)}")


def run(main: Callable[[], None]) -> None:
    """Runs a benchmark; a `UserError` is one line on stderr and a non-zero exit code."""

    def work() -> int:
        main()
        return 0

    sys.exit(exit_code(Path(sys.argv[0]).name, work))
