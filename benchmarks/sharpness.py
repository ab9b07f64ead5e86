"""How sharp the depth of every released network is, as it is and with `--sharpen`.

    python benchmarks/sharpness.py --set nyuv2=DATA/val --set realsense=DIR --set kitchen=DIR:6 \
        [--only NETWORK]...

Depth-boundary errors, edge energy kept and si-RMSE by the protocol without alignment, in torch,
through the graph that is exported; a set is a dataset folder, with `:N` every N-th image of it.
`results/sharpness.csv` gets a row for each network of `models/`, set and kind of depth, in place of
an older one. `tables.py` writes the tables of docs/models.md and docs/depth.md from it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_depth.accuracy.sharpness import metrics_with_sharpness
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import mean_metrics
from bench_depth.depth.sharpening import sharpen
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table
from ghostdepth_train.evaluate import predict_mm
from transfer.run import read_set

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "sharpness.csv"
FIGURES = ("si_rmse", "dbe_acc", "dbe_comp", "edge_energy")
HEADS = ("si-RMSE", "DBE accuracy px", "DBE completeness px", "edge energy")
PLAIN, SHARPENED = "", "yes"
# Networks that know near things, in the table of what `--sharpen` changes.
SHOWN = ("ghostdepth-nano", "ghostdepth-s", "ghostdepth-m")
Key = tuple[str, str, str]
Row = dict[str, str]


def read() -> dict[Key, Row]:
    """The rows that exist, by network, set and whether the depth was sharpened."""
    rows = csv_rows(RESULTS)
    return {(row["network"], row["set"], row["sharpened"]): row for row in rows}


def measure(network: str, name: str, pairs: Sequence[Pair]) -> dict[Key, Row]:
    """The rows of one network, a folder below `models/`, on one set."""
    model = load_checkpoint(ROOT / "models" / network).network.eval()
    found: dict[str, list] = {PLAIN: [], SHARPENED: []}
    for pair in pairs:
        rgb, ground_truth = read_pair(pair)
        depth = predict_mm(model, rgb)
        kinds = {PLAIN: depth, SHARPENED: sharpen(depth, rgb, metric=True)}
        for kind, prediction in kinds.items():
            metrics = metrics_with_sharpness(prediction, ground_truth)
            if metrics is not None:
                found[kind].append(metrics)
    rows = {}
    for kind, each in found.items():
        metrics = mean_metrics(each).to_dict()
        figures = {figure: f"{metrics[figure]:.4f}" for figure in FIGURES}
        head = {"network": network, "set": name, "sharpened": kind, "images": str(len(each))}
        rows[network, name, kind] = head | figures
    return rows


def table() -> str:
    """The released networks on nyuv2 as they are, as a table of Markdown, the sharpest first."""
    found = [row for (_, name, kind), row in read().items() if (name, kind) == ("nyuv2", PLAIN)]
    found.sort(key=lambda row: -float(row["edge_energy"]))
    rows = ([row["network"], *(f"{float(row[each]):.3f}" for each in FIGURES)] for row in found)
    return markdown_table(["network", *HEADS], rows)


def sharpened_table() -> str:
    """What `--sharpen` changes in `SHOWN` on every set, as a table of Markdown."""
    rows, lines = read(), []
    for network, name in itertools.product(SHOWN, sorted({name for _, name, _ in rows})):
        pair = rows[network, name, PLAIN], rows[network, name, SHARPENED]
        cells = [" to ".join(f"{float(row[each]):.3f}" for row in pair) for each in FIGURES]
        lines.append([f"{network}, {name}", *cells])
    return markdown_table(["network, images", *HEADS], lines)


def main() -> int:
    """Measures, writes the rows and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER[:N]")
    parser.add_argument("--only", action="append", metavar="NETWORK", help="all if none")
    options = parser.parse_args()
    networks = options.only or [path.parent.name for path in ROOT.glob("models/*/metrics.json")]
    rows = read()
    for name, pairs in map(read_set, options.set):
        for network in networks:
            rows |= measure(network, name, pairs)
            write_bytes(RESULTS, csv_bytes([rows[key] for key in sorted(rows)]))
    print(table(), sharpened_table(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("sharpness.py", main))
