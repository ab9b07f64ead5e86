"""Whether a frame continues where the frame before it ended."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

# Frames are compared as grey pictures of this width and height: noise and small motion average out.
THUMBNAIL = (16, 12)
# Mean difference of two thumbnails, in grey levels of 255, from which on it is another scene. Of a
# hand-held camera, frames 0.2 s apart differed by at most 26; of different rooms, 99 of 100 pairs
# of photos by more than 31.
CUT = 30.0
# Seconds between two frames from which on the second stands alone; the images of a folder are shown
# for one second each.
GAP = 2.0


class Continuity:
    """Compares each frame of a stream with the one before it."""

    def __init__(self) -> None:
        self._thumbnail: Optional[NDArray[np.float32]] = None
        self._captured_ns: Optional[int] = None

    def reset(self) -> None:
        """Drops the previous frame: the next one is the first of a stream."""
        self._thumbnail = None

    def follows(self, photo: NDArray[np.uint8], captured_ns: Optional[int] = None) -> bool:
        """Whether a frame shows the scene of the frame before, at most `GAP` seconds later.

        Args:
            photo: HxWx3 uint8 RGB of any size.
            captured_ns: Time of capture in nanoseconds; None where it is unknown or does not count,
                as of the frames of a file.

        Returns:
            False for the first frame, at a cut and after a gap.
        """
        small = cv2.resize(photo, THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(small, np.float32).mean(-1)
        before, captured_before = self._thumbnail, self._captured_ns
        self._thumbnail, self._captured_ns = thumbnail, captured_ns
        missing_ns = 0
        if captured_ns is not None and captured_before is not None:
            missing_ns = captured_ns - captured_before
        if before is None or missing_ns > GAP * 1e9:
            return False
        return float(np.abs(thumbnail - before).mean()) < CUT
