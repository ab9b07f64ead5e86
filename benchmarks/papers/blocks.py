"""What attention and stream cells cost in ghostdepth-xs: figures for `results.csv`, and a table.

    python benchmarks/papers/blocks.py [--only NAME]...
    python benchmarks/papers/blocks.py --data DATA --epochs N --runs RUNS [--only NAME]...

For each network: multiply-accumulates, parameters, and the predicted latency of its fp32 and int8
.tflite files on a Raspberry Pi 4 with four threads, which depends on the ops alone; the files are
counted as TensorFlow Lite 2.5 executes them on the emulated Pi. With --epochs each network is
trained as well, from random weights, with the seeds of `SEEDS`, the same data, order and number of
steps; a run that was stopped continues. Rows that exist are kept; the table is printed at the end,
with the accuracy after `EPOCHS` epochs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.budget import FileLatency
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table, mean_and_deviation
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget

RESULTS = Path(__file__).with_name("results.csv")
# The network that the blocks are added to.
BASE = Path(__file__).parents[1] / "compression/ghostdepth-xs"
FIELDS = ("paper", "network", "file", "seed", "figure", "value")
SEEDS = (0, 1, 2)
# Epochs of the trainings in the tables.
EPOCHS = 12
THREADS = 4
PLAIN = "xs"
# Kind and strides in the encoder, kind at stride 16 in the decoder.
BLOCKS: dict[str, tuple[str, tuple[int, ...], str]] = {
    PLAIN: ("", (), ""),
    "softmax, encoder 32": ("softmax", (32,), ""),
    "softmax, encoder 16": ("softmax", (16,), ""),
    "softmax, encoder 16 and 32": ("softmax", (16, 32), ""),
    "softmax, decoder 16": ("", (), "softmax"),
    "linear, encoder 32": ("linear", (32,), ""),
    "linear, encoder 16": ("linear", (16,), ""),
    "linear, encoder 16 and 32": ("linear", (16, 32), ""),
    "linear, decoder 16": ("", (), "linear"),
    "DFC, encoder 32": ("dfc", (32,), ""),
    "DFC, encoder 16 and 32": ("dfc", (16, 32), ""),
}
# Kind and kernel of the cell in the decoder.
STREAMS = {
    f"stream, {kind}, kernel {kernel}": (kind, kernel)
    for kind in ("minimal", "gru")
    for kernel in (1, 3)
}
NAMES = (*BLOCKS, *STREAMS)
Row = dict[str, Any]


def variant(plain: NetworkConfig, name: str) -> NetworkConfig:
    """The config of a network of `NAMES`."""
    value = plain.model_dump()
    if name in STREAMS:
        kind, kernel = STREAMS[name]
        value["decoder"]["stream"] = {"kind": kind, "channels": 16, "kernel": kernel}
        return NetworkConfig.model_validate(value)
    kind, strides, in_decoder = BLOCKS[name]
    if kind == "dfc":
        stride = 2
        for stage in value["encoder"]["stages"]:
            for block in stage:
                block["dfc"] = stride in strides  # The first ghost module precedes the stride.
                stride *= block["stride"]
    elif kind:
        value["encoder"]["attention"] = [{"stride": each, "kind": kind} for each in strides]
    if in_decoder:
        value["decoder"]["attention"] = [{"stride": 16, "kind": in_decoder}]
    return NetworkConfig.model_validate(value)


def costs(config: NetworkConfig, name: str, log: Callable[[str], None]) -> list[Row]:
    """Multiply-accumulates, parameters and predicted latency of one network."""
    torch.manual_seed(0)
    network = DepthNet(config).eval()
    layers = layer_costs(network)
    rows = [
        _row(name, "", "macs", sum(layer.macs for layer in layers)),
        _row(name, "", "parameters", sum(p.numel() for p in network.parameters())),
    ]
    predict = FileLatency(log=log)
    for file in ("fp32", "int8"):
        log(f"{name}: counting {file}")
        budget = LatencyBudget(ms=1, threads=THREADS, file=file)
        ms = sum(op.ms for op in predict(network, budget))
        rows.append(_row(name, file, "predicted_ms", round(ms, 3)))
    return rows


def train(config: NetworkConfig, name: str, seed: int, options: argparse.Namespace) -> Row:
    """The si-RMSE of one training on the validation set, at its best epoch."""
    import ghostdepth

    stem = name.replace(", ", "-").replace(" ", "-")
    folder = options.runs / f"{stem}-{seed}-{options.epochs}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"network": config.model_dump(mode="json")}))
    run = folder / "run"
    best = ghostdepth.train(
        options.data, run, config=path, epochs=options.epochs, seed=seed, resume=run.exists()
    )
    metrics = ghostdepth.evaluate(best, options.data / "val")
    return _row(name, "", trained(options.epochs), round(metrics.si_rmse, 5), seed)


def trained(epochs: int) -> str:
    """Name of the figure of a training."""
    return f"si_rmse after {epochs} epochs"


def table(names: Iterable[str] = BLOCKS, *, accuracy: bool = True) -> str:
    """The figures as a Markdown table, each beside the difference from the network without."""
    found = {(row["network"], row["file"], row["figure"]): float(row["value"]) for row in _read()}
    lines = []
    for name in names:
        if (name, "", "macs") not in found:
            continue
        cells = [
            name,
            f"{found[name, '', 'macs'] / 1e6:.1f}",
            f"{found[name, '', 'parameters'] / 1e3:.0f}",
            *(_latency(found, name, file) for file in ("fp32", "int8")),
        ]
        lines.append([*cells, _accuracy(name)] if accuracy else cells)
    heads = ["network", "M MACs", "k parameters", "fp32, ms", "int8, ms"]
    return markdown_table([*heads, "si-RMSE"] if accuracy else heads, lines)


def stream_costs() -> str:
    """What each stream cell costs, as `table`."""
    return table((PLAIN, *STREAMS), accuracy=False)


def si_rmse(name: str, epochs: int = EPOCHS) -> dict[str, float]:
    """The si-RMSE of a network of `NAMES` after so many epochs, by seed."""
    return {
        row["seed"]: float(row["value"])
        for row in _read()
        if row["network"] == name and row["figure"] == trained(epochs)
    }


def latency_change(name: str, file: str) -> str:
    """By how much the predicted latency of a network's file differs from `PLAIN`'s, as text."""
    found = {row["network"]: float(row["value"]) for row in _read() if row["file"] == file}
    return f"{found[name] / found[PLAIN] - 1:+.1%}"


def _latency(found: dict[tuple[str, str, str], float], name: str, file: str) -> str:
    ms = f"{found[name, file, 'predicted_ms']:.1f}"
    return ms if name == PLAIN else f"{ms} ({latency_change(name, file)})"


def _accuracy(name: str) -> str:
    values = list(si_rmse(name).values())
    return mean_and_deviation(values) if len(values) >= len(SEEDS) else "not measured"


def _row(name: str, file: str, figure: str, value: float, seed: int | str = "") -> Row:
    cells = ("stream" if name in STREAMS else "attention", name, file, seed, figure, value)
    return dict(zip(FIELDS, cells, strict=True))


def _read() -> list[Row]:
    return csv_rows(RESULTS)


def _write(rows: Sequence[Row]) -> None:
    write_bytes(RESULTS, csv_bytes(rows))


def main() -> int:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="network; all if none")
    parser.add_argument("--data", type=Path, help="folder with train/ and val/")
    parser.add_argument("--epochs", type=int, help="epochs of each training; none if not given")
    parser.add_argument("--runs", type=Path, help="folder of the trainings")
    options = parser.parse_args()
    if options.epochs and not (options.data and options.runs):
        parser.error("--epochs needs --data and --runs")
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    plain = load_checkpoint(BASE).config
    for name in options.only or NAMES:
        config, rows = variant(plain, name), _read()
        if not any(row["network"] == name and row["figure"] == "macs" for row in rows):
            _write([*rows, *costs(config, name, log)])
        for seed in SEEDS if options.epochs else ():
            done = {(row["network"], row["seed"], row["figure"]) for row in _read()}
            if (name, str(seed), trained(options.epochs)) not in done:
                log(f"{name}: training, seed {seed}")
                # Read after the training: another process may have added rows meanwhile.
                row = train(config, name, seed, options)
                _write([*_read(), row])
    print(table(NAMES))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("blocks.py", main))
