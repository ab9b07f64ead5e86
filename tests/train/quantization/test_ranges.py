"""Ranges of quantized tensors: how they are chosen, written and read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.quantization import Range, Trunk, read_ranges, write_ranges
from ghostdepth_train.quantization.observers import (
    BINS,
    Histogram,
    choose_range,
    collect_histograms,
    mse_range,
)
from torch import Tensor

from tests.train.quantization.conftest import exact


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (0.5, 2.0), (-4, -1), (0, 0)])
def test_a_range_covers_its_ends_and_holds_zero(low: float, high: float) -> None:
    made = Range.of(low, high)
    step = made.scale * (1 + 1e-4)
    assert made.low <= min(low, 0) + step
    assert made.high >= max(high, 0) - step
    assert -128 <= made.zero_point <= 127


@pytest.mark.parametrize("end", [1e-5, 0.3, 2.7182818, 123.456])
def test_the_ends_of_a_range_are_exact_in_float32(end: float) -> None:
    made = Range.of(-end / 3, end)
    assert float(np.float32(made.low)) == made.low
    assert float(np.float32(made.high)) == made.high
    assert (np.float32(made.high) - np.float32(made.low)) / np.float32(255) == made.scale


def test_ranges_survive_json(ranges: dict[str, Range]) -> None:
    text = json.dumps(write_ranges(ranges))
    assert read_ranges(json.loads(text), ranges.keys(), "x") == ranges


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v | {"schema": "other"}, "is not a ghostdepth-ranges/1 file"),
        (lambda v: v | {"activations": {}}, "ranges of another network"),
        (lambda v: v | {"activations": {"a": {"scale": -1.0, "zero_point": 0}}}, "x: a has no"),
        (lambda v: v | {"activations": {"a": {"scale": 1.0, "zero_point": 200}}}, "x: a has no"),
        (lambda v: v | {"activations": {"a": 3}}, "x: a has no"),
        (lambda v: [], "is not a"),
    ],
)
def test_ranges_that_are_wrong_are_named(change, message: str) -> None:  # type: ignore[no-untyped-def]
    value = write_ranges({"a": Range(1.0, 0)})
    with pytest.raises(UserError, match=message):
        read_ranges(change(value), {"a"}, "x")


def test_percentile_and_mse_cut_off_an_outlier_and_minmax_does_not() -> None:
    counts = torch.zeros(BINS, dtype=torch.float64)
    counts[: BINS // 4] = 1000
    counts[-1] = 1
    seen = Histogram(0.0, 8.0, counts)
    assert choose_range(seen, "minmax", 99).high == pytest.approx(8, rel=0.01)
    assert choose_range(seen, "percentile", 99.9).high == pytest.approx(2, rel=0.02)
    assert choose_range(seen, "mse", 99).high < 5


def test_the_mse_range_is_the_best_of_those_tried() -> None:
    torch.manual_seed(0)
    x = torch.randn(200_000).double()
    low, high = float(x.min()), float(x.max())
    counts = torch.histc(x.float(), BINS, low, high).double()
    chosen = mse_range(Histogram(low, high, counts))

    def cost(range_: Range) -> float:
        q = ((x / range_.scale).round() + range_.zero_point).clamp(-128, 127)
        return float(((q - range_.zero_point) * range_.scale - x).square().mean())

    assert cost(chosen) <= 1.02 * min(
        cost(Range.of(low * s, high * s)) for s in np.arange(0.3, 1.01, 0.02)
    )


def test_histograms_hold_every_number(network: DepthNet, trunk: Trunk, pictures: Tensor) -> None:
    seen = collect_histograms(trunk, pictures.split(1))
    head = seen[trunk.quantized.range_names()[-1]]
    values = exact(network, pictures)
    assert head.counts.sum() == values.numel()
    assert (head.low, head.high) == (
        pytest.approx(float(values.min()), abs=1e-5),
        pytest.approx(float(values.max()), abs=1e-5),
    )
