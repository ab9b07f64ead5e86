"""Accuracy of networks on what they were not trained on: other cameras, near things.

    python benchmarks/transfer/run.py --set nyuv2=DATA/val --set realsense=DIR \
        --set kitchen=REGISTERED:6 --set "kitchen, as stored=DIR:6" [--run RUN]...

A set is a dataset folder (`rgb/`, `depth/`), with `:N` every N-th image of it, in the order of
names. Every released network and every RUN, a folder of `ghostdepth train` or `compress`, is
measured by the protocol without alignment, in torch, through the graph that is exported; the int8
.tflite file of every released network is as well, in LiteRT. `results.csv` gets a row for each
network, file and set, in place of an older one, with the mean of ln(prediction / ground truth) as
well, and all its rows are printed. `file` is empty in the rows of torch.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import depth_metrics, mean_metrics
from bench_depth.depth.model import DepthModel
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table
from ghostdepth_train.evaluate import predict_mm

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
TORCH, INT8 = "", "int8.tflite"
RUNTIME = "ai_edge_litert"
# A set for comparison alone: depth maps that show another view than their photos.
AS_STORED = "kitchen, as stored"
Row = dict[str, str]


# HxWx3 uint8 RGB -> HxW millimetres.
Predict = Callable[[np.ndarray], np.ndarray]


def in_torch(folder: Path) -> Predict:
    """The network of a checkpoint folder, or of a run of `train` or `compress`."""
    where = next((p for p in (folder / "result", folder / "best") if p.is_dir()), folder)
    network = load_checkpoint(where).network
    return lambda rgb: predict_mm(network, rgb)


def in_file(name: str) -> Predict:
    """The int8 file of a released network."""
    model = DepthModel(name, runtime=RUNTIME)
    return lambda rgb: model(rgb) * 1000


def released() -> list[Path]:
    """The checkpoint folders of the released networks."""
    return sorted(path.parent for path in ROOT.glob("models/*/metrics.json"))


def measure(predict: Predict, shown: Iterable[tuple[np.ndarray, np.ndarray]]) -> Row:
    """The figures of one network on photos with their depth in millimetres, see `figures`."""
    return figures((predict(rgb), known) for rgb, known in shown)


def figures(maps: Iterable[tuple[np.ndarray, np.ndarray]]) -> Row:
    """The figures of predicted beside known depth, HxW millimetres, as texts.

    Raises:
        UserError: No map has a known depth.
    """
    rows, biases = [], []
    for seen, known in maps:
        row, bias = depth_metrics(seen, known), log_bias(seen, known)
        if row is not None and bias is not None:
            rows.append(row)
            biases.append(bias)
    if not rows:
        raise UserError("no photo has a known depth")
    mean = mean_metrics(rows)
    found = {"si_rmse": mean.si_rmse, "rmse": mean.rmse, "delta_1": mean.delta_1}
    found["log_bias"] = float(np.mean(biases))
    return {"images": str(len(rows))} | {key: f"{value:.4f}" for key, value in found.items()}


def cell(row: Row) -> str:
    """si-RMSE, delta_1 and log bias of one row."""
    si, delta, bias = (float(row[key]) for key in ("si_rmse", "delta_1", "log_bias"))
    return f"{si:.3f} / {delta:.3f} / {bias:+.2f}"


def log_bias(prediction_mm: np.ndarray, ground_truth_mm: np.ndarray) -> float | None:
    """Mean ln(prediction / ground truth) of one image; None where no ground truth is known.

    Args:
        prediction_mm: HxW millimetres, positive.
        ground_truth_mm: HxW millimetres, 0 = unknown; known above 1, as in the protocol.
    """
    known = ground_truth_mm > 1
    if not known.any():
        return None
    return float(np.log(prediction_mm[known] / ground_truth_mm[known]).mean())


def read_set(text: str) -> tuple[str, list[Pair]]:
    """Name and pairs of NAME=FOLDER[:N]."""
    found = re.fullmatch(r"([^=]+)=(.+?)(?::([1-9]\d*))?", text)
    if found is None:
        raise UserError(f"--set {text}: write NAME=FOLDER, with :N where it applies")
    name, folder, step = found.groups()
    return name, list_pairs(Path(folder))[:: int(step or 1)]


def table() -> str:
    """The released networks and their int8 files on every set, as a table of Markdown."""
    rows = read()
    kinds = [key for key in rows if (ROOT / "models" / key[0]).is_dir()]
    sets = sorted({where for _, _, where in kinds})
    lines = [
        [f"{name}, {'int8' if file else 'fp32'}", *(cell(rows[name, file, at]) for at in sets)]
        for name, file in sorted({(name, file) for name, file, _ in kinds})
    ]
    return markdown_table(["si-RMSE / delta_1 / log bias", *sets], lines)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Replaces a file of results, and prints it."""
    written = csv_bytes(list(rows))
    write_bytes(path, written)
    print(written.decode(), end="")


def read() -> dict[tuple[str, str, str], Row]:
    """The rows that exist, by network, file and set."""
    return {(row["network"], row["file"], row["set"]): row for row in csv_rows(RESULTS)}


def main() -> int:
    """Measures all, and writes and prints the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER[:N]")
    parser.add_argument("--run", type=Path, action="append", default=[])
    options = parser.parse_args()
    networks = {(folder.name, TORCH): in_torch(folder) for folder in (*released(), *options.run)}
    networks |= {(folder.name, INT8): in_file(folder.name) for folder in released()}
    rows = read()
    for where, pairs in map(read_set, options.set):
        for (name, file), predict in sorted(networks.items()):
            head = {"network": name, "file": file, "set": where}
            rows[name, file, where] = head | measure(predict, map(read_pair, pairs))
    write_rows(RESULTS, (rows[key] for key in sorted(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("run.py", main))
