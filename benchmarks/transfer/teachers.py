"""Accuracy of teachers: single networks, and means of the log depth of several.

    python benchmarks/transfer/teachers.py --set nyuv2=DATA/val [--set NAME=FOLDER:N]... \
        --network NAME=CHECKPOINT... [--mean "NAME + NAME"]...

Sets are those of `run.py`. Every network sees each picture and its mirror image, and their log
depth is averaged as well; nothing is aligned. `teachers.csv` gets a row for each network, mean and
set, in place of an older one, and all its rows are printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError, exit_code
from ghostdepth_train.csv_files import csv_rows
from run import Predict, Row, figures, in_torch, read_set, write_rows

RESULTS = Path(__file__).with_name("teachers.csv")
AND = " + "


def log_depth(predict: Predict, rgb: np.ndarray) -> np.ndarray:
    """HxW ln(millimetres), the mean over a photo (HxWx3 uint8) and its mirror image."""
    mirrored = predict(np.ascontiguousarray(rgb[:, ::-1]))[:, ::-1]
    return (np.log(predict(rgb)) + np.log(mirrored)) / 2


def measured(
    networks: dict[str, Predict], means: Sequence[str], pairs: Sequence[Pair]
) -> dict[str, Row]:
    """The figures of every network and every mean on one set; each network runs once."""
    shown = [read_pair(pair) for pair in pairs]
    seen = {
        name: [log_depth(predict, rgb).astype(np.float32) for rgb, _ in shown]
        for name, predict in networks.items()
    }
    found = {}
    for row in (*networks, *means):
        maps = zip(*(seen[name] for name in row.split(AND)), strict=True)
        depths = (np.exp(np.mean(logs, 0)) for logs in maps)
        truth = (known for _, known in shown)
        found[row] = figures(zip(depths, truth, strict=True))
    return found


def main() -> int:
    """Measures all, and writes and prints the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER[:N]")
    parser.add_argument("--network", action="append", required=True, metavar="NAME=CHECKPOINT")
    parser.add_argument("--mean", action="append", default=[], metavar='"NAME + NAME"')
    options = parser.parse_args()
    folders = {}
    for text in options.network:
        name, named, folder = text.partition("=")
        if not named:
            raise UserError(f"--network {text}: write NAME=CHECKPOINT")
        folders[name] = folder
    unknown = {name for mean in options.mean for name in mean.split(AND)} - set(folders)
    if unknown:
        raise UserError(f"--mean {', '.join(sorted(unknown))}: no --network has this name")
    networks = {name: in_torch(Path(folder)) for name, folder in folders.items()}
    rows = {(row["teacher"], row["set"]): row for row in csv_rows(RESULTS)}
    for where, pairs in map(read_set, options.set):
        for name, row in measured(networks, options.mean, pairs).items():
            rows[name, where] = {"teacher": name, "set": where} | row
    write_rows(RESULTS, rows.values())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("teachers.py", main))
