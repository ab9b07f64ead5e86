"""The rows of results.csv: a published time and what was counted of the same network."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import ModelCounts, count, read_counts, write_counts
from ghostdepth_export.pi4.latency import OpWork, read_work
from ghostdepth_export.pi4.latency.costs import costs
from ghostdepth_train.csv_files import csv_bytes
from networks import network, write

THREADS = 4
MLPERF = "MLPerf Inference v1.0, Krai, TFLite 2.4.1, 4 threads"


@dataclass(frozen=True)
class Published:
    """A published time.

    Attributes:
        model: The network's name, as published.
        p50_ms: Median of single-stream queries, milliseconds.
        source: Who published it.
    """

    model: str
    p50_ms: float
    source: str


@dataclass(frozen=True)
class Row:
    """One line of results.csv.

    Attributes:
        model: The network's name, as published.
        family: Networks that share an architecture.
        dtype: `fp32` or `quantized`.
        macs: Multiply-accumulates.
        bytes: Size of all tensors that ops read and write, bytes.
        cycles: Issue-limited, one thread.
        thread_cycles: Issue cycles of the busiest thread of each op.
        lines: Read from DRAM or written to it, 64 bytes each.
        wakes: Ops on several threads.
        input_elements: Elements of a float input, which the harness converts inside its clock.
        p50_ms: Published median.
        predicted_ms: Latency predicted by coefficients that were fitted without the row's family.
        source: Source of the published time.
    """

    model: str
    family: str
    dtype: str
    macs: int
    bytes: int
    cycles: int
    thread_cycles: int
    lines: int
    wakes: int
    input_elements: int
    p50_ms: float
    predicted_ms: float
    source: str

    @property
    def queries(self) -> int:
        """Every published time is of one query of the harness."""
        return 1

    @property
    def network(self) -> str:
        """The network, whatever its numbers are stored as."""
        return self.model.removesuffix("-quantized").removesuffix("-non")


def read_published(path: Path) -> list[Published]:
    """Reads a CSV file with the columns `model` and `p50_ms`, or a results.csv.

    Raises:
        UserError: It cannot be read, or has no such columns.
    """
    try:
        with path.open(newline="") as stream:
            return [
                Published(line["model"], float(line["p50_ms"]), line.get("source") or MLPERF)
                for line in csv.DictReader(stream)
            ]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} has no columns model and p50_ms in numbers ({error})") from error


def read_rows(path: Path) -> list[Row]:
    """Reads results.csv.

    Raises:
        UserError: It cannot be read, or has other columns.
    """
    kinds = {"int": int, "float": float, "str": str}
    try:
        with path.open(newline="") as stream:
            return [
                Row(**{f.name: kinds[str(f.type)](line[f.name]) for f in fields(Row)})
                for line in csv.DictReader(stream)
            ]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not of the form of results.csv ({error})") from error


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes what `read_rows` reads."""
    texts = [{**asdict(row), "predicted_ms": f"{row.predicted_ms:.3f}"} for row in rows]
    write_bytes(path, csv_bytes(texts))


def counted(name: str, folder: Path, root: Path) -> tuple[ModelCounts, list[OpWork]]:
    """Counts a network and describes its ops; makes file and counts where they are missing.

    Args:
        name: Name of a published row.
        folder: Folder in which both are kept.
        root: Root file system of the emulator.

    Raises:
        UserError: The network is not known, or cannot be counted.
    """
    path = write(folder, network(name))
    kept = path.with_suffix(".json")
    if not kept.exists():
        write_counts(kept, [count(path, root)])
    (counts,) = read_counts(kept)
    return counts, read_work(path)


def row(published: Published, counts: ModelCounts, work: Sequence[OpWork]) -> Row:
    """The line of a network, its prediction still missing."""
    wanted = network(published.model)
    total = costs(counts, work, THREADS)
    return Row(
        model=published.model,
        family=wanted.family,
        dtype=wanted.dtype,
        macs=sum(op.macs for op in work),
        bytes=sum(_bytes(op) for op in work),
        cycles=round(counts.total.cycles),
        thread_cycles=round(total.cycles),
        lines=total.lines,
        wakes=total.wakes,
        input_elements=3 * wanted.side**2 if wanted.dtype == "fp32" else 0,
        p50_ms=published.p50_ms,
        predicted_ms=math.nan,
        source=published.source,
    )


def _bytes(op: OpWork) -> int:
    """Of its inputs and its output, as if all had the output's type."""
    elements = math.prod(op.output) + sum(math.prod(shape) for shape in op.inputs)
    return elements * (4 if op.dtype == "FLOAT32" else 1)
