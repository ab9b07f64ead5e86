"""Throughput of the training loop, with loading and augmentation, relative to the bare step.

Trainer: one epoch as `ghostdepth train` runs it, data loading included. Bare: forward, loss,
backward and optimizer step on one batch that is already in memory. The ratio of
their images per second should be at least 0.9.

    python benchmarks/training_speed.py [--data samples] [--config ghostnet-s]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.data import Split, read_split
from ghostdepth_train.losses import depth_loss
from ghostdepth_train.models.network import DepthNet, log_depth, normaliser
from ghostdepth_train.optimization import make_optimizer
from ghostdepth_train.run_options import RunOptions, silent
from ghostdepth_train.trainer import Trainer
from harness import ROOT, interleave, run, write_result

ROUNDS = 3
STEPS = 20


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT / "samples")
    parser.add_argument("--config", default="ghostnet-s")
    options = parser.parse_args()
    config = load_train_config(options.config, {"epochs": ROUNDS + 1})
    split = _of_length(read_split(options.data), STEPS * config.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, split, RunOptions(Path(folder), "benchmark", "any"))
        epoch = _epoch(trainer)
        bare = _bare(config, next(iter(trainer.loader)), trainer.device)
        epoch(), bare()  # Warm-up: starts the worker processes and allocates memory.
        speeds = interleave(ROUNDS, {"trainer": epoch, "bare": bare})
    print(f"config {options.config}, batches of {config.batch_size}, {STEPS} steps a round")
    print(f"{'':10}{'img/s, each round':>28}{'median':>10}")
    for name, figures in speeds.items():
        print(f"{name:10}{'  '.join(f'{x:.2f}' for x in figures):>28}{median(figures):>10.2f}")
    write_result(
        "training_speed",
        ratio=median(speeds["trainer"]) / median(speeds["bare"]),
        target=">= 0.9",
        raw={
            "config": options.config,
            "batch_size": config.batch_size,
            "steps_per_round": STEPS,
            "torch": torch.__version__,
            "torch_threads": torch.get_num_threads(),
            "device": trainer.device.type,
            "images_per_second": speeds,
        },
    )


def _of_length(split: Split, images: int) -> Split:
    """Repeats the training pairs, so that an epoch has a realistic number of steps."""
    times = -(-images // len(split.train))
    return Split((split.train * times)[:images], split.val)


def _epoch(trainer: Trainer) -> Callable[[], float]:
    def run() -> float:
        # Without `run`, which evaluates and writes checkpoints after each epoch.
        row = trainer._epoch(trainer.network, silent)
        trainer.epoch += 1
        return row["images_per_second"]

    return run


def _bare(
    config: TrainConfig, batch: tuple[torch.Tensor, torch.Tensor], device: torch.device
) -> Callable[[], float]:
    network = DepthNet(config.network).train()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(network, config)
    rgb, depth = (part.to(device) for part in batch)
    x = normaliser(config.network)(rgb).contiguous(memory_format=torch.channels_last)
    mixed = device.type == "cuda"

    def run() -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                encoded = network(x)
            prediction = log_depth(encoded.float(), config.network)
            depth_loss(prediction, depth, config.loss).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if mixed:
            torch.cuda.synchronize()
        return STEPS * config.batch_size / (time.perf_counter() - started)

    return run


if __name__ == "__main__":
    run(main)
