"""What the pairs of a dataset look like, and what of it looks implausible.

A `DataSurvey` is shown headers and decoded pairs and then gives findings: warnings, each with a
code, the figures and a remedy.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import Frame, Pair
from bench_depth.core.errors import UserError
from bench_depth.core.files import open_regular
from bench_depth.core.metrics import MIN_MM
from bench_depth.core.picture import PictureHeader
from bench_depth.core.screen import counted
from bench_depth.plausibility.advice import DATA_ADVICE, warning_line
from bench_depth.plausibility.alignment import AlignmentSurvey

# Shares of the known pixels, or of all pixels for sparse maps.
_CEILING, _CEILING_16_BIT, _FLOOR, _SPARSE = 0.05, 0.001, 0.001, 0.001
# No depth camera measures nearer.
_NEAREST_MM = 10
# Nothing farther than this is metres in 16-bit integers (KITTI ends at 80), or centimetres.
_METRES_MM, _CENTIMETRES_MM = 100, 1000
_FAR_MM = 25_000
_COARSE_VALUES, _COARSE_PIXELS = 256, 1 << 16
_TINY = 16
# Brightest value of a photo that shows nothing: of 12 bits that were stored in 16.
_DARK = 15
# Bytes from the middle of a file by which, with its size, the same photo is recognised.
_COMPARED = 1 << 16
# Bounds of the bands of the printed histogram, metres.
_BANDS_M = (0, 1, 2, 3, 4, 5, 7, 10, 15, 25, 66)


@dataclass(frozen=True)
class Finding:
    """One warning.

    Attributes:
        code: Key of `DATA_ADVICE`.
        text: One line with the figures and the remedy.
    """

    code: str
    text: str

    @property
    def line(self) -> str:
        """The warning as it is shown."""
        return warning_line(self.code, self.text)


class DataSurvey:
    """Collects what pairs look like.

    Attributes:
        pairs: Number of decoded pairs.
        sizes: Number of pairs of each size, (width, height).
        histogram: Number of pixels of each depth value, 65536 int64; entry 0 counts unknown ones.
    """

    def __init__(self) -> None:
        self.pairs = 0
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.histogram = np.zeros(1 << 16, np.int64)
        self._named: dict[str, list[str]] = {}
        self._seen: set[str] = set()
        # The pair that had a depth map first, by the map's hash: its name and the photo's hash.
        self._first: dict[bytes, tuple[str, bytes]] = {}
        self._alignment = AlignmentSurvey()

    def add_header(self, name: str, photo: PictureHeader) -> None:
        """Adds the header of a photo."""
        if photo.orientation != 1:
            self._name("photo-exif", name)
        if (photo.bits, photo.channels) == (16, 1):
            self._name("photo-depth", name)

    def add(self, name: str, photo: NDArray[np.uint8], depth_mm: NDArray[np.uint16]) -> None:
        """Adds a pair: HxWx3 uint8 and HxW uint16 millimetres; one that was added counts once."""
        if name in self._seen:
            return
        self._seen.add(name)
        self.pairs += 1
        height, width = depth_mm.shape
        self.sizes[width, height] += 1
        counts = np.bincount(depth_mm.ravel(), minlength=1 << 16)
        self.histogram += counts
        known, values = int(counts[1:].sum()), int(np.count_nonzero(counts[1:]))
        if known == 0:
            self._name("depth-empty", name)
        elif known == 1 or known < _SPARSE * depth_mm.size:
            self._name("depth-sparse", name)
        elif values == 1:
            self._name("depth-constant", name)
        else:
            self._add_map(name, photo, depth_mm, counts)
        if min(height, width) < _TINY:
            self._name("photo-tiny", name)
        elif _blank(photo):
            self._name("photo-blank", name)
        elif photo.max() <= _DARK:
            self._name("photo-dark", name)

    def _add_map(
        self,
        name: str,
        photo: NDArray[np.uint8],
        depth_mm: NDArray[np.uint16],
        counts: NDArray[np.int64],
    ) -> None:
        """Adds what a single map of several values tells; `counts` says how often each occurs."""
        if _quantile(counts, 0.99) < _METRES_MM:
            self._name("depth-metres", name)
        self._alignment.add(photo, depth_mm)
        shown = _hash(photo[::16, ::16])
        first, there = self._first.setdefault(_hash(depth_mm), (name, shown))
        if there != shown:
            self._name("depth-repeated", first)
            self._name("depth-repeated", name)

    def add_shared(self, train: Sequence[Frame], val: Sequence[Frame]) -> None:
        """Adds the photos of a validation set that are in its training set as well.

        The same file, a link to it and a copy are one photo; other encodings of it are not
        recognised. Frames that are no files of a dataset folder are left out.

        Args:
            train: Frames of the training set.
            val: Frames of the validation set.

        Raises:
            UserError: A photo cannot be read.
        """
        photos: dict[int, list[Path]] = {}
        for frame in train:
            if isinstance(frame, Pair):
                photos.setdefault(frame.rgb.stat().st_size, []).append(frame.rgb)
        middles: dict[Path, bytes] = {}
        for frame in val:
            if not isinstance(frame, Pair):
                continue
            size = frame.rgb.stat().st_size
            alike = photos.get(size, ())
            for path in (*alike, *([frame.rgb] if alike else ())):
                if path not in middles:
                    middles[path] = _middle(path, size)
            if any(middles[path] == middles[frame.rgb] for path in alike):
                self._name("photo-shared", frame.name)

    @property
    def unknown(self) -> float:
        """Fraction of the decoded depth pixels that are unknown; 1 where there are none."""
        total = int(self.histogram.sum())
        return int(self.histogram[0]) / total if total else 1.0

    @property
    def any_depth(self) -> bool:
        """Whether any decoded pixel has a depth that metrics count."""
        return bool(self.histogram[int(MIN_MM) + 1 :].any())

    def quantile(self, fraction: float) -> int:
        """Quantile of the known depth, millimetres; 0 where nothing is known."""
        return _quantile(self.histogram, fraction)

    def require_depth(self, where: str) -> None:
        """Refuses data without depth.

        Args:
            where: Name of the dataset, for the message.

        Raises:
            UserError: No decoded depth map has a known pixel.
        """
        if not self.any_depth:
            raise UserError(
                f"no depth map of {where} has a valid pixel, all are 0 (unknown) or "
                f"{MIN_MM:g} mm; convert the data again"
            )

    def size_text(self) -> str:
        """How many pairs have each size, like `44 of 640x480`."""
        sizes = ", ".join(f"{n} of {w}x{h}" for (w, h), n in self.sizes.most_common(5))
        more = f", and {len(self.sizes) - 5} other sizes" if len(self.sizes) > 5 else ""
        return sizes + more

    def lines(self) -> list[str]:
        """Figures as text: pairs, sizes, unknown depth, and a histogram of the distances."""
        ends = [self.quantile(fraction) / 1000 for fraction in (0.01, 0.5, 0.99)]
        return [
            f"{counted(self.pairs, 'pair')}: {self.size_text()}",
            f"unknown depth: {100 * self.unknown:.1f} % of the pixels",
            "depth: 1 % is nearer than {:.2f} m, the median is {:.2f} m, 1 % is farther than "
            "{:.2f} m".format(*ends),
            *self._bars(),
        ]

    def _bars(self) -> list[str]:
        """The histogram of known distances, a line per band."""
        known = max(int(self.histogram[1:].sum()), 1)
        rows = []
        for low, high in zip(_BANDS_M, _BANDS_M[1:]):
            count = int(self.histogram[max(1, low * 1000) : high * 1000].sum())
            if count:
                share = count / known
                rows.append(f"{low:3}-{high:2} m {100 * share:5.1f} % {'#' * round(50 * share)}")
        return rows

    def findings(self) -> list[Finding]:
        """The warnings, in the order of `DATA_ADVICE`."""
        figures = {**self._of_single_pairs(), **self._of_all_depth()}
        if (move := self._alignment.move()) is not None:
            figures["depth-unaligned"] = (
                f"the edges of depth maps and photos meet where the photos are {move}"
            )
        return [Finding(c, f"{figures[c]}: {DATA_ADVICE[c]}") for c in DATA_ADVICE if c in figures]

    def _of_all_depth(self) -> dict[str, str]:
        """Figures of the warnings about the depth of all pairs together, by code."""
        known = int(self.histogram[1:].sum())
        if not known:
            return {}
        values = np.flatnonzero(self.histogram[1:]) + 1
        top = int(values[-1])
        found: dict[str, str] = {}
        at_top = int(self.histogram[top])
        limit = _CEILING_16_BIT if top == 65535 else _CEILING
        if len(values) > 1 and at_top > limit * known:
            share = 100 * at_top / int(self.histogram.sum())
            found["depth-ceiling"] = f"{share:.2g} % of the depth pixels are {top}"
        # The few largest values may be faults of the sensor.
        far = self.quantile(0.99)
        if far < _METRES_MM:
            found["depth-metres"] = f"99 % of the known depth is below {far + 1} mm"
        elif far < _CENTIMETRES_MM:
            found["depth-centimetres"] = f"99 % of the known depth is below {far + 1} mm"
        below = int(self.histogram[1:_NEAREST_MM].sum())
        if below > _FLOOR * known and far >= _CENTIMETRES_MM:
            share = 100 * below / known
            found["depth-floor"] = f"{share:.2g} % of the known depth is below {_NEAREST_MM} mm"
        middle = self.quantile(0.5)
        if middle > _FAR_MM and "depth-ceiling" not in found:
            found["depth-far"] = f"the median depth is {middle / 1000:.1f} m"
        if top > 10 * _COARSE_VALUES and len(values) <= _COARSE_VALUES and known > _COARSE_PIXELS:
            found["depth-coarse"] = f"{known} known pixels have {len(values)} different values"
        return found

    def _of_single_pairs(self) -> dict[str, str]:
        found = {}
        for code, names in self._named.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            found[code] = f"{names[0]}{more}"
        return found

    def _name(self, code: str, name: str) -> None:
        names = self._named.setdefault(code, [])
        if name not in names:
            names.append(name)


def _quantile(histogram: NDArray[np.int64], fraction: float) -> int:
    counts = np.cumsum(histogram[1:])
    if not counts[-1]:
        return 0
    return int(np.searchsorted(counts, fraction * counts[-1])) + 1


def _hash(picture: NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest()


def _middle(path: Path, size: int) -> bytes:
    with open_regular(path) as stream:
        stream.seek(max(0, (size - _COMPARED) // 2))
        return hashlib.sha256(stream.read(_COMPARED)).digest()


def _blank(photo: NDArray[np.uint8]) -> bool:
    # Most photos show something on a grid of a few pixels already.
    return all((part == photo[0, 0]).all() for part in (photo[::16, ::16], photo))
