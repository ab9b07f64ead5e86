"""Do SNIP and lottery tickets hold what their papers say? A small task, minutes on a CPU.

    python benchmarks/compression/digits.py [--seeds 10] [--table]

scikit-learn's digits (1,797 pictures of 8x8, half of them held out), a perceptron and a small
convolutional network, trained with the same masks, scores and rewinding as the depth networks.
Writes `digits.csv`, one row a training, and prints the table; `--table` only prints it.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from bench_depth.files import write_bytes
from ghostdepth_train.compress.lottery import rewind, smallest_removed
from ghostdepth_train.compress.masks import Masking, Masks, count, keep_top, present, share, weights
from ghostdepth_train.compress.snip import connection_sensitivity
from ghostdepth_train.trainer import csv_bytes
from torch import Tensor, nn
from torch.nn import functional as F

RESULTS = Path(__file__).with_name("digits.csv")
KEEP = (0.2, 0.1, 0.05, 0.02)
ROUNDS = 18
STEPS, BATCH, RATE = 750, 60, 1.2e-3  # Adam as in the lottery ticket's experiments on MNIST


@dataclass(frozen=True)
class Data:
    """Pictures Nx1x8x8 in 0..1 and their digits."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def load(seed: int) -> Data:
    """A split of its own for each seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    parts = train_test_split(
        digits.images / 16, digits.target, test_size=0.5, random_state=seed, stratify=digits.target
    )
    x, x_test = (torch.tensor(part, dtype=torch.float32)[:, None] for part in parts[:2])
    y, y_test = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Data((x, y), (x_test, y_test))


def perceptron() -> nn.Module:
    """64-300-100-10, both papers' LeNet-300-100."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
        nn.Linear(100, 10),
    )  # fmt: skip


def convolutional() -> nn.Module:
    """Two convolutions and two linear layers, as LeNet-5."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "perceptron": perceptron,
    "convolutional": convolutional,
}


def fresh(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """New random weights, Glorot's as in both papers."""
    torch.manual_seed(seed)
    network = make()
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
        else:
            assert name.endswith("bias")
            nn.init.zeros_(parameter)
    return network


def cross_entropy(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The loss of SNIP's scores and of the training."""
    return F.cross_entropy(network(batch[0]), batch[1])


def batches(data: Data, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random batches without end."""
    x, y = data.train
    generator = torch.Generator().manual_seed(seed)
    while True:
        for part in torch.randperm(len(y), generator=generator).split(BATCH)[:-1]:
            yield x[part], y[part]


def trained(network: nn.Module, masks: Masks, data: Data, seed: int) -> float:
    """Trains in place with the masked weights at zero; the accuracy on the test half, percent."""
    masking = Masking(network, masks)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    for _, batch in zip(range(STEPS), batches(data, seed), strict=False):
        optimiser.zero_grad()
        cross_entropy(network, batch).backward()
        optimiser.step()
        masking.apply()
    with torch.no_grad():
        x, y = data.test
        return 100 * (network(x).argmax(1) == y).float().mean().item()


def snip_rows(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[tuple[str, Masks, float]]:
    """Dense, then SNIP and random pruning at every share."""
    dense = present(fresh(make, seed))
    yield "dense", dense, trained(fresh(make, seed), dense, data, seed)
    initial = fresh(make, seed)
    sensitivity = connection_sensitivity(initial, cross_entropy, [data.train])
    generator = torch.Generator().manual_seed(seed)
    random = {n: torch.rand(w.shape, generator=generator) for n, w in weights(initial).items()}
    for keep in KEEP:
        for name, scores in (("snip", sensitivity), ("random", random)):
            masks = keep_top(scores, round(keep * count(dense)), dense)
            yield name, masks, trained(fresh(make, seed), masks, data, seed)


def lottery_rows(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[tuple[str, Masks, float]]:
    """Every round's ticket from its initial weights and from new random ones."""
    initial = fresh(make, seed).state_dict()
    network, masks = fresh(make, seed), present(fresh(make, seed))
    trained(network, masks, data, seed)
    for _ in range(ROUNDS):
        masks = smallest_removed(network, masks, 0.2)
        control = fresh(make, 1000 + seed)
        network = make()
        rewind(network, initial, masks)
        yield "ticket", masks, trained(network, masks, data, seed)
        yield "re-initialised", masks, trained(control, masks, data, seed)


def measure(seeds: int) -> list[dict[str, object]]:
    """All trainings."""
    rows: list[dict[str, object]] = []
    for name, make in NETWORKS.items():
        for seed in range(seeds):
            data = load(seed)
            for method, masks, accuracy in (
                *snip_rows(make, data, seed),
                *lottery_rows(make, data, seed),
            ):
                rows.append(
                    {
                        "network": name,
                        "method": method,
                        "kept": round(share(masks), 4),
                        "seed": seed,
                        "accuracy": round(accuracy, 3),
                    }
                )
            print(f"{name}, seed {seed} of {seeds}", file=sys.stderr)
    return rows
