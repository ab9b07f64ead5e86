"""Ranges from images: histograms of each activation, and where to clip them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ghostdepth_train.quantization.fake_quantization import SimulatedNet
from ghostdepth_train.quantization.quantized_tensors import Trunk
from ghostdepth_train.quantization.ranges import HIGHEST, LOWEST, Range

BINS = 2048
# Tried fractions of the whole range, in `mse_range`.
FRACTIONS = tuple(fraction / 100 for fraction in range(30, 101, 2))
Rule = Literal["minmax", "percentile", "mse"]


@dataclass
class Histogram:
    """How often each part of `low..high` was seen.

    Attributes:
        low: The smallest number.
        high: The largest.
        counts: `BINS` float64.
    """

    low: float
    high: float
    counts: Tensor

    @property
    def centres(self) -> Tensor:
        """The middle of each bin, float64."""
        width = (self.high - self.low) / BINS
        return self.low + (torch.arange(BINS, dtype=torch.float64) + 0.5) * width


@torch.no_grad()
def collect_histograms(
    trunk: Trunk, pictures: Iterable[Tensor], on_image: Callable[[int], None] = lambda _: None
) -> dict[str, Histogram]:
    """Histograms of all activations over some pictures, in two passes.

    Args:
        trunk: The network and its graph.
        pictures: Each 1x3xHxW, 0..255, of the network's size.
        on_image: Called with the number of images done, over both passes.
    """
    seen: dict[str, Histogram] = {}

    def ends(name: str, x: Tensor) -> None:
        low, high = (float(end) for end in x.aminmax())
        known = seen.setdefault(name, Histogram(low, high, torch.zeros(BINS, dtype=torch.float64)))
        known.low, known.high = min(known.low, low), max(known.high, high)

    def spread(name: str, x: Tensor) -> None:
        known = seen[name]
        if known.high > known.low:
            counts = torch.histc(x.float().flatten(), BINS, known.low, known.high)
            known.counts += counts.cpu().double()

    kept = list(pictures)
    for index, watch in enumerate((ends, spread)):
        simulated = SimulatedNet(trunk, watch=watch)
        for number, image in enumerate(kept, 1):
            simulated.run(image)
            on_image(index * len(kept) + number)
    return seen


def choose_range(histogram: Histogram, rule: Rule, percentile: float) -> Range:
    """The range of an activation by one of three rules.

    Args:
        histogram: Histogram of the observed values.
        rule: Range of all values (`minmax`), of all but the rarest at both ends (`percentile`), or
            the one with the smallest mean square of the rounding and clipping errors.
        percentile: Percentage of the values that the `percentile` rule keeps below the upper end,
            and above the lower.
    """
    if rule == "minmax" or not histogram.counts.any():
        return Range.of(histogram.low, histogram.high)
    if rule == "percentile":
        return percentile_range(histogram, percentile)
    return mse_range(histogram)


def percentile_range(histogram: Histogram, percentile: float) -> Range:
    """Cuts off the rarest values at both ends."""
    fraction = histogram.counts.cumsum(0) / histogram.counts.sum()
    rare = 1 - percentile / 100
    width = (histogram.high - histogram.low) / BINS
    below = int((fraction <= rare).sum())
    above = int((fraction < 1 - rare).sum()) + 1
    return Range.of(histogram.low + below * width, histogram.low + min(above, BINS) * width)


def mse_range(histogram: Histogram) -> Range:
    """Shrinks the range as long as clipping costs less than finer steps gain."""
    shrunk = [
        Range.of(histogram.low * fraction, histogram.high * fraction) for fraction in FRACTIONS
    ]
    errors = [_mean_square(histogram, range_) for range_ in shrunk]
    return shrunk[errors.index(min(errors))]


def _mean_square(histogram: Histogram, range_: Range) -> float:
    x = histogram.centres
    whole = (x / range_.scale).round() + range_.zero_point
    error = (whole.clamp(LOWEST, HIGHEST) - range_.zero_point) * range_.scale - x
    # Within a bin the numbers are spread evenly: rounding costs at least a step's fraction of it.
    inside = (whole >= LOWEST) & (whole <= HIGHEST)
    rounding = torch.where(inside, range_.scale**2 / 12, error**2)
    cost = torch.where(inside, rounding, error**2)
    return float((histogram.counts * cost).sum() / histogram.counts.sum())
