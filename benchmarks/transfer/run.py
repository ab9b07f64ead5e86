"""Accuracy of networks on what they were not trained on: other cameras, near things.

    python benchmarks/transfer/run.py --set nyuv2=DATA/val --set realsense=DIR \
        --set kitchen=DIR:6@57.4 [--run RUN]...

A set is a dataset folder (`rgb/`, `depth/`), with `:N` every N-th image of it, in the order of
names, with `@DEGREES` the horizontal field of view of its camera: delta_1 and the bias are then
written for metres of that camera as well, which the scale-invariant error does not depend on.
Every released network and every RUN, a folder of `ghostdepth train` or `compress`, is measured by
the protocol without alignment, in torch, through the graph that is exported; the int8 .tflite file
of every released network is as well, in LiteRT. `results.csv` gets a row for each network, file and
set, in place of an older one, with the mean of ln(prediction / ground truth) as well, and all its
rows are printed. `file` is empty in the rows of torch.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import depth_metrics, mean_metrics
from bench_depth.depth.model import DepthModel
from bench_depth.model.camera import depth_factor
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table
from ghostdepth_train.evaluate import predict_mm

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
TORCH, INT8 = "", "int8.tflite"
RUNTIME = "ai_edge_litert"
Row = dict[str, str]


@dataclass(frozen=True)
class Network:
    """What is measured: `predict` gives HxW millimetres of HxWx3 uint8 RGB.

    `hfov` is the field of view in degrees that its metres hold for; None where it is not known.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    hfov: float | None


def in_torch(checkpoint: Path) -> Network:
    """The network of a checkpoint folder."""
    network = load_checkpoint(checkpoint).network
    return Network(lambda rgb: predict_mm(network, rgb), network.config.hfov)


def in_file(name: str) -> Network:
    """The int8 file of a released network."""
    model = DepthModel(name, runtime=RUNTIME)
    return Network(lambda rgb: model(rgb) * 1000, model.hfov)


def measure(network: Network, pairs: Sequence[Pair], hfov: float | None = None) -> Row:
    """The figures of one network on one set, whose camera is `hfov` degrees wide."""
    own = network.hfov
    factor = 1.0 if hfov is None or own is None else depth_factor(own, hfov)
    rows, for_camera, biases = [], [], []
    for pair in pairs:
        rgb, known = read_pair(pair)
        seen = network.predict(rgb)
        row, bias = depth_metrics(seen, known), log_bias(seen, known)
        if row is not None and bias is not None:
            rows.append(row)
            for_camera.append(depth_metrics(seen * factor, known) or row)
            biases.append(bias)
    if not rows:
        raise UserError(f"{pairs[0].depth.parent} has no known depth")
    mean = mean_metrics(rows)
    figures = {"si_rmse": mean.si_rmse, "rmse": mean.rmse, "delta_1": mean.delta_1}
    figures["log_bias"] = float(np.mean(biases))
    if hfov is not None and own is not None:
        figures["hfov_delta_1"] = mean_metrics(for_camera).delta_1
        figures["hfov_log_bias"] = figures["log_bias"] + math.log(factor)
    written = {key: f"{value:.4f}" for key, value in figures.items()}
    return {"images": str(len(rows)), "hfov": "" if hfov is None else f"{hfov:g}"} | written


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


def read_set(text: str) -> tuple[str, list[Pair], float | None]:
    """Name, pairs and field of view of NAME=FOLDER[:N][@DEGREES]."""
    found = re.fullmatch(r"([^=]+)=(.+?)(?::([1-9]\d*))?(?:@(\d+(?:\.\d+)?))?", text)
    if found is None:
        raise UserError(f"--set {text}: write NAME=FOLDER, with :N and @DEGREES where they apply")
    name, folder, step, hfov = found.groups()
    return name, list_pairs(Path(folder))[:: int(step or 1)], float(hfov) if hfov else None


def table() -> str:
    """The released networks and their int8 files on every set, as a table of Markdown."""
    rows = read()
    kinds = [key for key in rows if (ROOT / "models" / key[0]).is_dir()]
    sets = sorted({where for _, _, where in kinds})
    lines = []
    for name, file in sorted({(name, file) for name, file, _ in kinds}):
        cells = []
        for row in (rows[name, file, where] for where in sets):
            si, delta, bias = (float(row[k]) for k in ("si_rmse", "delta_1", "log_bias"))
            cells.append(f"{si:.3f} / {delta:.3f} / {bias:+.2f}")
            if row.get("hfov_delta_1"):
                delta, bias = (float(row[k]) for k in ("hfov_delta_1", "hfov_log_bias"))
                cells[-1] += f" ({delta:.3f} / {bias:+.2f})"
        lines.append([f"{name}, {'int8' if file else 'fp32'}", *cells])
    return markdown_table(["si-RMSE / delta_1 / log bias", *sets], lines)


def read() -> dict[tuple[str, str, str], Row]:
    """The rows that exist, by network, file and set."""
    return {(row["network"], row["file"], row["set"]): row for row in csv_rows(RESULTS)}


def main() -> int:
    """Measures all, and writes and prints the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    form = "NAME=FOLDER[:N][@DEGREES]"
    parser.add_argument("--set", action="append", required=True, metavar=form)
    parser.add_argument("--run", type=Path, action="append", default=[])
    options = parser.parse_args()
    released = [folder.parent for folder in ROOT.glob("models/*/metrics.json")]
    networks = {(folder.name, TORCH): in_torch(folder) for folder in released}
    networks |= {(folder.name, INT8): in_file(folder.name) for folder in released}
    for run in options.run:
        folder = next(p for p in (run / "result", run / "best", run) if p.is_dir())
        networks[run.name, TORCH] = in_torch(folder)
    rows = read()
    for where, pairs, hfov in map(read_set, options.set):
        for (name, file), network in sorted(networks.items()):
            head = {"network": name, "file": file, "set": where}
            rows[name, file, where] = head | measure(network, pairs, hfov)
    written = csv_bytes([rows[key] for key in sorted(rows)])
    write_bytes(RESULTS, written)
    print(written.decode(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("run.py", main))
