"""Small depth networks of other authors beside ours: figures for `results.csv`, table and plot.

    python benchmarks/peers/run.py [--only NAME]...
    python benchmarks/peers/run.py --train EPOCHS --data DATA --runs RUNS [--only NAME]...

Of each network: multiply-accumulates, parameters, and of its fp32 and int8 .tflite files, 640x480
in and out, size, instructions and predicted latency on a Raspberry Pi 4 with four threads. Networks
of other authors are counted on the emulated Pi with random weights, as what a file executes does
not depend on them; the figures of ours are those of the repository. With --train each is trained on
DATA/train for as many epochs, with the same recipe, and measured on DATA/val; a run that was
stopped continues. It starts from random weights; `NAME from ImageNet` is a network of ours whose
encoder has ImageNet weights in a Python package, and `NAME as released` has the figures of its
release, after more epochs of another recipe. `score` is the challenge's with the predicted
latency of the int8 file, relative to `litedepth-like`. Figures that exist are kept, except those of
our files, which are read anew; what is not measured is empty.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import score
from ghostdepth_export.host.checkout import find_checkpoint
from ghostdepth_export.pi4.counter import count, read_counts
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_export.pi4.latency import predict_latency, read_work, shipped
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import LiteEncoderConfig, load_train_config
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet, Predictor
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget
from ghostdepth_train.run_folder import run_folder
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer
from peer_networks import PEERS
from table import ACCURACY, FIELDS, FILES, RESULTS, Row, plot, read, table

ROOT = Path(__file__).resolve().parents[2]
RECIPE, REFERENCE = "ghostnet-s", "litedepth-like"
OURS = tuple(sorted(path.parent.name for path in ROOT.glob("models/*/model.safetensors")))
FROM_IMAGENET, AS_RELEASED = " from ImageNet", " as released"
Log = Callable[[str], None]


def architecture(name: str) -> str:
    """The name of a network without what it starts from."""
    return name.removesuffix(FROM_IMAGENET).removesuffix(AS_RELEASED)


def imagenet(name: str) -> str | None:
    """The ImageNet weights of the encoder of a network of ours; None where there are none."""
    encoder = load_checkpoint(find_checkpoint(architecture(name))).config.encoder
    lite = isinstance(encoder, LiteEncoderConfig)
    return f"efficientnet-lite{encoder.variant}" if lite else None


@functools.cache
def networks() -> list[str]:
    """The names of all rows, peers first."""
    pretrained = [name + FROM_IMAGENET for name in OURS if imagenet(name)]
    return [*PEERS, *OURS, *pretrained, *(name + AS_RELEASED for name in OURS)]


def build(name: str) -> Predictor:
    """A network with random weights: a peer, or the architecture of a released one."""
    torch.manual_seed(0)
    if name in PEERS:
        return PEERS[name]()
    return DepthNet(load_checkpoint(find_checkpoint(architecture(name))).config)


def costs(name: str) -> Row:
    """The figures that follow from a network's config alone."""
    network = build(name).eval()
    layers = layer_costs(network)  # type: ignore[arg-type]  # needs no more than a Predictor
    return {
        "input": f"{network.config.input_width}x{network.config.input_height}",
        "macs": str(sum(layer.macs for layer in layers)),
        "parameters": str(sum(p.numel() for p in network.parameters())),
    }


def released_file(name: str, file: str) -> Row:
    """Figures of a released file, as the repository has them."""
    name = architecture(name)
    path = f"{name}-{file}.tflite"
    released = csv_rows(ROOT / "benchmarks/latency/released.csv")
    latency = {row["file"]: row for row in released}
    counts = {
        each.file: each for each in read_counts(ROOT / "benchmarks/instructions/baseline.json")
    }
    metrics = json.loads((ROOT / "models" / name / "metrics.json").read_text())
    return {
        f"bytes_{file}": str(metrics["files"][path]["bytes"]),
        f"instr_{file}": str(counts[path].total.instructions),
        f"ms_{file}": latency[path]["ms_4_threads"],
    }


def released_accuracy(name: str) -> Row:
    """Accuracy of a released network and the epochs that it took, from its metrics.json."""
    metrics = json.loads((ROOT / "models" / architecture(name) / "metrics.json").read_text())
    found = {key: f"{metrics['validation'][key]:.4f}" for key in ACCURACY if key != "epochs"}
    return {"epochs": str(metrics["epochs"]), **found}


def peer_file(name: str, file: str, log: Log) -> Row:
    """Figures of a peer's file, exported and counted."""
    from ghostdepth_export.pi4.budget.file_latency import build_file

    log(f"{name}: exporting and counting {file}")
    network: DepthNet = build(name)  # type: ignore[assignment]  # needs no more than a Predictor
    budget = LatencyBudget.model_validate({"ms": 1, "file": file})
    data = build_file(network, budget, (480, 640))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"{name}-{file}.tflite"
        path.write_bytes(data)
        counts, work = count(path, build_root("bullseye", log)), read_work(path)
    return {
        f"bytes_{file}": str(len(data)),
        f"instr_{file}": str(counts.total.instructions),
        f"ms_{file}": f"{predict_latency(counts, work, shipped()).ms:.2f}",
    }


class PeerTrainer(Trainer):
    """This project's training of a network that no config describes."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        super().__init__(*arguments)  # type: ignore[arg-type]

    def build(self) -> DepthNet:
        """See `Trainer.build`."""
        return build(self.name)  # type: ignore[return-value]  # the loop needs only a Predictor


def train(name: str, options: argparse.Namespace, log: Log) -> Row:
    """Accuracy on DATA/val after `options.train` epochs of the recipe."""
    split = read_split(options.data)
    recipe = load_train_config(RECIPE, {"epochs": options.train, "eval_every": options.train})
    config = recipe.model_copy(update={"network": build(name).config})
    out = options.runs / name.replace(" ", "-")
    weights = imagenet(name) if name.endswith(FROM_IMAGENET) else None
    run = RunOptions(out, out.name, f"{len(split.train)} pairs", imagenet=weights)
    resume = (out / "last").exists()
    with run_folder(out, "benchmarks/peers/run.py"):
        trainer = PeerTrainer(name, config, split, replace(run, resume=resume))
        trainer.run(report=lambda row: log(f"{name}: epoch {row['epoch']:.0f}, {row['loss']:.4f}"))
        metrics = evaluate(trainer.averaged_network, split.val).to_dict()
    found = {key: f"{metrics[key]:.4f}" for key in ACCURACY if key in metrics}
    return found | {"epochs": str(options.train)}


def relative_scores(rows: dict[str, Row]) -> None:
    """Fills in the score of every trained network against the reference's."""

    def points(row: Row) -> float | None:
        if not (row.get("si_rmse") and row.get("ms_int8")):
            return None
        return score(float(row["si_rmse"]), float(row["ms_int8"]))

    reference = points(rows.get(REFERENCE, {}))
    for row in rows.values():
        own = points(row)
        row["score"] = f"{own / reference:.3f}" if own and reference else ""


def save(name: str, found: Row) -> None:
    """Puts figures into the row of a network."""
    rows = read()
    rows[name] = {"network": name} | rows.get(name, {}) | found
    relative_scores(rows)
    known = [rows[each] for each in networks() if each in rows]
    whole = [{field: row.get(field, "") for field in FIELDS} for row in known]
    write_bytes(RESULTS, csv_bytes(whole))


def complete(name: str, options: argparse.Namespace, log: Log) -> None:
    """Measures what the row of a network lacks, and reads what is known of our files anew."""
    if not read().get(name, {}).get("macs"):
        save(name, costs(name))
    if architecture(name) in OURS:
        # Read, not measured, so that the row is never older than the release.
        save(name, released_file(name, "fp32") | released_file(name, "int8"))
    elif not options.no_count:
        for file in FILES:
            if not read()[name].get(f"ms_{file}"):
                save(name, peer_file(name, file, log))
    if name.endswith(AS_RELEASED):
        save(name, released_accuracy(name))
    elif options.train and read()[name].get("epochs") != str(options.train):
        save(name, train(name, options, log))


def main() -> int:
    """Measures what is missing, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=networks(), help="all if none")
    parser.add_argument("--no-count", action="store_true", help="export and count nothing")
    parser.add_argument("--train", type=int, metavar="EPOCHS", help="of each training")
    parser.add_argument("--data", type=Path, help="folder with train/ and val/")
    parser.add_argument("--runs", type=Path, help="folder of the trainings")
    options = parser.parse_args()
    if options.train and not (options.data and options.runs):
        parser.error("--train needs --data and --runs")
    log: Log = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    for name in options.only or networks():
        complete(name, options, log)
    rows = list(read().values())
    plot(rows, highlighted=[name for name in networks() if name not in PEERS])
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("run.py", main))
