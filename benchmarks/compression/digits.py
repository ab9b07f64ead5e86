"""Do SNIP and lottery tickets hold what their papers say? A small task, minutes on a CPU.

    python benchmarks/compression/digits.py [--seeds 10] [--table]

scikit-learn's digits (1,797 pictures of 8x8, half of them held out), a perceptron and a small
convolutional network, trained with the same masks, scores and rewinding as the depth networks.
Writes `digits.csv`, one row a training, and prints the table; `--table` only prints it.
"""

from __future__ import annotations

import argparse
import copy
import csv
import itertools
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
ROUNDS = 16
CONTROLS = (8, 10, 12, 14, 16)  # rounds after which new random weights are tried too
PAIRS = (
    ("snip", "dense"),
    ("snip", "random"),
    ("ticket", "dense"),
    ("ticket", "re-initialised"),
)
Row = tuple[str, Masks, float]  # method, what is kept, accuracy
STEPS, BATCH, RATE = 500, 60, 1.2e-3  # Adam as in the lottery ticket's experiments on MNIST


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
    optimiser = torch.optim.Adam(network.parameters(), RATE, fused=True)
    for _, batch in zip(range(STEPS), batches(data, seed), strict=False):
        optimiser.zero_grad()
        cross_entropy(network, batch).backward()
        optimiser.step()
        masking.apply()
    with torch.no_grad():
        x, y = data.test
        return 100 * (network(x).argmax(1) == y).float().mean().item()


def snip(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[Row]:
    """Dense, then SNIP and random pruning at every share."""
    initial = fresh(make, seed)
    dense = present(initial)
    sensitivity = connection_sensitivity(initial, cross_entropy, [data.train])
    generator = torch.Generator().manual_seed(seed)
    random = {n: torch.rand(w.shape, generator=generator) for n, w in weights(initial).items()}
    yield "dense", dense, trained(initial, dense, data, seed)
    for keep in KEEP:
        for name, scores in (("snip", sensitivity), ("random", random)):
            masks = keep_top(scores, round(keep * count(dense)), dense)
            yield name, masks, trained(fresh(make, seed), masks, data, seed)


def lottery(make: Callable[[], nn.Module], data: Data, seed: int) -> Iterator[Row]:
    """Every round's ticket from its initial weights and from new random ones."""
    network = fresh(make, seed)
    initial, masks = copy.deepcopy(network.state_dict()), present(network)
    trained(network, masks, data, seed)
    for number in range(1, ROUNDS + 1):
        masks = smallest_removed(network, masks, 0.2)
        network = make()
        rewind(network, initial, masks)
        yield "ticket", masks, trained(network, masks, data, seed)
        if number in CONTROLS:
            control = fresh(make, 1000 + seed)
            yield "re-initialised", masks, trained(control, masks, data, seed)


def measure(name: str, seed: int) -> Iterator[dict[str, Any]]:
    """All trainings of one network and seed."""
    make, data = NETWORKS[name], load(seed)
    for experiment in (snip, lottery):
        for method, masks, accuracy in experiment(make, data, seed):
            kept = round(share(masks), 4)
            fields = {"network": name, "seed": seed, "method": method, "kept": kept}
            yield {**fields, "accuracy": round(accuracy, 3)}


def compared(rows: list[dict[str, Any]], ours: str, other: str) -> Iterator[tuple[Any, ...]]:
    """Network, share, both mean accuracies, their mean difference and its standard error.

    The difference is that of the same seed, which has the same pictures and initial weights.
    """
    by = {(r["network"], r["method"], r["kept"], r["seed"]): r["accuracy"] for r in rows}
    groups = dict.fromkeys((r["network"], r["kept"]) for r in rows if r["method"] == ours)
    for network, kept in groups:
        share_of_other = 1.0 if other == "dense" else kept
        pairs = [
            (accuracy, by[network, other, share_of_other, seed])
            for (n, method, k, seed), accuracy in by.items()
            if (n, method, k) == (network, ours, kept)
            and (network, other, share_of_other, seed) in by
        ]
        if len(pairs) < 2:
            continue
        differences = [a - b for a, b in pairs]
        error = statistics.stdev(differences) / math.sqrt(len(pairs))
        means = [statistics.mean(column) for column in zip(*pairs, strict=True)]
        yield network, kept, *means, statistics.mean(differences), error


def table(rows: list[dict[str, Any]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"{len({row['seed'] for row in rows})} seeds; accuracy on the test half in percent; the "
        "difference is the mean over seeds with its standard error.",
    ]
    for ours, other in PAIRS:
        head = f"| network | kept | {ours} | {other} | difference |"
        lines += ["", head, "|---|--:|--:|--:|--:|"]
        lines += [
            f"| {network} | {kept:.1%} | {a:.2f} | {b:.2f} | {difference:+.2f} ± {error:.2f} |"
            for network, kept, a, b, difference, error in compared(rows, ours, other)
        ]
    return "\n".join(lines)


def read() -> list[dict[str, Any]]:
    """The rows measured so far."""
    if not RESULTS.is_file():
        return []
    with RESULTS.open(newline="") as file:
        return [
            {**row, "seed": int(row["seed"])} | {k: float(row[k]) for k in ("kept", "accuracy")}
            for row in csv.DictReader(file)
        ]


def main() -> None:
    """Measures what is missing, one network and seed at a time, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read()
    done = {(row["network"], row["seed"]) for row in rows}
    if not options.table:
        for seed, name in itertools.product(range(options.seeds), NETWORKS):
            if (name, seed) not in done:
                rows += measure(name, seed)
                write_bytes(RESULTS, csv_bytes(rows))
                print(f"{name}, seed {seed}", file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    main()
