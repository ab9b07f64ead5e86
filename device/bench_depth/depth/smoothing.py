"""An exponential filter over the depth of a stream, for a camera that moves slowly."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError


def check_smoothing(keep: float) -> None:
    """Refuses what is no fraction of the frame before.

    Raises:
        UserError: It is below 0, or not below 1.
    """
    if not 0 <= keep < 1:
        raise UserError(
            f"smoothing of {keep:g} is impossible: it is the fraction of the depth before that is "
            "kept; give one from 0 (none) to below 1, such as 0.5"
        )


class Smoother:
    """The exponential filter ln F(t) = keep ln F(t-1) + (1 - keep) ln D(t), pixel by pixel.

    Relative depth, which may be 0 or negative, is filtered without the logarithm. A pixel whose
    depth is unknown (not finite; in metres also 0 or less) stays so, and is filtered anew from the
    next frame in which it is known.

    Args:
        keep: Fraction of the depth before that is kept, from 0 (no filter) to below 1, see
            `check_smoothing`.
        metric: Whether depth is in metres.
    """

    def __init__(self, keep: float, metric: bool) -> None:
        self._keep = keep
        self._metric = metric
        self._before: Optional[NDArray[np.float32]] = None

    def reset(self) -> None:
        """Drops the previous frames: the next one is the first of a stream."""
        self._before = None

    def __call__(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The filtered depth of the next frame.

        Args:
            depth: HxW float32; all frames of a stream have one size.
        """
        if not self._keep:
            return depth
        known = np.isfinite(depth)
        if self._metric:
            known &= depth > 0
        now = np.where(known, depth, np.float32(1))
        now = cv2.log(now) if self._metric else now
        if self._before is not None and self._before.shape == now.shape:
            mixed = cv2.addWeighted(self._before, self._keep, now, 1 - self._keep, 0)
            now = np.where(np.isnan(self._before), now, mixed)
        self._before = np.where(known, now, np.float32(np.nan))
        return np.where(known, cv2.exp(now) if self._metric else now, depth)
