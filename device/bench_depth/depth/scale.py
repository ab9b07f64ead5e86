"""The meaning of the values of a depth map: metres, relative depth or relative inverse depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

Distances = tuple[Optional[float], Optional[float], Optional[float]]

# Percentage of pixels beyond each end of the colour range, so that outliers do not stretch it.
_BEYOND = 2.0
# Time constant in seconds with which the colour range follows the depth; prevents flicker.
_FOLLOW_SECONDS = 0.5
# Pixels of a depth map above which a sixteenth of them is enough for the colour range.
_MANY = 100_000


@dataclass(frozen=True)
class Scale:
    """The meaning of the depth values of a model.

    Attributes:
        relative: Whether depth has no unit; it is in metres otherwise.
        inverse: Whether larger values are nearer, as in relative inverse depth.
    """

    relative: bool = False
    inverse: bool = False

    def known(self, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """HxW mask of the pixels with depth: finite and, if metric, above 0."""
        finite = np.isfinite(depth)
        return finite if self.relative else finite & (depth > 0)

    def distances(self, depths: Sequence[NDArray[np.float32]]) -> Distances:
        """Nearest, median and farthest depth of any number of depth maps, to three decimals.

        Returns:
            Three numbers; three times None if no pixel has depth.
        """
        parts = [self._values(depth) for depth in depths]
        values = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.float32)])
        if not values.size:
            return None, None, None
        low, median, high = (
            round(float(value), 3) for value in (values.min(), _median(values), values.max())
        )
        return (high, median, low) if self.inverse else (low, median, high)

    def ends(
        self,
        depth: NDArray[np.float32],
        before: Optional[tuple[float, float]] = None,
        elapsed: float = 0.0,
    ) -> tuple[float, float]:
        """The colour range of a depth map: robust nearest and farthest values, never equal.

        Args:
            depth: HxW float32 depth map; any number of pixels may be unknown. Of a large one
                every fourth pixel of every fourth row is looked at.
            before: The range of the previous frame, for smoothing; None for the first frame.
            elapsed: Seconds since the previous frame.
        """
        if depth.size > _MANY:
            depth = depth[::4, ::4]
        values = self._values(depth)
        if values.size == 0:
            return before or (0.0, 1.0)
        low, high = (float(end) for end in np.percentile(values, (_BEYOND, 100 - _BEYOND)))
        near, far = (high, low) if self.inverse else (low, high)
        if before is not None:
            keep = math.exp(-elapsed / _FOLLOW_SECONDS)
            near = keep * before[0] + (1 - keep) * near
            far = keep * before[1] + (1 - keep) * far
        return (near, far) if abs(far - near) > 0.01 else (near, near + 0.01)

    def _values(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        known = self.known(depth)
        return depth.ravel() if known.all() else depth[known]


def _median(values: NDArray[np.float32]) -> np.floating[Any]:
    """As `np.median`; of many values it sorts those near the median alone, a tenth of them."""
    if values.size > _MANY:
        low, high = np.percentile(values[::61], (45, 55))
        below, middle = np.count_nonzero(values < low), values[(low <= values) & (values <= high)]
        first, last = (values.size - 1) // 2 - below, values.size // 2 - below
        if first >= 0 and last < middle.size:
            return np.partition(middle, (first, last))[[first, last]].mean()
    return np.median(values)


def to_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Converts metres to uint16 millimetres, 1 to 65535; 0 where not finite and positive."""
    known = Scale().known(depth)
    codes = np.clip(np.rint(np.where(known, depth, 0) * 1000), known, 65535)
    return codes.astype(np.uint16)
