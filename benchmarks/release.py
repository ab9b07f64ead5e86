"""Releases the checkpoint of a training run and measures every figure of its model card.

    python benchmarks/release.py --run runs/ghostnet-s --run runs/ghostnet-s-finish --data DATA
    python benchmarks/release.py --run runs/n --name ghostdepth-nano --data DATA
    python benchmarks/release.py --run runs/t --name teachers/x --no-files --data DATA
    python benchmarks/release.py --again ghostdepth-nano --data DATA

A run is a folder of `ghostdepth train` or `ghostdepth compress`. The last one is released; runs
before it are earlier stages, whose epochs are counted. --again exports and measures the files of a
released checkpoint again, after a change of the export. --no-files is for teachers,
which are not exported.
DATA holds `train/` and `val/`, the folders the runs were trained on. Writes `models/NAME/`: the
checkpoint (convolutions in 16 bits) and `metrics.json` with the accuracy of the network, of every
exported file (through bench-depth, in another runtime) and of the constant map to beat. The card
and README take their tables from there (`benchmarks/tables.py`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench_depth.benchmark.bench import bench
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes, write_json
from bench_depth.core.screen import say
from bench_depth.model.released import MODELS
from bench_depth.timing.measure import TimingPlan
from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import METRICS, load_checkpoint, save_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import constant_baseline, evaluate
from ghostdepth_train.models.summary import layer_costs

ROOT = Path(__file__).resolve().parent.parent
_log = partial(say, error=True)


def release(
    runs: list[Path],
    data: Path,
    name: str | None,
    files: bool,
    trained_on: str | None = None,
    hfov: float | None = None,
) -> Path:
    """Writes `models/NAME` and returns its path; without `files` nothing is exported."""
    result = runs[-1] / "result"
    trained = load_checkpoint(result if result.is_dir() else runs[-1] / "best")
    if hfov is not None:
        trained.network.config = trained.config.model_copy(update={"hfov": hfov})
    split, name = read_split(data), name or trained.name
    logs = {file: log for run in runs for file, log in _logs(run).items()}
    folder = ROOT / "models" / name

    def save(metrics: dict[str, Any]) -> None:
        save_checkpoint(
            folder,
            trained.network,
            name=folder.name,
            training_data=trained_on or trained.training_data,
            metrics=metrics,
            ranges=trained.ranges,
            half=True,
        )

    save({})
    # Loaded again, so that the rounded weights in the file are measured.
    network = load_checkpoint(folder).network
    costs = layer_costs(network)
    metrics: dict[str, Any] = {
        "validation_images": len(split.val),
        "training_images": len(split.train),
        "alignment": "none",
        "validation": evaluate(network, split.val).to_dict(),
        "constant_map": constant_baseline(split.train, split.val).to_dict(),
        "parameters": sum(row.parameters for row in costs),
        "macs": sum(row.macs for row in costs),
        "epochs": sum(len(log.read_text().splitlines()) - 1 for log in logs.values()),
    }
    # The contract inside the exported files holds these figures.
    save(metrics)
    if files:
        save(metrics | {"files": _files(folder, data)})
    for file, log in logs.items():
        _write_log(log, folder / file)
    return folder


def again(name: str, data: Path) -> Path:
    """Exports and measures the files of `models/NAME` again; replaces those that are committed."""
    folder = ROOT / "models" / name
    metrics = load_checkpoint(folder).metrics
    write_json(folder / METRICS, {**metrics, "files": _files(folder, data)})
    return folder


def _files(folder: Path, data: Path) -> dict[str, dict[str, float]]:
    """Exports a checkpoint and measures every file; replaces those that are committed."""
    with tempfile.TemporaryDirectory() as temporary:
        files = export(folder, Path(temporary), progress=_log)
        for file in files:
            for held in (MODELS / file.name, folder / file.name):
                if held.is_file():
                    write_bytes(held, file.read_bytes())
        return _measure(files, data / "val")


def _logs(run: Path) -> dict[str, Path]:
    """The logs of a training, of a compression run or of a released network, by their new names."""
    kept = {log.name: log for log in sorted(run.glob("log-*.csv"))}
    own = [run / "log.csv"] if (run / "log.csv").is_file() else sorted(run.glob("*/run*/log.csv"))
    if len(own) == 1:
        return {f"log-{run.name}.csv": own[0]}
    return kept or {f"log-{run.name}-{log.parent.parent.name}.csv": log for log in own}


def _measure(files: list[Path], val: Path) -> dict[str, dict[str, float]]:
    """Accuracy and size of every file; each is timed once only, as latency is not reported."""
    options = BenchOptions(data=val, plan=TimingPlan(warmup=0, min_runs=1, min_time=0.0))
    rows = {}
    for record in bench(files, options, Hooks(_log)).models:
        assert record.accuracy is not None
        rows[record.file] = {"bytes": record.bytes} | record.accuracy.mean.to_dict()
    return rows


def _write_log(source: Path, target: Path) -> None:
    """Writes the log without the column that depends on the load of the machine."""
    rows = csv_rows(source)
    for row in rows:
        row.pop("images_per_second", None)
    write_bytes(target, csv_bytes(rows))


def main() -> int:
    """Releases a run, or measures a released checkpoint again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, action="append")
    what.add_argument("--again", metavar="NAME")
    parser.add_argument("--name", help="instead of the run's own")
    parser.add_argument("--trained-on", help="the data and its terms, instead of the run's line")
    parser.add_argument("--hfov", type=float, help="of the camera of the training data, degrees")
    parser.add_argument("--no-files", action="store_true", help="export nothing")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    if options.again:
        print(again(options.again, options.data))
    else:
        given = options.run, options.data, options.name, not options.no_files
        print(release(*given, options.trained_on, options.hfov))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("release.py", main))
