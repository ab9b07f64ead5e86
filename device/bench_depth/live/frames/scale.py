"""How the numbers of a depth map are read: metres, or relative and perhaps upside down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

# The share of pixels beyond each end of a map's colours, percent: a few wild ones do not count.
_BEYOND = 2.0
# The colours follow a change in about this time, seconds: they would flicker else.
_FOLLOW_SECONDS = 0.5


@dataclass(frozen=True)
class Scale:
    """What a model's depth means.

    Attributes:
        relative: Whether it has no unit; metres otherwise.
        inverse: Whether large is near, as in relative inverse depth.
    """

    relative: bool = False
    inverse: bool = False

    def known(self, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where there is a depth: finite and, if it is metres, above 0."""
        finite = np.isfinite(depth)
        return finite if self.relative else finite & (depth > 0)

    def ends(
        self,
        depth: NDArray[np.float32],
        before: Optional[tuple[float, float]] = None,
        elapsed: float = 0.0,
    ) -> tuple[float, float]:
        """Nearest and farthest value of nearly all of a map, never equal.

        Args:
            depth: HxW; any number of unknown pixels.
            before: The ends of the frame before, which are left slowly.
            elapsed: Seconds since that frame.
        """
        known = depth[self.known(depth)]
        if known.size == 0:
            return before or (0.0, 1.0)
        low, high = (float(end) for end in np.percentile(known, (_BEYOND, 100 - _BEYOND)))
        near, far = (high, low) if self.inverse else (low, high)
        if before is not None:
            keep = math.exp(-elapsed / _FOLLOW_SECONDS)
            near = keep * before[0] + (1 - keep) * near
            far = keep * before[1] + (1 - keep) * far
        return (near, far) if abs(far - near) > 0.01 else (near, near + 0.01)
