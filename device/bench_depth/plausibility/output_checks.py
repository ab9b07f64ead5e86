"""Plausibility of predicted depth: the one set of checks for what a model gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.plausibility.advice import OUTPUT_ADVICE, warning_line

_NEAR_M, _FAR_M = 0.005, 1000.0
# A constant that was resized differs by some units in the last place of float32 from itself.
_ROUNDING = 1e-5
# Two photos are different from this mean difference of their values on, 0..255: far above the noise
# of a camera. One pixel in so many of a row and of a column is compared.
_DIFFERENT, _GRID = 8.0, 8


def output_codes(depth: NDArray[Any], *, metric: bool) -> list[str]:
    """Checks one depth map.

    Args:
        depth: Depth of any shape; metres if `metric`.
        metric: Whether the depth is in metres; relative depth may have any sign and size.

    Returns:
        Keys of `OUTPUT_ADVICE`.
    """
    # One reduction finds NaN as well as the extremes: it is done for every frame of a camera.
    low, high = float(depth.min()), float(depth.max())
    if not np.isfinite([low, high]).all():
        return ["output-nan"]
    constant = high - low <= _ROUNDING * max(abs(low), abs(high))
    holds = {
        "output-constant": constant and depth.size > 1,
        "output-negative": metric and low < 0,
        "output-unit": metric and not constant and (0 <= high < _NEAR_M or low > _FAR_M),
    }
    return [code for code, held in holds.items() if held]


class OutputWatch:
    """Warns once about each fault of a sequence of depth maps.

    Args:
        metric: See `output_codes`.
        log: Called with one line for each code that appears.
    """

    def __init__(self, metric: bool, log: Callable[[str], None]) -> None:
        self._metric, self._log = metric, log
        self.codes: list[str] = []
        self._responds = False
        self._before: Optional[tuple[NDArray[Any], NDArray[Any]]] = None

    def __call__(
        self, name: str, depth: NDArray[Any], photo: Optional[NDArray[np.uint8]] = None
    ) -> None:
        """Checks the depth of an image.

        Args:
            name: Name of the image, for the warning.
            depth: Its depth, see `output_codes`.
            photo: The image itself, HxWx3, by which a model that gives the same depth for every
                image is found; None where that is not looked for.
        """
        codes = output_codes(depth, metric=self._metric)
        if not codes and photo is not None and self._as_before(depth, photo):
            codes = ["output-same"]
        for code in codes:
            if code not in self.codes:
                self.codes.append(code)
                self._log(warning_line(code, f"{name}: {OUTPUT_ADVICE[code]}"))

    def _as_before(self, depth: NDArray[Any], photo: NDArray[np.uint8]) -> bool:
        """Whether another photo had this depth; not looked at once any depth has differed."""
        if self._responds:
            return False
        points = photo[::_GRID, ::_GRID].astype(np.int16)
        if self._before is None or self._before[0].shape != depth.shape:
            self._before = depth.copy(), points
            return False
        before, seen = self._before
        self._responds = not np.array_equal(before, depth)
        if self._responds or seen.shape != points.shape:
            return not self._responds
        return float(np.abs(seen - points).mean()) > _DIFFERENT
