"""Measures compressed networks against the dense one and keeps the figures in `results.csv`.

    python benchmarks/compression/measure.py --data DATA [--run RUN]... [--no-latency]

Each RUN is a folder of `ghostdepth compress`; its name, without a `-SEED` at the end that is the
recipe's seed, is that of the row. For every run and for the dense network (`--reference`) an fp32
and an int8 .tflite are exported. A network's two take turns with the dense fp32 file in one run of
bench-depth on one thread, so that the ratios mean something on any machine, and are compared with
the ground truth of DATA/val. With `--no-latency`, for many runs of one architecture, nothing is
exported or timed: the accuracy alone is measured, in torch, through the graph of the fp32 file. A
row stands for (name, seed, file) and replaces an older one.
Without --run, and always at the end, the tables are printed: means over the seeds, and their
standard deviation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench_depth.benchmark.bench import bench
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import DepthMetrics
from bench_depth.core.screen import say
from bench_depth.results.records import ModelRecord
from bench_depth.timing.measure import TimingPlan
from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table, mean_and_deviation
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.summary import layer_costs

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
FORMATS = ("fp32.tflite", "int8.tflite")
# Stands for a file in rows of which only the accuracy is known.
TORCH = "torch"
KEY = ("name", "seed", "file")
# What `summary` shows of the networks, and how it says what they are.
BEST = {
    "ghostnet-s": "as it is",
    "s-student": "distilled",
    "half-student": "distilled, pruned to half, distilled",
    "qat-xxs": "pruned, distilled, blocks removed, distilled, trained for int8",
}
_ACCURACY = ("si-RMSE", "RMSE m", "delta_1", "training min")

Row = dict[str, Any]
_log = partial(say, error=True)


def measure(runs: Sequence[Path], reference: Path, data: Path, seconds: float) -> list[Row]:
    """Two rows, fp32 and int8, for the reference and every run."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        dense = _export(reference, out / "dense")
        rows = _beside(dense[0], dense[1:], reference, reference, data, seconds)
        for folder in runs:
            files = _export(folder / "result", out / folder.name)
            rows += _beside(dense[0], files, folder, folder / "result", data, seconds)[1:]
    return rows


def measure_accuracy(runs: Sequence[Path], data: Path) -> list[Row]:
    """One row for each run, without latency: its network in torch on DATA/val."""
    import torch

    pairs, rows = read_split(data).val, []
    for folder in runs:
        network = load_checkpoint(folder / "result").network
        accuracy = evaluate(network, pairs)
        runtime = f"torch {torch.__version__}"
        facts = _facts(folder, folder / "result") | {"file": TORCH}
        rows.append(facts | _accuracy(accuracy) | {"runtime": runtime})
        _log(f"{folder.name}: si-RMSE {accuracy.si_rmse:.4f}, delta_1 {accuracy.delta_1:.3f}")
    return rows


def row_name(folder: str, seed: int | str) -> str:
    """A run folder's name without the seed, so that runs of other seeds have the same."""
    return folder.removesuffix(f"-{seed}") if seed != "" else folder


def _export(checkpoint: Path, out: Path) -> list[Path]:
    """The two files, under names that tell them from another network's."""
    files = export(checkpoint, out, formats=FORMATS, progress=_log)
    return [
        path.rename(out / f"{out.name}-{kind}") for path, kind in zip(files, FORMATS, strict=True)
    ]


def _beside(
    dense: Path, files: Sequence[Path], folder: Path, checkpoint: Path, data: Path, seconds: float
) -> list[Row]:
    """Measures a network's files and the dense fp32 one in turn; few, so that caches stay warm."""
    options = BenchOptions(data=data / "val", threads=(1,), plan=TimingPlan(min_time=seconds))
    records = bench([dense, *files], options, Hooks(_log)).models
    kinds = [FORMATS[0], *FORMATS[-len(files) :]]
    facts = _facts(folder, checkpoint)
    return [facts | {"file": k} | _figures(r) for k, r in zip(kinds, records, strict=True)]


def _facts(folder: Path, checkpoint: Path) -> Row:
    loaded = load_checkpoint(checkpoint)
    network, costs = loaded.network, layer_costs(loaded.network)
    recipe = folder / "recipe.json"
    steps = json.loads(recipe.read_text())["steps"] if recipe.is_file() else []
    seconds = sum(step["seconds"] for step in loaded.metrics.get("steps", []))
    seed = steps[0]["seed"] if steps else ""
    return {
        "name": row_name(folder.name, seed),
        "seed": seed,
        "steps": " + ".join(step["method"] for step in steps) or "dense",
        "input": f"{network.config.input_width}x{network.config.input_height}",
        "parameters": sum(row.parameters for row in costs),
        "nonzero": sum(int(p.count_nonzero()) for p in network.parameters()),
        "macs": sum(row.macs for row in costs),
        "seconds": round(seconds) or "",
    }


def _figures(record: ModelRecord) -> Row:
    assert record.accuracy is not None
    ratio = record.comparison
    return {
        "bytes": record.bytes,
        "latency_ratio": round(ratio.ratio, 4) if ratio else 1,
        "latency_low": round(ratio.low, 4) if ratio and ratio.low else "",
        "latency_high": round(ratio.high, 4) if ratio and ratio.high else "",
        **_accuracy(record.accuracy.mean),
        "runtime": f"{record.runtime.name} {record.runtime.version}",
    }


def _accuracy(mean: DepthMetrics) -> Row:
    return {
        "si_rmse": round(mean.si_rmse, 5),
        "rmse": round(mean.rmse, 4),
        "delta_1": round(mean.delta_1, 4),
    }


def read_rows() -> list[Row]:
    """What is known so far."""
    return csv_rows(RESULTS)


def write_rows(rows: Sequence[Row]) -> None:
    """Adds rows; one with the same key is replaced."""
    kept = {tuple(str(row[k]) for k in KEY): row for row in [*read_rows(), *rows]}
    write_bytes(RESULTS, csv_bytes(list(kept.values())))


def summary() -> str:
    """What the recipes give, as fractions of the dense fp32 file, as Markdown."""
    best = [row for row in read_rows() if row["name"] in BEST and row["file"] in FORMATS]
    order = list(BEST)
    groups = sorted(_groups(best, "name", "file"), key=lambda rows: order.index(rows[0]["name"]))
    dense = groups[0]
    lines = []
    for rows in groups:
        name, kind = rows[0]["name"], rows[0]["file"].removesuffix(".tflite")
        macs, size = _fraction(rows, dense, "macs"), _fraction(rows, dense, "bytes")
        error = 100 * (_fraction(rows, dense, "si_rmse") - 1)
        costs = [f"{macs:.2f}", f"{size:.2f}", _mean(rows, "latency_ratio")]
        si_rmse = f"{_spread(rows, 'si_rmse', 4)} ({error:+.1f} %)"
        lines.append([BEST[name], kind, *costs, si_rmse, _spread(rows, "delta_1", 3)])
    heads = ["from ghostnet-s", "file", "MACs", "size", "latency", "si-RMSE", "delta_1"]
    return markdown_table(heads, lines, (0, 1))


def table() -> str:
    """Every file of a network as Markdown, large ones first; latency is that of `summary`."""
    heads = ["network", "seeds", "file", "M parameters", "MMACs", "MB", "latency", *_ACCURACY]
    lines = []
    groups = _groups([row for row in read_rows() if not _of_seeds(row)], "name", "file")
    # Pruned to the same target, MACs differ by less than this.
    for rows in sorted(groups, key=lambda rows: -round(int(rows[0]["macs"]) / 1e6)):
        first = rows[0]
        cells = [first["name"], str(len(rows)), first["file"].removesuffix(".tflite")]
        cells += [_parameters(first), f"{int(first['macs']) / 1e6:.1f}"]
        cells += [_mean(rows, "bytes", 1e-6), _mean(rows, "latency_ratio")]
        lines.append([*cells, *_accuracies(rows)])
    return markdown_table(heads, lines, (0, 2))


def seeds_table() -> str:
    """The rows without latency as Markdown, a line for each run: the mean and the spread."""
    lines = (
        [rows[0]["name"], rows[0]["steps"], str(len(rows)), *_accuracies(rows)]
        for rows in _groups([row for row in read_rows() if _of_seeds(row)], "name")
    )
    return markdown_table(["run", "steps", "seeds", *_ACCURACY], lines, (0, 1))


def _groups(rows: Sequence[Row], *keys: str) -> list[list[Row]]:
    """The rows that differ in their seed alone, in the order of the first ones."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(groups.values())


def _of_seeds(row: Row) -> bool:
    """Whether a row is one of many runs of an architecture; adders have no latency either."""
    return not row["latency_ratio"] and "adder" not in row["steps"]


def _parameters(row: Row) -> str:
    """Millions; of a network with zeroed weights those left as well."""
    total, left = int(row["parameters"]), int(row["nonzero"])
    zeroed = f" ({left / 1e6:.2f} not zero)" if left < 0.99 * total else ""
    return f"{total / 1e6:.2f}{zeroed}"


def _accuracies(rows: Sequence[Row]) -> list[str]:
    """The cells of `_ACCURACY`."""
    figures = (("si_rmse", 4), ("rmse", 3), ("delta_1", 3))
    times = [float(row["seconds"]) for row in rows if row["seconds"]]
    minutes = f"{statistics.mean(times) / 60:.0f}" if times else ""
    return [*(_spread(rows, key, digits) for key, digits in figures), minutes]


def _mean(rows: Sequence[Row], key: str, factor: float = 1.0) -> str:
    values = [float(row[key]) for row in rows if row[key]]
    return f"{statistics.mean(values) * factor:.2f}" if values else ""


def _fraction(rows: Sequence[Row], of: Sequence[Row], key: str) -> float:
    mine, its = (statistics.mean(float(row[key]) for row in group) for group in (rows, of))
    return mine / its


def _spread(rows: Sequence[Row], key: str, digits: int) -> str:
    return mean_and_deviation([float(row[key]) for row in rows], digits)


def main() -> int:
    """Measures what is asked for, and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--reference", type=Path, default=Path("runs/ghostnet-s-finish/best"))
    parser.add_argument("--seconds", type=float, default=8.0, help="for each file")
    parser.add_argument("--no-latency", action="store_true", help="accuracy alone, in torch")
    options = parser.parse_args()
    if options.run and options.data is None:
        parser.error("--run needs --data")
    if options.run and options.no_latency:
        write_rows(measure_accuracy(options.run, options.data))
    elif options.run:
        write_rows(measure(options.run, options.reference, options.data, options.seconds))
    print(summary(), table(), seeds_table(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("measure.py", main))
