"""Measures compressed networks against the dense one and keeps the figures in `results.csv`.

    python benchmarks/compression/measure.py --data DATA [--run RUN]... [--no-latency]

Each RUN is a folder of `ghostdepth compress`; its name, without a `-SEED` at the end that is the
recipe's seed, is that of the row. For every run and for the dense network (`--reference`) an fp32
and an int8 .tflite are exported. A network's two take turns with the dense fp32 file in one run of
bench-depth on one thread, so that the ratios mean something on any machine, and are compared with
the truth of DATA/val. With `--no-latency`, for many runs of one architecture, nothing is exported
or timed: the runs' accuracy alone is measured, in torch, through the graph of the fp32 file. A row
stands for (name, seed, file) and replaces an older one.
Without --run, and always at the end, the tables are printed: rows with a latency one by one, those
without as means over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_depth.bench import Hooks, bench
from bench_depth.errors import UserError
from bench_depth.files import write_bytes
from bench_depth.measure import Plan
from bench_depth.metrics import DepthMetrics
from bench_depth.options import BenchOptions
from bench_depth.results import ModelRecord
from ghostdepth_export.export import export
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.summary import layer_costs

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
FORMATS = ("fp32.tflite", "int8.tflite")
# Stands for a file in rows of which only the accuracy is known.
TORCH = "torch"
KEY = ("name", "seed", "file")
Row = dict[str, Any]


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
        _say(f"{folder.name}: si-RMSE {accuracy.si_rmse:.4f}, delta_1 {accuracy.delta_1:.3f}")
    return rows


def row_name(folder: str, seed: int | str) -> str:
    """A run folder's name without the seed, so that runs of other seeds have the same."""
    return folder.removesuffix(f"-{seed}") if seed != "" else folder


def _export(checkpoint: Path, out: Path) -> list[Path]:
    """The two files, under names that tell them from another network's."""
    files = export(checkpoint, out, formats=FORMATS, progress=_say)
    return [
        path.rename(out / f"{out.name}-{kind}") for path, kind in zip(files, FORMATS, strict=True)
    ]


def _beside(
    dense: Path, files: Sequence[Path], folder: Path, checkpoint: Path, data: Path, seconds: float
) -> list[Row]:
    """Measures a network's files and the dense fp32 one in turn; few, so that caches stay warm."""
    options = BenchOptions(data=data / "val", threads=(1,), plan=Plan(min_time=seconds))
    records = bench([dense, *files], options, Hooks(_say)).models
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
    if not RESULTS.is_file():
        return []
    return list(csv.DictReader(RESULTS.read_text().splitlines()))


def write_rows(rows: Sequence[Row]) -> None:
    """Adds rows; one with the same key is replaced."""
    kept = {tuple(str(row[k]) for k in KEY): row for row in [*read_rows(), *rows]}
    text = io.StringIO()
    fields = list(dict.fromkeys(field for row in kept.values() for field in row))
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept.values())
    write_bytes(RESULTS, text.getvalue().encode())


def table() -> str:
    """The rows of one network each as Markdown; latency is a share of the dense fp32 file's."""
    rows = [row for row in read_rows() if not _of_seeds(row)]
    head = (
        "| network | seed | file | M parameters | MMACs | MB | latency | "
        "si-RMSE | RMSE m | delta_1 | training min |"
    )
    lines = [head, "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        minutes = f"{float(row['seconds']) / 60:.0f}" if row["seconds"] else ""
        lines.append(
            f"| {row['name']} | {row['seed']} | {row['file'].removesuffix('.tflite')} "
            f"| {_parameters(row)} | {int(row['macs']) / 1e6:.1f} "
            f"| {_fixed(row['bytes'], 1e-6)} | {_fixed(row['latency_ratio'])} "
            f"| {float(row['si_rmse']):.4f} | {float(row['rmse']):.3f} "
            f"| {float(row['delta_1']):.3f} | {minutes} |"
        )
    return "\n".join(lines)


def seeds_table() -> str:
    """The other rows as Markdown: the seeds' mean and standard deviation."""
    groups: dict[str, list[Row]] = {}
    for row in read_rows():
        if _of_seeds(row):
            groups.setdefault(row["name"], []).append(row)
    lines = [
        "| run | steps | seeds | si-RMSE | RMSE m | delta_1 | training min |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name, rows in groups.items():
        figures = [_spread(rows, "si_rmse", 4), _spread(rows, "rmse", 3)]
        figures += [_spread(rows, "delta_1", 3)]
        minutes = statistics.mean(float(row["seconds"] or 0) for row in rows) / 60
        cells = [name, rows[0]["steps"], str(len(rows)), *figures, f"{minutes:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _of_seeds(row: Row) -> bool:
    """Whether a row is one of many runs of an architecture; adders have no latency either."""
    return not row["latency_ratio"] and "adder" not in row["steps"]


def _parameters(row: Row) -> str:
    """Millions; of a network with zeroed weights those left as well."""
    total, left = int(row["parameters"]), int(row["nonzero"])
    zeroed = f" ({left / 1e6:.2f} not zero)" if left < 0.99 * total else ""
    return f"{total / 1e6:.2f}{zeroed}"


def _fixed(value: str, factor: float = 1.0) -> str:
    return f"{float(value) * factor:.2f}" if value else ""


def _spread(rows: Sequence[Row], key: str, digits: int) -> str:
    values = [float(row[key]) for row in rows]
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--reference", type=Path, default=ROOT / "models" / "ghostdepth-s")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each file")
    parser.add_argument("--no-latency", action="store_true", help="accuracy alone, in torch")
    arguments = parser.parse_args()
    try:
        if arguments.run:
            if arguments.data is None:
                parser.error("--run needs --data")
            if arguments.no_latency:
                write_rows(measure_accuracy(arguments.run, arguments.data))
            else:
                own = (arguments.run, arguments.reference, arguments.data, arguments.seconds)
                write_rows(measure(*own))
        print(table(), seeds_table(), sep="\n\n")
    except UserError as error:
        sys.exit(f"measure: {error}")
