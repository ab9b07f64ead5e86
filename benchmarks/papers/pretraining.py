"""Pretraining of the encoder against none, at equal total time: figures and a table.

    python benchmarks/papers/pretraining.py --data DATA --images DIR... --runs RUNS
        [--config NAME] [--set KEY=VALUE]... [--seconds N] [--seeds 0 1 2] [--fractions 0.1 0.33 1]
        [--arms NAME...]

For each seed and each fraction of the pairs of DATA/train: a depth network trained from random
weights for all of the time, and for each method one whose encoder was pretrained on the images for
about a third of it and that is trained for the rest. Time is seconds of the processor in one
thread. What an optimizer step of each training takes, and what a pretraining takes before its
first step (codebook, teacher), is measured once per RUNS, all trainings in turn; from then on a
training is as many steps as its time has, so that no arm pays for what else the machine does. One
pretraining serves all fractions, and each of them pays for it. Validation costs nothing. The
learning rate rises over the first twentieth of every training, long or short.

Rows that are in `pretraining.csv` are kept: a command that was stopped continues, and rows of
other configs and times stand beside each other. Each config and each --seconds needs RUNS of its
own.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import read_object, write_bytes, write_json
from bench_depth.core.screen import counted
from bench_depth.model.released import read_catalogue
from ghostdepth_export.host.checkout import find_checkpoint
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.config.settings import parse_settings
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table, mean_and_deviation
from ghostdepth_train.data import Split, batches, fraction_of, read_split
from ghostdepth_train.pretraining import Pretrainer, load_pretrain_config, split_images
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

RESULTS = Path(__file__).with_name("pretraining.csv")
SCRATCH = "from scratch"
ARMS = (SCRATCH, "skip-gram", "cbow", "features")
# Part of the time that a pretraining gets, and part of a training in which its learning rate rises.
PART, WARM_UP = 1 / 3, 1 / 20
_UNTIMED, _TIMED = 2, 15
# What makes a row another one than those that are there.
KEYS = ("config", "seconds", "arm", "fraction", "seed")
Row = dict[str, Any]
_T = TypeVar("_T")


class Bench:
    """The runs of one set of options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.settings = parse_settings(options.settings)
        self.split = read_split(options.data)
        self.images = split_images(options.images)
        self.config = _config(options.config, options.runs)

    def row(self, arm: str, fraction: float, seed: int) -> Row:
        """Trains one network and measures it on the validation set."""
        options = self.options
        spent, init = 0.0, None
        if arm != SCRATCH:
            spent, init = self._pretrained(arm, seed)
        pairs = fraction_of(self.split, fraction)
        steps = round((options.seconds - spent) / self.costs[SCRATCH]["step"])
        out = options.runs / f"{arm.replace(' ', '-')}-{fraction:g}-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        config = self._training(seed)
        # One epoch of as many steps as there is time for: whole passes over the pairs would
        # give one arm more time than another.
        wanted = steps * config.batch_size
        split = Split(list(itertools.islice(itertools.cycle(pairs.train), wanted)), pairs.val)
        trainer = Trainer(config, split, RunOptions(out, "bench", "bench", workers=0, init=init))
        last = trainer.run()[-1]
        return {
            "arm": arm,
            "fraction": f"{fraction:g}",
            "seed": seed,
            "seconds": options.seconds,
            "pretraining_seconds": round(spent, 1),
            "pairs": len(pairs.train),
            "images": len(self.images.train),
            "config": Path(options.config).stem,
            "input": f"{config.network.input_height}x{config.network.input_width}",
            "epochs": round(wanted / len(pairs.train), 1),
            "steps": steps,
            **{key: round(last[key], 5) for key in ("si_rmse", "rmse", "delta_1")},
        }

    def _pretrained(self, method: str, seed: int) -> tuple[float, Path]:
        """What a pretraining takes in seconds, and its checkpoint; made where missing."""
        cost, out = self.costs[method], self.options.runs / f"pretrain-{method}-{seed}"
        per_epoch = len(self.images.train) // self._pretraining(method, 1, 0).batch_size
        share = PART * self.options.seconds - cost["start"]
        epochs = max(1, round(share / cost["step"] / per_epoch))
        seconds = cost["start"] + epochs * per_epoch * cost["step"]
        if seconds >= self.options.seconds:
            raise UserError(
                f"one epoch of {method} on {len(self.images.train)} images takes {seconds:.0f} s; "
                f"raise --seconds above {self.options.seconds:g}, or give fewer --images"
            )
        done = out / "done.json"
        if not done.is_file():
            shutil.rmtree(out, ignore_errors=True)
            config = self._pretraining(method, epochs, seed)
            Pretrainer(config, self.images, RunOptions(out, "bench", "bench", workers=0)).run()
            write_json(done, {"epochs": epochs})
        return seconds, out / "last"

    @functools.cached_property
    def costs(self) -> dict[str, dict[str, float]]:
        """Seconds before the first step and of a step of each arm, measured once, in turn."""
        path = self.options.runs / "costs.json"
        costs = read_object(path) if path.is_file() else {}
        wanted = (SCRATCH, *self.options.arms)
        if missing := [arm for arm in ARMS if arm in wanted and arm not in costs]:
            begun = {arm: _timed(self._begin, arm) for arm in missing}
            loaders = {
                arm: itertools.cycle(batches(trainer.loader)) for arm, (_, trainer) in begun.items()
            }
            taken: dict[str, list[float]] = {arm: [] for arm in missing}
            for _, arm in itertools.product(range(_UNTIMED + _TIMED), missing):
                taken[arm].append(_timed(_step, begun[arm][1], loaders[arm])[0])
            for arm in missing:
                # A depth network needs nothing before its first step.
                start = 0.0 if arm == SCRATCH else begun[arm][0]
                costs[arm] = {"start": start, "step": statistics.median(taken[arm][_UNTIMED:])}
            write_json(path, costs)
        return costs

    def _begin(self, arm: str) -> Trainer:
        trial = self.options.runs / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        options = RunOptions(trial, "trial", "trial", workers=0)
        if arm == SCRATCH:
            return Trainer(self._training(0), self.split, options)
        return Pretrainer(self._pretraining(arm, 1, 0), self.images, options)

    def _training(self, seed: int) -> TrainConfig:
        changes = {"epochs": 1, "eval_every": 1, "warmup_epochs": WARM_UP, "seed": seed}
        return load_train_config(self.config, changes, self.settings)

    def _pretraining(self, method: str, epochs: int, seed: int) -> Any:
        changes = {"method": method, "epochs": epochs, "eval_every": epochs, "seed": seed}
        changes["warmup_epochs"] = WARM_UP * epochs
        network = {key: value for key, value in self.settings.items() if key.startswith("network.")}
        return load_pretrain_config(self.config, changes, network)


def _config(name: str, runs: Path) -> str:
    """A config's name or path; of a checkpoint a config with its network is written."""
    if name not in {model.name for model in read_catalogue().models} and not Path(name).is_dir():
        return name
    network = load_checkpoint(find_checkpoint(name)).network.config
    path = runs / f"{Path(name).name}.yaml"
    path.write_text(yaml.safe_dump({"network": network.model_dump(mode="json")}))
    return str(path)


def _step(trainer: Trainer, loader: Iterator[Any]) -> None:
    trainer.step(trainer.network.train(), *next(loader))


def _timed(function: Callable[..., _T], *arguments: Any) -> tuple[float, _T]:
    """The processor's seconds that a call takes, and what it gives."""
    began = time.process_time()
    result = function(*arguments)
    return time.process_time() - began, result


def table() -> str:
    """si-RMSE of each arm, by config, time and fraction, as Markdown: mean and deviation.

    In brackets the difference from the network from scratch of the same seed.
    """
    rows = csv_rows(RESULTS)
    if not rows:
        return "Nothing yet."
    columns = sorted({column(row) for row in rows})
    heads = [f"{name}, {time:g} s, {part:.0%} of the pairs" for name, time, part in columns]
    lines = []
    for arm in ARMS:
        cells = [_cell([row for row in rows if column(row) == c], arm) for c in columns]
        lines.append([arm, *cells])
    seeds = len({row["seed"] for row in rows})
    inputs = ", ".join(dict.fromkeys(f"{row['config']} at {row['input']}" for row in rows))
    note = (
        f"si-RMSE on the validation set, {counted(seeds, 'seed')}; {inputs}; processor seconds "
        f"for each, {' or '.join(sorted({row['images'] for row in rows}))} images. In brackets: "
        "minus from scratch, seed by seed."
    )
    return f"{markdown_table(['encoder', *heads], lines)}\n\n{note}"


def column(row: Row) -> tuple[str, float, float]:
    """Config, seconds and fraction of the pairs of a row."""
    return row["config"], float(row["seconds"]), float(row["fraction"])


def by_seed(rows: Sequence[Row], arm: str) -> dict[str, float]:
    """The si-RMSE of an arm by seed, of rows of one column."""
    return {row["seed"]: float(row["si_rmse"]) for row in rows if row["arm"] == arm}


def _cell(rows: Sequence[Row], arm: str) -> str:
    values = by_seed(rows, arm)
    if not values:
        return "not measured"
    text = mean_and_deviation(list(values.values()))
    plain = by_seed(rows, SCRATCH)
    paired = [values[seed] - plain[seed] for seed in plain if seed in values]
    if arm == SCRATCH or not paired:
        return text
    return f"{text} ({mean_and_deviation(paired, sign='+')})"


def main() -> int:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="unlabelled images")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--config", default="tiny", help="config, or a checkpoint's network")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=600, help="processor time of each arm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.1, 0.33, 1.0])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="NAME")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    for seed, fraction, arm in itertools.product(options.seeds, options.fractions, options.arms):
        done = [[row[key] for key in KEYS] for row in csv_rows(RESULTS)]
        wanted = [Path(options.config).stem, str(options.seconds), arm, f"{fraction:g}", str(seed)]
        if wanted not in done:
            row = bench.row(arm, fraction, seed)
            print(row, file=sys.stderr, flush=True)
            write_bytes(RESULTS, csv_bytes([*csv_rows(RESULTS), row]))
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("pretraining.py", main))
