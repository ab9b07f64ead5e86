"""Pretraining of the encoder against none, at equal total time: figures and a table.

    python benchmarks/papers/pretraining.py --data DATA --images DIR... --runs RUNS
        [--config NAME] [--set KEY=VALUE]... [--seconds N] [--seeds 0 1 2] [--fractions 0.1 0.33 1]

For each seed and each fraction of the pairs of DATA/train: a depth network trained from random
weights for all of the time, and for each method one whose encoder was pretrained on the images for
about a third of it and that is trained for the rest. Time is seconds of the processor in one
thread, which other programs on the machine do not take from. The number of epochs follows from the
speed of each training, measured once per RUNS, and from what the pretraining really took; one
pretraining serves all fractions, and each of them pays for it. Validation costs nothing.

Rows that are in `pretraining.csv` are kept: a command that was stopped continues. Each --seconds
needs RUNS of its own.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_depth.core.errors import exit_code
from bench_depth.core.files import read_object, write_bytes, write_json
from bench_depth.core.screen import counted
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table, mean_and_deviation
from ghostdepth_train.data import batches, fraction_of, read_split
from ghostdepth_train.pretraining import Pretrainer, load_pretrain_config, split_images
from ghostdepth_train.settings import parse_settings
from ghostdepth_train.trainer import RunOptions, Trainer

RESULTS = Path(__file__).with_name("pretraining.csv")
SCRATCH = "from scratch"
ARMS = (SCRATCH, "skip-gram", "cbow", "features")
# Part of the time that a pretraining gets.
PART = 1 / 3
_WARM_UP, _TIMED = 2, 8
Row = dict[str, Any]


class Bench:
    """The runs of one set of options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.settings = parse_settings(options.settings)
        self.split = read_split(options.data)
        self.images = split_images(options.images)

    def row(self, arm: str, fraction: float, seed: int) -> Row:
        """Trains one network and measures it on the validation set."""
        options = self.options
        spent, init = 0.0, None
        if arm != SCRATCH:
            spent, init = self._pretrained(arm, seed)
        split = fraction_of(self.split, fraction)
        steps_per_second = self._rate(SCRATCH)
        steps = (options.seconds - spent) * steps_per_second
        per_epoch = max(1, len(split.train) // self._config(1, seed).batch_size)
        epochs = max(1, round(steps / per_epoch))
        out = options.runs / f"{arm.replace(' ', '-')}-{fraction:g}-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        config = self._config(epochs, seed)
        trainer = Trainer(config, split, RunOptions(out, "bench", "bench", workers=0, init=init))
        last = trainer.run()[-1]
        return {
            "arm": arm,
            "fraction": f"{fraction:g}",
            "seed": seed,
            "seconds": options.seconds,
            "pretraining_seconds": round(spent, 1),
            "pairs": len(split.train),
            "images": len(self.images.train),
            "config": options.config,
            "input": f"{config.network.input_height}x{config.network.input_width}",
            "epochs": epochs,
            "steps": epochs * per_epoch,
            **{key: round(last[key], 5) for key in ("si_rmse", "rmse", "delta_1")},
        }

    def _pretrained(self, method: str, seed: int) -> tuple[float, Path]:
        """The processor's seconds of a pretraining, and its checkpoint; made where missing."""
        out = self.options.runs / f"pretrain-{method}-{seed}"
        record = out / "seconds.json"
        if not record.is_file():
            shutil.rmtree(out, ignore_errors=True)
            rate = self._rate(method)
            began = time.process_time()
            per_epoch = max(1, len(self.images.train) // self._pretraining(method, 1, 0).batch_size)
            epochs = max(1, round(PART * self.options.seconds * rate / per_epoch))
            config = self._pretraining(method, epochs, seed)
            Pretrainer(config, self.images, RunOptions(out, "bench", "bench", workers=0)).run()
            write_json(record, {"seconds": time.process_time() - began, "epochs": epochs})
        return float(read_object(record)["seconds"]), out / "last"

    def _rate(self, arm: str) -> float:
        """Optimizer steps per second of the processor, measured once."""
        path = self.options.runs / "rates.json"
        rates = read_object(path) if path.is_file() else {}
        if arm not in rates:
            trial = self.options.runs / "trial"
            shutil.rmtree(trial, ignore_errors=True)
            options = RunOptions(trial, "trial", "trial", workers=0)
            if arm == SCRATCH:
                trainer = Trainer(self._config(1, 0), self.split, options)
            else:
                trainer = Pretrainer(self._pretraining(arm, 1, 0), self.images, options)
            network = trainer.network.train()
            for index, batch in enumerate(itertools.cycle(batches(trainer.loader))):
                if index == _WARM_UP:
                    began = time.process_time()
                if index == _WARM_UP + _TIMED:
                    break
                trainer.step(network, *batch)
            rates[arm] = _TIMED / (time.process_time() - began)
            write_json(path, rates)
        return float(rates[arm])

    def _config(self, epochs: int, seed: int) -> TrainConfig:
        changes = {"epochs": epochs, "eval_every": epochs, "seed": seed}
        return load_train_config(self.options.config, changes, self.settings)

    def _pretraining(self, method: str, epochs: int, seed: int) -> Any:
        changes = {"method": method, "epochs": epochs, "eval_every": epochs, "seed": seed}
        network = {key: value for key, value in self.settings.items() if key.startswith("network.")}
        return load_pretrain_config(self.options.config, changes, network)


def table() -> str:
    """si-RMSE of each arm, by time and fraction, as Markdown: mean and deviation of the seeds."""
    rows = csv_rows(RESULTS)
    if not rows:
        return "Nothing yet."
    columns = sorted({_column(row) for row in rows})
    heads = ["encoder", *(f"{time:g} s, {part:.0%} of the pairs" for time, part in columns)]
    lines = []
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        cells = [_cell([row for row in own if _column(row) == column]) for column in columns]
        lines.append([arm, *cells])
    first = rows[0]
    seeds = len({row["seed"] for row in rows})
    note = (
        f"si-RMSE on the validation set, {counted(seeds, 'seed')}; {first['config']} at "
        f"{first['input']}, processor seconds for each, {first['images']} images."
    )
    return f"{markdown_table(heads, lines)}\n\n{note}"


def _column(row: Row) -> tuple[float, float]:
    return float(row["seconds"]), float(row["fraction"])


def _cell(rows: Sequence[Row]) -> str:
    values = [float(row["si_rmse"]) for row in rows]
    return mean_and_deviation(values) if values else "not measured"


def main() -> int:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="unlabelled images")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=600, help="processor time of each arm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.1, 0.33, 1.0])
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    for seed, fraction, arm in itertools.product(options.seeds, options.fractions, ARMS):
        done = [
            [row[key] for key in ("seconds", "arm", "fraction", "seed")]
            for row in csv_rows(RESULTS)
        ]
        if [str(options.seconds), arm, f"{fraction:g}", str(seed)] not in done:
            row = bench.row(arm, fraction, seed)
            print(row, file=sys.stderr, flush=True)
            write_bytes(RESULTS, csv_bytes([*csv_rows(RESULTS), row]))
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("pretraining.py", main))
