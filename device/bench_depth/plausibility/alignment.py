"""Whether the depth maps of a dataset show what its photos show, pixel by pixel.

Depth cameras have two lenses. Where their pictures were stored without registering the one to the
other, the depth map is a view of another place and field of view than the photo; a mirrored or
shifted map is the same fault. Objects end where photos have edges, so that the edges of aligned
depth maps lie on edges of the photos, and those of others on edges of the moved photos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
# Rows and columns at which edges are compared.
_GRID = (120, 160)
# Least difference in ln(depth) of two neighbours between which an object ends.
_STEP = 0.1
# Pairs that are looked at, and the fewest that tell anything; edge pixels that a pair must have.
PAIRS, _FEWEST, _EDGES = 64, 8, 60
# Share of known depth below which neighbours are not neighbours: lidar.
_DENSE = 0.3
_ZOOMS = tuple(1.03**n for n in range(-5, 7))
# Largest move in pixels of the grid, and what counts as none.
_REACH, _NEAR = 12, 1
# A move is reported where the photos' edges are so much stronger there than on average, and
# than where the depth's edges are; and where so many standard errors say so.
_STRONGER, _TIMES, _SURE = 1.3, 1.5, 5.0


@dataclass(frozen=True)
class Edges:
    """The edges of a pair on the grid: `photo` has a mean of 1, `depth` is 0 or 1."""

    photo: Map
    depth: Map


@dataclass(frozen=True)
class Move:
    """What would bring the photos onto their depth maps.

    Attributes:
        mirror: Code of `cv2.flip`, 1 for left to right; None for none.
        zoom: Enlargement about the middle.
        right: Move in widths of the picture.
        down: Move in heights of the picture.
    """

    mirror: int | None
    zoom: float
    right: float
    down: float

    def __str__(self) -> str:
        parts = [] if self.mirror is None else [_MIRRORS[self.mirror]]
        if abs(self.zoom - 1) > 0.01:
            parts.append(f"enlarged {self.zoom:.2f} times")
        aside = [(self.right, "the width"), (self.down, "the height")]
        moves = [f"{100 * by:+.0f} % of {side}" for by, side in aside if abs(by) > 0.01]
        return ", ".join([*parts, *([f"moved by {' and '.join(moves)}"] if moves else [])])


_MIRRORS = {1: "mirrored left to right", 0: "mirrored upside down", -1: "turned by 180 degrees"}


class AlignmentSurvey:
    """Collects the edges of at most `PAIRS` pairs, evenly spaced among those that are added."""

    def __init__(self) -> None:
        self._edges: list[Edges] = []
        self._added, self._stride = 0, 1

    def add(self, photo: NDArray[np.uint8], depth_mm: NDArray[np.uint16]) -> None:
        """Adds a pair, see `edges_of`."""
        self._added += 1
        if (self._added - 1) % self._stride:
            return
        edges = edges_of(photo, depth_mm)
        if edges is None:
            return
        self._edges.append(edges)
        if len(self._edges) > PAIRS:
            del self._edges[1::2]
            self._stride *= 2

    def move(self) -> Move | None:
        """See `misalignment`."""
        return misalignment(self._edges)


def edges_of(photo: NDArray[np.uint8], depth_mm: NDArray[np.uint16]) -> Edges | None:
    """The edges of HxWx3 uint8 and HxW millimetres, 0 = unknown; None where they tell nothing."""
    rows, columns = _GRID
    size = (columns, rows)
    depth = cv2.resize(depth_mm, size, interpolation=cv2.INTER_NEAREST)
    known, logarithm = depth > 0, np.log(np.maximum(depth, 1).astype(np.float32))
    ends = np.zeros(_GRID, bool)
    ends[1:] |= _steps(known, logarithm)
    ends[:, 1:] |= _steps(known.T, logarithm.T).T
    grey = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.7)
    strength = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    mean = float(strength.mean())
    if known.mean() < _DENSE or ends.sum() < _EDGES or not mean > 0:
        return None
    # A few window frames must not decide.
    strength = np.minimum(strength, 4 * mean)
    return Edges(strength / strength.mean(), ends.astype(np.float32))


def misalignment(pairs: list[Edges]) -> Move | None:
    """The move that brings the photos' edges onto those of the depth maps; None for none.

    Args:
        pairs: Edges of pairs of one camera.

    Returns:
        None also where the pairs are too few, or their edges do not say.
    """
    if len(pairs) < _FEWEST:
        return None
    moves = dict(_moves(pairs))
    found = max(moves, key=moves.__getitem__)
    none = [move for move in moves if _is_none(move)]
    if found in none:
        return None
    there = _strengths(pairs, found)
    here = _strengths(pairs, max(none, key=moves.__getitem__))
    gain = there - here
    sure = gain.mean() > _SURE * gain.std(ddof=1) / np.sqrt(len(gain))
    enough = there.mean() > max(_STRONGER, 1 + _TIMES * (here.mean() - 1))
    return found if sure and enough else None


def _moves(pairs: list[Edges]) -> Iterator[tuple[Move, float]]:
    """All moves, and how strong the moved photos' edges are where those of the depth are."""
    rows, columns = _GRID
    spectra = [np.fft.rfft2(pair.depth) for pair in pairs]
    total = sum(spectra)
    for mirror in (None, *_MIRRORS):
        for zoom in _ZOOMS if mirror is None else (1.0,):
            seen = np.fft.rfft2(_moved(np.ones(_GRID, np.float32), Move(mirror, zoom, 0, 0)))
            product = sum(
                np.fft.rfft2(_moved(pair.photo, Move(mirror, zoom, 0, 0))) * np.conj(spectrum)
                for pair, spectrum in zip(pairs, spectra)
            )
            strength = np.fft.irfft2(product, _GRID)
            covered = np.fft.irfft2(seen * np.conj(total), _GRID)
            for down in range(-_REACH, _REACH + 1):
                for right in range(-_REACH, _REACH + 1):
                    # The moved photo has at x what the photo has at x minus the move.
                    value = strength[-down, -right] / max(covered[-down, -right], 1)
                    yield Move(mirror, zoom, right / columns, down / rows), float(value)


def _strengths(pairs: list[Edges], move: Move) -> NDArray[np.float64]:
    """The mean strength of the moved photo's edges at those of the depth, for each pair."""
    covered = _moved(np.ones(_GRID, np.float32), move)
    return np.array(
        [
            (_moved(pair.photo, move) * pair.depth).sum() / max((covered * pair.depth).sum(), 1)
            for pair in pairs
        ]
    )


def _moved(picture: Map, move: Move) -> Map:
    rows, columns = _GRID
    if move.mirror is not None:
        picture = np.asarray(cv2.flip(picture, move.mirror), np.float32)
    zoom, middle = move.zoom, ((columns - 1) / 2, (rows - 1) / 2)
    matrix = np.array(
        [
            [zoom, 0, (1 - zoom) * middle[0] + move.right * columns],
            [0, zoom, (1 - zoom) * middle[1] + move.down * rows],
        ]
    )
    return np.asarray(cv2.warpAffine(picture, matrix, (columns, rows)), np.float32)


def _is_none(move: Move) -> bool:
    rows, columns = _GRID
    aside = max(abs(move.right) * columns, abs(move.down) * rows)
    return move.mirror is None and abs(move.zoom - 1) < 0.04 and aside < _NEAR + 0.5


def _steps(known: NDArray[np.bool_], logarithm: Map) -> NDArray[np.bool_]:
    """Where a row and the one before it are known and far apart, from the second row on."""
    return known[1:] & known[:-1] & (np.abs(np.diff(logarithm, axis=0)) > _STEP)
