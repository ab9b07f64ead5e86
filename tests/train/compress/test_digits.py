"""What the committed digits benchmark says, and that its trainings do what their names say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from ghostdepth_train.pruning.masks import kept_fraction, present

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "compression"


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import digits as module

    monkeypatch.setitem(sys.modules, "digits", module)
    monkeypatch.setattr(module, "STEPS", 20)
    return module


def test_at_least_five_seeds_of_every_experiment(digits: ModuleType) -> None:
    rows = digits.read()
    for experiment, network, *_ in digits.EXPERIMENTS:
        key = (experiment.__name__, network)
        seeds = {row["seed"] for row in rows if (row["experiment"], row["network"]) == key}
        assert len(seeds) >= 5


def test_snip_at_a_tenth_is_within_a_point_of_the_dense_perceptron(digits: ModuleType) -> None:
    rows = digits.compared(digits.read(), "snip", "perceptron", "snip", "dense")
    (tenth,) = (row for row in rows if row.kept == pytest.approx(0.1, abs=1e-3))
    assert tenth.mean > -1


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_snip_is_better_than_random_pruning(digits: ModuleType, network: str) -> None:
    for row in digits.compared(digits.read(), "snip", network, "snip", "random"):
        if row.kept < 0.15:
            assert row.mean > 2 * row.error


def test_winning_tickets_are_better_than_new_random_weights(digits: ModuleType) -> None:
    rows = digits.compared(digits.read(), "lottery", "perceptron", "ticket", "re-initialised")
    assert rows
    for row in rows:
        assert row.kept <= 0.2
        assert row.mean > 2 * row.error


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_every_training_keeps_its_fraction(digits: ModuleType, network: str) -> None:
    rows = list(digits.measure(digits.snip, network, 0))
    assert {row["method"] for row in rows} == {"dense", "snip", "random"}
    kept = [row["kept"] for row in rows if row["method"] != "dense"]
    assert kept == pytest.approx([k for k in digits.KEEP for _ in range(2)], abs=1e-3)


def test_training_leaves_dropped_weights_at_zero(digits: ModuleType) -> None:
    network = digits.fresh(digits.perceptron, 0)
    masks = {name: torch.rand(mask.shape) < 0.3 for name, mask in present(network).items()}
    digits.trained(network, masks, digits.load(0), 0, digits.sgd(network))
    assert kept_fraction(present(network)) == pytest.approx(kept_fraction(masks), abs=1e-4)
