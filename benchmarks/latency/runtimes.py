"""Fits and checks the latency in LiteRT and ONNX Runtime on published times of a Raspberry Pi 4.

    python benchmarks/latency/runtimes.py [--count FOLDER [--no-new]]

The published times are the rows of rows-boards.csv of XNNPACK and of ONNX Runtime on a Raspberry
Pi 4, at 1500 MHz or at 1800, with the split that stands there, and on a Raspberry Pi 5: what is
held out or of a Raspberry Pi 5 has no part in the fit. Neither have times of 32-bit kernels, since
64-bit kernels are counted; they stand in the tables. One number is fitted, the milliseconds of a
line that the first cache had not; the others are TensorFlow Lite 2.5's. Nothing is fitted to times
of ONNX Runtime, which are of an older version. With --count the networks that runtimes.csv has no
costs of are built and counted, up to some minutes each; files and counts are kept in FOLDER, where
counts that are there replace the costs in runtimes.csv. --no-new builds and counts nothing.
Writes runtimes.csv, runtimes-errors.csv, and what `ghostdepth latency --runtime` ships.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.errors import exit_code
from bench_depth.core.files import read_json, write_bytes, write_json
from boards import factors_without
from fit import Array, errors
from ghostdepth_export.pi4.counter import ModelCounts, count, read_counts, write_counts
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency import board_coefficients, shipped
from ghostdepth_export.pi4.latency import runtimes as package
from ghostdepth_export.pi4.latency.costs import Costs, outside_costs, split_cost
from ghostdepth_export.pi4.latency.prediction import milliseconds
from ghostdepth_export.pi4.latency.runtimes import share
from ghostdepth_export.pi4.latency.runtimes.evidence import SCHEMA
from ghostdepth_export.pi4.latency.runtimes.pools import in_nhwc
from ghostdepth_export.pi4.latency.runtimes.prediction import core
from ghostdepth_export.pi4.latency.ruy import ALONE
from ghostdepth_train.csv_files import csv_bytes

HERE = Path(__file__).resolve().parent
PUBLISHED, ROWS, ERRORS = (
    HERE / "rows-boards.csv",
    HERE / "runtimes.csv",
    HERE / "runtimes-errors.csv",
)
SHIPPED = Path(str(resources.files(package) / "runtimes.json"))
# Networks of rows-boards.csv whose file here has another name, and those that are not built.
FILES = {"mobilenet-v1": "mobilenet-v1-1.0-224", "mobilenet-v2": "mobilenet-v2-1.0-224"}
NOT_BUILT = re.compile(
    r"efficientdet-lite(3|3x|4)|ssd-mnasfpn|ssdlite-mobile(det-cpu|net-v3-(large|small))|vgg13"
)
A72_BOARDS = ("rpi4", "rpi4-1800")
LITERT, ONNX_RUNTIME = "litert", "onnxruntime"
BOARDS = (*A72_BOARDS, "rpi5")


@dataclass(frozen=True)
class Row:
    """A published time, and the costs of the same network in LiteRT or ONNX Runtime.

    Attributes:
        network: Name of the network.
        type: `fp32` or `int8`.
        runtime: What was timed.
        threads: Number of threads.
        board: Name of the board.
        ms: Published milliseconds.
        split: `fitted` or `held out`.
        cycles: Issue-limited, of the busiest thread of each operator.
        lines: Read from DRAM or written to it, 64 bytes each.
        wakes: Operators on several threads.
        near: Lines that the first cache had not.
        source: Address of the published time.
    """

    network: str
    type: str
    runtime: str
    threads: int
    board: str
    ms: float
    split: str
    cycles: float
    lines: int
    wakes: int
    near: int
    source: str

    @property
    def costs(self) -> Costs:
        """The costs of the network."""
        return Costs(self.cycles, self.lines, self.wakes, self.near)

    @property
    def library(self) -> str:
        """The counted runtime that stands for the one that was timed."""
        return library_of(self.runtime)

    @property
    def family(self) -> str:
        """What networks of one architecture share of their names."""
        match = re.match(r"[a-z]+(-v\d|-lite)?", self.network)
        assert match is not None, self.network
        return match.group()

    @property
    def core(self) -> str:
        """QEMU's name of the core that the costs were counted on."""
        return core(self.type == "int8", self.board)

    @property
    def other_kernels(self) -> bool:
        """Whether 32-bit kernels were timed: those counted are of 64 bits."""
        return "32-bit" in self.runtime


def library_of(runtime: str) -> str:
    """The counted runtime for the name of one in rows-boards.csv; empty where there is none."""
    if "ONNX Runtime" in runtime:
        return ONNX_RUNTIME
    return LITERT if "XNNPACK" in runtime else ""


def core_of(line: Mapping[str, str]) -> str:
    """QEMU's name of the core on which a row of rows-boards.csv is counted."""
    return core(line["type"] == "int8", line["board"])


def published_rows(folder: Path | None = None, new: bool = False) -> tuple[list[Row], list[str]]:
    """The published times of networks whose costs are known, and LiteRT's types of operators.

    Args:
        folder: Folder of files and their counts, which replace the costs in runtimes.csv.
        new: Whether to count networks of which there is neither; otherwise they are left out.

    Raises:
        UserError: A network cannot be counted, or a program is missing.
    """
    known = {
        (row.library, row.network, row.type, row.threads, row.core): row.costs
        for row in read_rows()
    }
    rows, types = [], set(read_json(SHIPPED)["runtimes"][LITERT]["calibrated"])
    for line in _published():
        threads, library = int(line["threads"]), library_of(line["runtime"])
        costs = known.get((library, line["network"], line["type"], threads, core_of(line)))
        counts = _counts(folder, line, new and costs is None) if folder else None
        if counts is not None:
            costs = costs_of(counts, threads)
            types |= {op.name for op in counts.ops if library == LITERT}
        if costs is not None:
            told = {k: line[k] for k in ("network", "type", "runtime", "board", "split", "source")}
            rows.append(Row(**told, threads=threads, ms=float(line["ms"]), **asdict(costs)))
    return rows, sorted(types)


def _published() -> list[dict[str, str]]:
    with PUBLISHED.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    return [
        line
        for line in lines
        if line["board"] in BOARDS
        and library_of(line["runtime"])
        and not NOT_BUILT.fullmatch(line["network"])
    ]


def _counts(folder: Path, line: dict[str, str], new: bool) -> ModelCounts | None:
    from ghostdepth_export.pi4.emulator import build_root

    library = library_of(line["runtime"])
    name = FILES.get(line["network"], line["network"]) + ("-int8" if line["type"] == "int8" else "")
    cpu = core_of(line)
    marks = (".onnx" if library == ONNX_RUNTIME else "") + (f".{cpu}" if cpu != CPU else "")
    path = folder / f"{name}{marks}.json"
    if new and not path.exists():
        file = _built(folder, name, library)
        write_counts(path, [count(file, build_root("trixie"), library, cpu)])
    return read_counts(path)[0] if path.exists() else None


def _built(folder: Path, name: str, library: str) -> Path:
    if library == LITERT:
        from networks import network, write

        return write(folder, network(name))
    from onnx_networks import write_timm

    return write_timm(folder / f"{name}.onnx")


def costs_of(counts: ModelCounts, threads: int) -> Costs:
    """The costs of a network: cycles of the busiest thread, lines of all threads."""
    nhwc = in_nhwc(counts)
    ops = (split_cost(op, share(op, counts.library, threads, nhwc) or ALONE) for op in counts.ops)
    return sum(ops, outside_costs(counts))


def read_rows() -> list[Row]:
    """The rows of runtimes.csv."""
    kinds = {"int": int, "float": float, "str": str}
    with ROWS.open(newline="") as stream:
        return [
            Row(**{k: kinds[str(t)](line[k]) for k, t in Row.__annotations__.items()})
            for line in csv.DictReader(stream)
        ]


def features(rows: Sequence[Row]) -> Array:
    """Million lines that the first cache had not, and the milliseconds of all other costs.

    The lines are weighted by the clock of a Raspberry Pi 4 over the board's.
    """
    # Those shipped have no cost of a line that the first cache had not.
    of = {name: board_coefficients(name) for name in A72_BOARDS}
    return np.array(
        [
            (
                row.near / 1e6 * shipped().clock_mhz / of[row.board].clock_mhz,
                sum(milliseconds(row.costs, of[row.board])),
            )
            for row in rows
        ]
    )


def near(rows: Sequence[Row]) -> float:
    """Milliseconds for a million lines, with the least sum of squared relative errors."""
    x, ms = features(rows), np.array([row.ms for row in rows])
    part, rest = x[:, 0] / ms, 1 - x[:, 1] / ms
    return max(0.0, float(part @ rest / (part @ part)))


def fitted_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that the fit may see: XNNPACK's on an A72, neither held out nor of other kernels."""
    return [row for row in rows if row.board in A72_BOARDS and _of_fitted(row)]


def _of_fitted(row: Row) -> bool:
    return row.library == LITERT and row.split == "fitted" and not row.other_kernels


def near_without(rows: Sequence[Row], row: Row) -> float:
    """`near` of the rows that the fit may see, less the family of a row that is fitted."""
    left = row.family if _of_fitted(row) else None
    return near([each for each in fitted_rows(rows) if each.family != left])


def predicted_ms(rows: Sequence[Row]) -> Array:
    """Of every row, by `near_without` it and by factors of its board without its network."""
    return np.array([_predicted_ms(rows, row) for row in rows])


def _predicted_ms(rows: Sequence[Row], row: Row) -> float:
    start = replace(shipped(), near=near_without(rows, row))
    known = board_coefficients(row.board, start, factors_without(row.board, row.network))
    return sum(milliseconds(row.costs, known))


def errors_of(rows: Sequence[Row], predicted: Array) -> list[dict[str, str]]:
    """The errors by side of the split, type and threads; apart, of other kernels and libraries."""
    ms = np.array([row.ms for row in rows])
    own = np.array([row.library == LITERT for row in rows])
    a72 = np.array([row.board in A72_BOARDS for row in rows])
    int8 = np.array([row.type == "int8" for row in rows])
    same = own & a72 & [not row.other_kernels for row in rows]
    out = np.array([row.split == "held out" for row in rows])
    alone = np.array([row.threads == 1 for row in rows])
    parts = {
        "held out": same & out,
        "fitted, family left out": same & ~out,
        "fp32": same & ~int8,
        "int8": same & int8,
        "one thread": same & alone,
        "several threads": same & ~alone,
        "32-bit kernels, held out": own & a72 & ~same & out,
        "32-bit kernels, not held out": own & a72 & ~same & ~out,
        "Raspberry Pi 5, fp32, network left out": own & ~a72 & ~int8,
        "Raspberry Pi 5, int8": own & ~a72 & int8,
        "ONNX Runtime, Raspberry Pi 4": ~own & a72,
        "ONNX Runtime, Raspberry Pi 5": ~own & ~a72,
    }
    table = []
    for name, part in parts.items():
        if part.any():
            e = errors(predicted[part], ms[part])
            percent = {"mean": f"{e.mean:.1%}", "worst": f"{e.worst:.1%}", "bias": f"{e.bias:+.1%}"}
            table.append({"rows": name, "number": str(e.rows), **percent})
    return table


def main() -> int:
    """Writes the rows, the errors and what is shipped; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=Path, metavar="FOLDER", help="build and count the networks")
    parser.add_argument("--no-new", action="store_true", help="take only counts that are there")
    options = parser.parse_args()
    rows, types = published_rows(options.count, not options.no_new)
    predicted = predicted_ms(rows)
    write_bytes(
        ROWS,
        csv_bytes(
            [
                {
                    **asdict(row),
                    "cycles": round(row.cycles),
                    "predicted_ms": f"{ms:.2f}",
                }
                for row, ms in zip(rows, predicted, strict=True)
            ]
        ),
    )
    write_bytes(ERRORS, csv_bytes(errors_of(rows, predicted)))
    write_json(SHIPPED, shipped_form(rows, predicted, types))
    print(ERRORS.read_text(), end="")
    return 0


def shipped_form(rows: Sequence[Row], predicted: Array, types: Sequence[str]) -> dict[str, Any]:
    """What `runtime_coefficients` reads."""
    ratios = predicted / np.array([row.ms for row in rows])
    own = np.array([row.library == LITERT for row in rows])
    same = own & [row.board in A72_BOARDS and not row.other_kernels for row in rows]
    fitted = fitted_rows(rows)
    networks = len({row.network for row in fitted})
    litert = {
        "near": round(near(fitted), 3),
        # The largest of all, fitted rows with their family left out.
        "error": round(float(np.abs(ratios[same] - 1).max()), 3),
        "uncalibrated_error": shipped().uncalibrated_error,
        "calibrated": list(types),
        "provenance": f"{len(fitted)} published times of {networks} networks by XNNPACK",
    }
    # A band that holds all published times: of an older version, on both boards.
    error = _rounded_up(1 - 1 / ratios[~own].max())
    other = {
        "near": litert["near"],
        "error": error,
        "uncalibrated_error": _rounded_up(1 / ratios[~own].min() - 1 - error),
        "calibrated": [],
        "provenance": f"not fitted; the band holds {int((~own).sum())} published times",
    }
    return {"schema": SCHEMA, "runtimes": {LITERT: litert, ONNX_RUNTIME: other}}


def _rounded_up(value: float) -> float:
    return math.ceil(value * 1e3) / 1e3


if __name__ == "__main__":
    sys.exit(exit_code("runtimes.py", main))
