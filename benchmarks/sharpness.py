"""How sharp the depth of every released network is: depth-boundary errors and edge energy kept.

    python benchmarks/sharpness.py --data DATA/val [--again]

Every network of `models/` is measured on a dataset folder by the protocol without alignment, in
torch, through the graph that is exported; `results/sharpness.csv` gets a row for each that it
lacks, or with --again for all. `tables.py` writes the table of docs/models.md from it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_train.csv_files import csv_bytes, csv_rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "sharpness.csv"
FIGURES = ("si_rmse", "dbe_acc", "dbe_comp", "edge_energy")
Row = dict[str, str]


def read() -> dict[str, Row]:
    """The rows that exist, by network."""
    return {row["network"]: row for row in csv_rows(RESULTS)}


def measure(network: str, data: Path) -> Row:
    """The figures of one network, a folder below `models/`."""
    # Here, so that the table needs no torch.
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.evaluate import evaluate

    pairs = list_pairs(data)
    metrics = evaluate(load_checkpoint(ROOT / "models" / network).network, pairs).to_dict()
    figures = {name: f"{metrics[name]:.4f}" for name in FIGURES if name in metrics}
    return {"network": network, "images": str(len(pairs))} | figures


def table() -> str:
    """The figures as a Markdown table, the sharpest first."""
    lines = [
        "| network | si-RMSE | DBE accuracy px | DBE completeness px | edge energy |",
        "|---|--:|--:|--:|--:|",
    ]
    rows = sorted(read().values(), key=lambda row: -float(row["edge_energy"]))
    for row in rows:
        cells = [f"{float(row[name]):.3f}" for name in FIGURES]
        lines.append(f"| {row['network']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--again", action="store_true", help="measure rows that exist, too")
    options = parser.parse_args()
    rows = {} if options.again else read()
    for weights in sorted((ROOT / "models").glob("**/model.safetensors")):
        network = weights.parent.relative_to(ROOT / "models").as_posix()
        if network in rows:
            continue
        rows[network] = measure(network, options.data)
        write_bytes(RESULTS, csv_bytes([rows[each] for each in sorted(rows)]))
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("sharpness.py", main))
