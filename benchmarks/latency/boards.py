"""Fits how other boards compare with a Raspberry Pi 4, and checks it on what was kept back.

    python benchmarks/latency/boards.py

Reads rows-boards.csv and results.csv; nothing is counted. Writes boards.csv, the errors, and the
factors that `ghostdepth latency --board` ships.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.files import write_bytes, write_json
from fit import Array, Errors, errors, fit, intervals, left_out
from ghostdepth_export.pi4.latency import Coefficient, shipped
from ghostdepth_export.pi4.latency.boards import SCHEMA
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from rows import read_rows

HERE = Path(__file__).resolve().parent
ROWS, COUNTED, RESULTS = HERE / "rows-boards.csv", HERE / "results.csv", HERE / "boards.csv"
SHIPPED = HERE.parents[1] / "export" / "ghostdepth_export" / "pi4" / "latency" / "boards.json"
# The board that all others are compared with.
BASE, BASE_MHZ = "rpi4", 1500.0
# Counted network whose ratio of issuing to memory stands for all of a type.
TYPICAL = {
    "fp32": "mobilenet-v2-1.0-224-non-quantized",
    "int8": "mobilenet-v2-1.0-224-quantized",
}


@dataclass(frozen=True)
class Fitted:
    """What the factors of a board are fitted to.

    Attributes:
        boards: Boards with its core, as named in rows-boards.csv.
        types: Data types whose kernels execute the same instructions on both cores.
        least: The least factor of a cycle and of a line that the two cores allow.
    """

    boards: tuple[str, ...]
    types: tuple[str, ...]
    least: tuple[float, float]


# A Cortex-A76 has twice the vector and load pipes of a Cortex-A72, and SDOT for int8, which no
# published pair of rows shares with it. A Cortex-A53 issues two instructions, not three.
FITTED = {
    "zero2": Fitted(("rpi3b", "rpi3b+", "zero2"), ("fp32", "int8"), (1.0, 0.0)),
    "rpi5": Fitted(("rpi5",), ("fp32",), (0.5, 0.0)),
}


@dataclass(frozen=True)
class Pair:
    """One network on a board and on a Raspberry Pi 4, by one runtime with as many threads.

    Attributes:
        network: Name of the network; all rows of a network are on one side of the split.
        type: `fp32` or `int8`.
        threads: Number of threads.
        clock_mhz: CPU clock of the board.
        ratio: Milliseconds over those of the Raspberry Pi 4.
        held_out: Whether the fit may not see it.
    """

    network: str
    type: str
    threads: int
    clock_mhz: float
    ratio: float
    held_out: bool


def is_held_out(network: str) -> bool:
    """The rule of the split: every third network by the CRC-32 of its name."""
    return zlib.crc32(network.encode()) % 3 == 0


def read_pairs(wanted: Fitted) -> list[Pair]:
    """The rows of a board that have a counterpart on a Raspberry Pi 4."""
    same = ("network", "type", "runtime", "threads", "source")
    lines = csv_rows(ROWS)
    base = {tuple(line[k] for k in same): float(line["ms"]) for line in lines if _on_base(line)}
    return [
        Pair(
            line["network"],
            line["type"],
            int(line["threads"]),
            float(line["clock_mhz"]),
            float(line["ms"]) / base[tuple(line[k] for k in same)],
            line["split"] == "held out",
        )
        for line in lines
        if line["board"] in wanted.boards
        and line["type"] in wanted.types
        and tuple(line[k] for k in same) in base
    ]


def features(pairs: Sequence[Pair]) -> Array:
    """Fractions of issuing and of memory on the Raspberry Pi 4; issuing at the board's clock."""
    counted = {row.model: row for row in read_rows(COUNTED)}
    known = shipped()
    found = []
    for pair in pairs:
        row = counted[TYPICAL[pair.type]]
        # What runs on one thread only, from the counts of one thread and of four.
        alone = (4 * row.thread_cycles - row.cycles) / 3
        cycles = alone + (row.cycles - alone) / pair.threads
        issue, memory = known.cycle.value * cycles, known.line.value * row.lines
        fraction = issue / (issue + memory)
        found.append((fraction * BASE_MHZ / pair.clock_mhz, 1 - fraction))
    return np.array(found)


def board(name: str) -> tuple[dict[str, Any], dict[str, Errors]]:
    """The factors of a board as they are shipped, and their errors by side of the split."""
    wanted = FITTED[name]
    pairs, least = read_pairs(wanted), np.array(wanted.least)
    x, ratios = features(pairs), np.array([pair.ratio for pair in pairs])
    out = np.array([pair.held_out for pair in pairs])
    groups = [pair.network for pair in pairs if not pair.held_out]
    values = fit(x[~out], ratios[~out], least)
    low, high = intervals(x[~out], ratios[~out], groups, least=least)
    found = {
        "left out one by one": errors(left_out(x[~out], ratios[~out], groups, least), ratios[~out]),
        "held out": errors(x[out] @ values, ratios[out]),
    }
    off = np.abs(np.r_[left_out(x[~out], ratios[~out], groups, least), x[out] @ values])
    off = np.abs(off / np.r_[ratios[~out], ratios[out]] - 1)
    provenance = (
        f"{int((~out).sum())} published ratios of {len(set(groups))} networks to a Raspberry Pi 4; "
        "interval: 5 % to 95 % of 1000 draws of networks"
    )
    shipped_form: dict[str, Any] = {
        kind: asdict(
            Coefficient(
                round(float(value), 4),
                round(float(min(a, value)), 4),
                round(float(max(b, value)), 4),
                unit,
                provenance,
            )
        )
        for kind, unit, value, a, b in zip(
            ("cycle", "line"),
            ("cycles for an issue-limited cycle of a Cortex-A72", "times that of a Raspberry Pi 4"),
            values,
            low,
            high,
            strict=True,
        )
    }
    ninety = float(np.quantile(off, 0.9, method="higher"))
    return {**shipped_form, "error": round(ninety, 3)}, found


def factors_without(name: str, network: str) -> tuple[float, float]:
    """The factors of a cycle and of a line, fitted without a network and without what is held out.

    Args:
        name: Name of the board; 1 and 1 for one with a Cortex-A72.
        network: The network that has no part in the fit.
    """
    if name not in FITTED:
        return 1.0, 1.0
    wanted = FITTED[name]
    pairs = [p for p in read_pairs(wanted) if not p.held_out and p.network != network]
    ratios = np.array([pair.ratio for pair in pairs])
    cycle, line = fit(features(pairs), ratios, np.array(wanted.least))
    return float(cycle), float(line)


def _on_base(line: dict[str, str]) -> bool:
    return line["board"] == BASE and float(line["clock_mhz"]) == BASE_MHZ


def main() -> int:
    """Writes the factors and their errors; gives the exit code."""
    boards, table = {}, []
    for name in FITTED:
        boards[name], found = board(name)
        table += [
            {"board": name, "rows": e.rows, "which": side, **_percent(e)}
            for side, e in found.items()
        ]
    write_json(SHIPPED, {"schema": SCHEMA, "boards": boards})
    written = csv_bytes(table)
    write_bytes(RESULTS, written)
    print(written.decode(), end="")
    return 0


def _percent(e: Errors) -> dict[str, str]:
    return {"mean": f"{e.mean:.1%}", "worst": f"{e.worst:.1%}", "bias": f"{e.bias:+.1%}"}


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    sys.exit(main())
