"""Do adders learn as convolutions do? One small network on scikit-learn's digits.

The network has three 3x3 layers between its first convolution and its classifier. They are
convolutions, adders as the paper trains them, or adders whose weights AdamW moves instead of the
local learning rate. Writes `adder_digits.json`; takes some minutes.

    python benchmarks/compression/adder_digits.py [--epochs 15] [--seeds 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_depth.core.files import write_json
from ghostdepth_train.config import TrainConfig, TrainingConfig, load_train_config
from ghostdepth_train.models.adder_conv import AdderConv2d
from ghostdepth_train.optimization import make_optimizer, make_schedule
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

RESULTS = Path(__file__).with_suffix(".json")
TRAINING_PICTURES = 1347
BATCH = 64
CLASSES = 10


def main() -> None:
    """Trains every kind with every seed, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    training = TrainingConfig(epochs=options.epochs, learning_rate=2e-3, warmup_epochs=0)
    config = load_train_config("tiny", training.model_dump())
    rows = []
    for kind in ("conv", "adder", "adder, AdamW"):
        runs = [train(kind, seed, config) for seed in range(options.seeds)]
        accuracies = [accuracy for accuracy, _ in runs]
        mean, spread = statistics.mean(accuracies), max(accuracies) - min(accuracies)
        print(f"{kind:14}{mean:8.4f} +- {spread / 2:.4f}", flush=True)
        rows.append({"kind": kind, "accuracy": accuracies, "loss": [loss for _, loss in runs]})
    write_json(
        RESULTS,
        {
            "epochs": options.epochs,
            "test_pictures": len(digits()[1]) - TRAINING_PICTURES,
            "date": time.strftime("%Y-%m-%d"),
            "rows": rows,
        },
    )


def digits() -> tuple[Tensor, Tensor]:
    """1797x1x8x8 pictures, normalised by the training part, and their classes."""
    data = load_digits()
    pictures = torch.tensor(data.images, dtype=torch.float32)[:, None]
    part = pictures[:TRAINING_PICTURES]
    return (pictures - part.mean()) / part.std(), torch.tensor(data.target)


def build(middle: Callable[[int, int, int], nn.Module]) -> nn.Sequential:
    """A classifier whose three middle layers are made by `middle(inp, out, stride)`."""

    def block(layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, nn.BatchNorm2d(width), nn.ReLU()]

    return nn.Sequential(
        *block(nn.Conv2d(1, 16, 3, padding=1, bias=False), 16),
        *block(middle(16, 32, 2), 32),
        *block(middle(32, 32, 1), 32),
        *block(middle(32, 64, 2), 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, CLASSES),
    )


def convolution(inp: int, out: int, stride: int) -> nn.Module:
    """What the adders replace."""
    return nn.Conv2d(inp, out, 3, stride, 1, bias=False)


def adder(inp: int, out: int, stride: int) -> nn.Module:
    """An adder of the same size."""
    return AdderConv2d(inp, out, 3, stride)


def train(kind: str, seed: int, config: TrainConfig) -> tuple[float, float]:
    """Accuracy on the test pictures and the last epoch's mean loss."""
    torch.manual_seed(seed)
    network = build(convolution if kind == "conv" else adder)
    optimizer = (
        torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        if kind == "adder, AdamW"
        else make_optimizer(network, config)
    )
    pictures, classes = digits()
    steps = TRAINING_PICTURES // BATCH
    schedule = make_schedule(optimizer, steps, config)
    for _ in range(config.epochs):
        losses = []
        for batch in torch.randperm(TRAINING_PICTURES).split(BATCH)[:steps]:
            loss = F.cross_entropy(network(pictures[batch]), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
    with torch.no_grad():
        predicted = network.eval()(pictures[TRAINING_PICTURES:]).argmax(1)
    right = predicted == classes[TRAINING_PICTURES:]
    return float(right.float().mean()), statistics.mean(losses)


if __name__ == "__main__":
    main()
