"""Clips for the training of a stream: frames of videos, or a moving crop of a single pair."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import cv2
import numpy as np
import torch
from bench_depth.core.dataset import Pair
from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted
from numpy.typing import NDArray
from torch import Tensor

from ghostdepth_train.augment import reframe, retouch
from ghostdepth_train.augment.geometry import Depth, Photo, crop_matrix, zoom_crop
from ghostdepth_train.config import AugmentConfig, ClipConfig
from ghostdepth_train.data.loader import DepthDataset


def clips_of(pairs: list[Pair]) -> list[list[Pair]]:
    """The pairs by the dataset folder that they lie in, each folder's in the order of the names."""
    return [list(own) for _, own in groupby(pairs, lambda pair: pair.rgb.parent)]


@dataclass(frozen=True)
class CropPath:
    """Where a crop moves on a picture during a clip.

    Attributes:
        zooms: Enlargement at the first and at the last frame, at least 1.
        places: Place of the window then, 0..1 from top and from left, see `zoom_crop`.
    """

    zooms: tuple[float, float]
    places: tuple[tuple[float, float], tuple[float, float]]

    @staticmethod
    def draw(rng: np.random.Generator, zoom: float, motion: float) -> CropPath:
        """A path whose ends are up to `motion` of the way apart, with enlargements up to `zoom`.

        The enlargement is at least 1.1: without one, a window has nowhere to go.
        """
        least = min(1.1, zoom)
        first, last = (least * (zoom / least) ** rng.random(2)).tolist()
        start = rng.random(2)
        end = np.clip(start + motion * rng.uniform(-1, 1, 2), 0, 1)
        last = first * (last / first) ** motion
        return CropPath((first, last), ((start[0], start[1]), (end[0], end[1])))

    def at(self, time: float) -> tuple[float, tuple[float, float]]:
        """Enlargement and place at a time, 0 at the first frame and 1 at the last one."""
        zoom = self.zooms[0] * (self.zooms[1] / self.zooms[0]) ** time
        top, left = (a + time * (b - a) for a, b in zip(*self.places, strict=True))
        return zoom, (top, left)

    def view(self, rgb: Photo, depth: Depth, time: float, size: tuple[int, int]) -> tuple[Any, Any]:
        """The pair within the crop at a time, with the depth from its camera position then."""
        return zoom_crop(rgb, depth, *self.at(time), size)

    def motion(
        self, time: float, after: float, picture: tuple[int, int], size: tuple[int, int]
    ) -> NDArray[np.float64]:
        """The 3x3 matrix from the pixels of the view at a time to those of one after it.

        Args:
            time: Time of the view, 0..1.
            after: Time of the other view.
            picture: Rows and columns of the picture that the crop moves on.
            size: Rows and columns of the views.
        """
        first, second = (crop_matrix(*picture, *self.at(each), size) for each in (time, after))
        return np.asarray(second @ np.linalg.inv(first), np.float64)


class ClipDataset(DepthDataset):
    """Augmented clips; all frames of one are changed in the same way, but for the noise.

    Args:
        pairs: Files of the pairs.
        size: Height and width of the network's input.
        config: Settings of the augmentation.
        seed: Seed of the augmentation.
        clip: Length of the clips, and where they come from.

    An item is asked for as `(epoch, index)` and is Tx3xHxW uint8 RGB and Tx1xHxW float32 metres;
    with `clip.temporal` also the (T-1)x3x3 float32 matrices from each frame's pixels to those of
    the next, see `losses.temporal_loss`.

    Raises:
        UserError: A folder has fewer frames than a clip; or, when a clip is asked for, its frames
            differ in size.
    """

    def __init__(
        self,
        pairs: list[Pair],
        size: tuple[int, int],
        config: AugmentConfig,
        seed: int,
        clip: ClipConfig,
    ) -> None:
        super().__init__(pairs, size, config, seed)
        self.clip = clip
        self._starts: list[int] = []
        first = 0
        for own in clips_of(pairs) if clip.source == "frames" else ():
            count = len(own) - clip.frames + 1
            if count < 1:
                raise UserError(
                    f"{own[0].rgb.parent.parent} has {counted(len(own), 'frame')}, and "
                    f"clip.frames is {clip.frames}; give longer clips, lower clip.frames, or set "
                    "clip.source=crop for clips from single pairs"
                )
            self._starts.extend(range(first, first + count))
            first += len(own)

    def __len__(self) -> int:
        return len(self._starts) or len(self.pairs)

    def __getitem__(self, key: Any) -> tuple[Tensor, ...]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        motions: list[NDArray[np.float64]] = []
        if self.clip.source == "crop":
            frames, motions = self._crops(index, rng)
        else:
            frames = self._frames(index)
        same, noise = int(rng.integers(2**32)), self.config.noise * rng.random()
        still = self.config.model_copy(update={"noise": 0.0, **self._framing()})
        photos, depths = [], []
        for rgb, depth in frames:
            chance = np.random.default_rng(same)
            rgb, depth, framing = reframe(rgb, depth, self.size, still, chance)  # noqa: PLW2901
            rgb = retouch(rgb, still, chance)  # noqa: PLW2901
            grain = np.float32(noise) * rng.standard_normal(rgb.shape, np.float32)
            photos.append(np.asarray(cv2.add(rgb, grain, dtype=cv2.CV_8U), np.uint8))
            depths.append(depth)
        rgbs = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)
        clip = (rgbs, torch.from_numpy(np.stack(depths))[:, None])
        if not self.clip.temporal:
            return clip
        seen = [framing @ motion @ np.linalg.inv(framing) for motion in motions]
        return (*clip, torch.from_numpy(np.stack(seen)).float())

    def _framing(self) -> dict[str, float]:
        """What of the augmentation a moving crop does itself."""
        return {"zoom": 1.0} if self.clip.source == "crop" else {}

    def _frames(self, index: int) -> list[tuple[Photo, Depth]]:
        start = self._starts[index]
        frames = [self._metres(i) for i in range(start, start + self.clip.frames)]
        sizes = {f"{depth.shape[1]}x{depth.shape[0]}": None for _, depth in frames}
        if len(sizes) > 1:
            first = self.pairs[start]
            raise UserError(
                f"{first.rgb.parent.parent} has frames of {' and '.join(sizes)} pixels, from "
                f"{first.name} on; a clip is of one camera: give each size a folder of its own"
            )
        return frames

    def _crops(
        self, index: int, rng: np.random.Generator
    ) -> tuple[list[tuple[Photo, Depth]], list[NDArray[np.float64]]]:
        rgb, depth = self._metres(index)
        path = CropPath.draw(rng, max(self.config.zoom, 1.1), self.clip.motion)
        times = [i / (self.clip.frames - 1) for i in range(self.clip.frames)]
        picture = (depth.shape[0], depth.shape[1])
        motions = [path.motion(*each, picture, self.size) for each in pairwise(times)]
        return [path.view(rgb, depth, time, self.size) for time in times], motions

    def _metres(self, index: int) -> tuple[Photo, Depth]:
        rgb, depth_mm = self._pair(index)
        return rgb, np.asarray(depth_mm, np.float32) / np.float32(1000)
