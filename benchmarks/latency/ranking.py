"""How often the predicted order of two published times is the published one.

    python benchmarks/latency/ranking.py

Reads results.csv, runtimes.csv, rows-boards.csv; nothing is counted. A configuration is a network,
its data type, a counted runtime, threads and a board; published times of 32-bit kernels are left
out, as those are not counted. No held-out row and no row of its family (for the factors of a board,
of its network) had a part in the coefficients of a prediction, but that held-out networks have
relatives that were fitted. Two configurations are a pair where they are of one board and the
published times decide: all of one are above all of the other, by more than their last digits.
Writes ranking.csv.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench_depth.core.files import write_bytes
from boards import factors_without
from ghostdepth_export.pi4.latency import BOARDS, board_coefficients, shipped
from ghostdepth_export.pi4.latency.prediction import milliseconds
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from rows import THREADS
from rows import read_rows as read_mlperf
from runtimes import FILES, PUBLISHED, core_of, library_of, near_without, read_rows

HERE = Path(__file__).resolve().parent
MLPERF, RANKING = HERE / "results.csv", HERE / "ranking.csv"
# Published times that are within this ratio of each other count as close.
CLOSE = 1.25


@dataclass(frozen=True)
class Configuration:
    """What is timed, and the times.

    Attributes:
        network: Its name.
        type: `fp32` or `int8`; for TensorFlow Lite 2.5 `int8` is uint8.
        runtime: The counted runtime, a key of `RUNTIMES`.
        threads: Number of threads.
        board: A key of `BOARDS`.
        low: Shortest published milliseconds, less half a unit of the last digit.
        high: Longest published milliseconds, and half a unit of the last digit.
        predicted: Predicted milliseconds.
        held_out: Whether the split keeps the network from the fit.
    """

    network: str
    type: str
    runtime: str
    threads: int
    board: str
    low: float
    high: float
    predicted: float
    held_out: bool


Pair = tuple[Configuration, Configuration]
GROUPS: dict[str, Callable[[Configuration, Configuration], bool]] = {
    "all": lambda a, b: True,
    "both of TensorFlow Lite 2.5": lambda a, b: a.runtime == b.runtime == "2.5",
    "both of LiteRT": lambda a, b: a.runtime == b.runtime == "litert",
    "both of ONNX Runtime": lambda a, b: a.runtime == b.runtime == "onnxruntime",
    "of two runtimes": lambda a, b: a.runtime != b.runtime,
    "of two runtimes, one ONNX Runtime": lambda a, b: (
        a.runtime != b.runtime and "onnxruntime" in (a.runtime, b.runtime)
    ),
    "Raspberry Pi 4": lambda a, b: a.board == "rpi4",
    "Raspberry Pi 4 at 1800 MHz": lambda a, b: a.board == "rpi4-1800",
    "Raspberry Pi 5": lambda a, b: a.board == "rpi5",
    "as many threads": lambda a, b: a.threads == b.threads,
    "one network, as many threads": lambda a, b: (a.network, a.threads) == (b.network, b.threads),
    "one network, type and number of threads": lambda a, b: (
        (a.network, a.type, a.threads) == (b.network, b.type, b.threads)
    ),
    f"published within a factor of {CLOSE}": lambda a, b: ratio(a, b) < CLOSE,
    f"published further apart than {CLOSE}": lambda a, b: ratio(a, b) >= CLOSE,
    "one held out": lambda a, b: a.held_out or b.held_out,
    "both held out": lambda a, b: a.held_out and b.held_out,
}


def configurations() -> list[Configuration]:
    """Every configuration that has both a published time and a prediction."""
    found: dict[tuple[object, ...], Configuration] = {}
    for each in [*_tensorflow_lite(), *_counted()]:
        key = (each.network, each.type, each.runtime, each.threads, each.board)
        old = found.get(key, each)
        found[key] = replace(each, low=min(old.low, each.low), high=max(old.high, each.high))
    return list(found.values())


def decided(every: Sequence[Configuration]) -> list[Pair]:
    """The pairs on one board whose published times do not touch, the shorter one first."""
    pairs = (
        sorted(pair, key=lambda each: each.low)
        for pair in itertools.combinations(every, 2)
        if pair[0].board == pair[1].board
    )
    return [(short, long) for short, long in pairs if short.high < long.low]


def ratio(a: Configuration, b: Configuration) -> float:
    """How many times longer the longer published time is, at the least."""
    return max(a.low / b.high, b.low / a.high)


def ranking(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    """Number of pairs of each group, and how many the predictions have in the published order."""
    rows = []
    for name, belongs in GROUPS.items():
        group = [pair for pair in pairs if belongs(*pair)]
        # Two predictions that are the same have no order.
        right = sum(short.predicted < long.predicted for short, long in group)
        networks = len({each.network for pair in group for each in pair})
        rows.append(
            {
                "pairs": name,
                "networks": str(networks),
                "number": str(len(group)),
                "right": str(right),
                "fraction": f"{right / len(group):.1%}" if group else "-",
            }
        )
    return rows


def rounding(text: str) -> float:
    """Half a unit of the last digit of a published number."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def _tensorflow_lite() -> list[Configuration]:
    texts = {line["model"]: line["p50_ms"] for line in csv_rows(MLPERF)}
    found = []
    for row in read_mlperf(MLPERF):
        half = rounding(texts[row.model])
        low, high = row.p50_ms - half, row.p50_ms + half
        kind = "fp32" if row.dtype == "fp32" else "int8"
        found.append(
            Configuration(
                row.network, kind, "2.5", THREADS, "rpi4", low, high, row.predicted_ms, False
            )
        )
    return found


def _counted() -> list[Configuration]:
    rows = [row for row in read_rows() if not row.other_kernels]
    costs = {(row.library, row.network, row.type, row.threads, row.core): row for row in rows}
    found = []
    for line in csv_rows(PUBLISHED):
        runtime, board = line["runtime"], line["board"]
        library = library_of(runtime)
        if board not in BOARDS or "32-bit" in runtime:
            continue
        key = library, line["network"], line["type"], int(line["threads"]), core_of(line)
        row = costs.get(key)
        if row is None:
            continue
        start = replace(shipped(), near=near_without(rows, row))
        known = board_coefficients(board, start, factors_without(board, row.network))
        predicted = sum(milliseconds(row.costs, known))
        ms, half = float(line["ms"]), rounding(line["ms"])
        found.append(
            Configuration(
                FILES.get(row.network, row.network),
                row.type,
                library,
                row.threads,
                board,
                ms - half,
                ms + half,
                predicted,
                line["split"] == "held out",
            )
        )
    return found


def main() -> int:
    """Writes the figures; gives the exit code."""
    written = csv_bytes(ranking(decided(configurations())))
    write_bytes(RANKING, written)
    print(written.decode(), end="")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    sys.exit(main())
