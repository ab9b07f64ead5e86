"""Do SNIP and lottery tickets hold what their papers say? A small task, minutes on a CPU.

    python benchmarks/compression/digits.py [--seeds 5] [--table]

scikit-learn's digits (1,797 pictures of 8x8, half of them held out), a perceptron and a small
convolutional network, trained with the same masks, scores and rewinding as the depth networks.
Writes `digits.csv`, one row a training, and prints the table; `--table` only prints it.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_depth.core.files import write_bytes
from ghostdepth_train.compress.lottery import prune_smallest, rewind
from ghostdepth_train.compress.snip import connection_sensitivity
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table
from ghostdepth_train.pruning.masks import (
    Masking,
    Masks,
    count,
    keep_top,
    kept_fraction,
    present,
    weights,
)
from torch import Tensor, nn
from torch.nn import functional as F

RESULTS = Path(__file__).with_name("digits.csv")
KEEP = (0.2, 0.1, 0.05, 0.02)
ROUNDS = 16
CONTROLS = (8, 10, 12, 14, 16)  # rounds after which new random weights are tried too
Row = tuple[str, Masks, float]  # method, what is kept, accuracy
STEPS, BATCH = 500, 60


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
    """Two convolutions and two linear layers, as LeNet-5; 72,000 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 200), nn.ReLU(), nn.Linear(200, 10),
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


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    """SNIP's optimiser on MNIST."""
    return torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """The lottery ticket's on MNIST."""
    return torch.optim.Adam(network.parameters(), 1.2e-3, fused=True)


def trained(
    network: nn.Module, masks: Masks, data: Data, seed: int, optimiser: torch.optim.Optimizer
) -> float:
    """Trains in place with the masked weights at zero; the accuracy on the test half, percent.

    SGD's rate falls to zero as a cosine, Adam's is constant.
    """
    masking = Masking(network, masks)
    falling = isinstance(optimiser, torch.optim.SGD)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _, batch in zip(range(STEPS), batches(data, seed), strict=False):
        optimiser.zero_grad()
        cross_entropy(network, batch).backward()
        optimiser.step()
        masking.apply()
        if falling:
            schedule.step()
    with torch.no_grad():
        x, y = data.test
        return 100 * (network(x).argmax(1) == y).float().mean().item()


def snip(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[Row]:
    """Dense, then SNIP and random pruning at every fraction."""
    initial = fresh(make, seed)
    dense = present(initial)
    sensitivity = connection_sensitivity(initial, cross_entropy, [data.train])
    generator = torch.Generator().manual_seed(seed)
    random = {n: torch.rand(w.shape, generator=generator) for n, w in weights(initial).items()}
    yield "dense", dense, trained(initial, dense, data, seed, sgd(initial))
    for keep in KEEP:
        for name, scores in (("snip", sensitivity), ("random", random)):
            masks = keep_top(scores, round(keep * count(dense)), dense)
            network = fresh(make, seed)
            yield name, masks, trained(network, masks, data, seed, sgd(network))


def lottery(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[Row]:
    """Every round's ticket from its initial weights and from new random ones."""
    network = fresh(make, seed)
    initial, masks = copy.deepcopy(network.state_dict()), present(network)
    yield "dense", masks, trained(network, masks, data, seed, adam(network))
    for number in range(1, ROUNDS + 1):
        masks = prune_smallest(network, masks, 0.2)
        network = make()
        rewind(network, initial, masks)
        yield "ticket", masks, trained(network, masks, data, seed, adam(network))
        if number in CONTROLS:
            control = fresh(make, 1000 + seed)
            yield "re-initialised", masks, trained(control, masks, data, seed, adam(control))


Experiment = Callable[[Callable[[], nn.Module], Data, int], Iterator[Row]]
# Experiment, network, and what is compared with what.
EXPERIMENTS = (
    (snip, "perceptron", ("snip", "dense"), ("snip", "random")),
    (snip, "convolutional", ("snip", "dense"), ("snip", "random")),
    (lottery, "perceptron", ("ticket", "dense"), ("ticket", "re-initialised")),
)


def measure(experiment: Experiment, network: str, seed: int) -> Iterator[dict[str, Any]]:
    """All trainings of one experiment, network and seed."""
    for method, masks, accuracy in experiment(NETWORKS[network], load(seed), seed):
        yield {
            "experiment": experiment.__name__,
            "network": network,
            "seed": seed,
            "method": method,
            "kept": round(kept_fraction(masks), 4),
            "accuracy": round(accuracy, 3),
        }


@dataclass(frozen=True)
class Difference:
    """One method against another on the same seeds, which share pictures and initial weights.

    Attributes:
        kept: Fraction of the weights that stay.
        ours: Mean accuracy, percent.
        other: The other method's.
        mean: Mean of the differences.
        error: Standard error of the mean.
    """

    kept: float
    ours: float
    other: float
    mean: float
    error: float


def compared(
    rows: list[dict[str, Any]], experiment: str, network: str, ours: str, other: str
) -> list[Difference]:
    """The differences at every fraction at which both were measured."""
    by = {
        (row["method"], row["kept"], row["seed"]): row["accuracy"]
        for row in rows
        if (row["experiment"], row["network"]) == (experiment, network)
    }
    differences = []
    for kept in dict.fromkeys(kept for method, kept, _ in by if method == ours):
        pairs = [
            (accuracy, by[other, 1.0 if other == "dense" else kept, seed])
            for (method, fraction, seed), accuracy in by.items()
            if (method, fraction) == (ours, kept)
            and (other, 1.0 if other == "dense" else kept, seed) in by
        ]
        if len(pairs) > 1:
            a, b = (statistics.mean(column) for column in zip(*pairs, strict=True))
            spread = statistics.stdev(x - y for x, y in pairs)
            differences.append(Difference(kept, a, b, a - b, spread / math.sqrt(len(pairs))))
    return differences


def table(rows: list[dict[str, Any]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"{len({row['seed'] for row in rows})} seeds; accuracy on the test half in percent; "
        "difference: mean over the seeds and its standard error.",
    ]
    for experiment, network, *pairs in EXPERIMENTS:
        for ours, other in pairs:
            found = (
                [
                    f"{d.kept:.1%}",
                    f"{d.ours:.2f}",
                    f"{d.other:.2f}",
                    f"{d.mean:+.2f} ± {d.error:.2f}",
                ]
                for d in compared(rows, experiment.__name__, network, ours, other)
            )
            heads = [f"{network}, kept", ours, other, "difference"]
            lines += ["", markdown_table(heads, found)]
    return "\n".join(lines)


def read() -> list[dict[str, Any]]:
    """The rows measured so far."""
    return [
        {**row, "seed": int(row["seed"])} | {k: float(row[k]) for k in ("kept", "accuracy")}
        for row in csv_rows(RESULTS)
    ]


def main() -> None:
    """Measures what is missing, one network and seed at a time, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read()
    done = {(row["experiment"], row["network"], row["seed"]) for row in rows}
    if not options.table:
        for seed, (experiment, network, *_) in itertools.product(range(options.seeds), EXPERIMENTS):
            if (experiment.__name__, network, seed) not in done:
                rows += measure(experiment, network, seed)
                write_bytes(RESULTS, csv_bytes(rows))
                print(f"{experiment.__name__}, {network}, seed {seed}", file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main()
