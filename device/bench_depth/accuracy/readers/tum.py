"""TUM RGB-D: indoor sequences of a Kinect (https://cvg.cit.tum.de/data/datasets/rgbd-dataset).

Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, IROS 2012.

`path` is one sequence's folder: `rgb.txt` and `depth.txt` list `timestamp file` (seconds, path from
the folder; # starts a comment). Depth PNGs are uint16, 5000 steps per metre, 0 = unknown. Photo and
depth are recorded at different times and associated as the benchmark's own tool does it: of all
combinations less than 0.02 s apart the closest is taken first, and each file is used once.
Frames are named by the photo's timestamp, with _ for the decimal point.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from functools import partial
from pathlib import Path
from typing import Optional

from bench_depth.accuracy.readers.frame import DatasetFrame, read_png16, require_file
from bench_depth.core.errors import UserError
from bench_depth.core.files import plain_path, read_text

STEPS_PER_METRE = 5000.0
MAX_DIFFERENCE_S = 0.02
# Of a camera of 1000 frames a second there are 40.
_MOST_CANDIDATES = 64
_LARGEST_LIST = 64 * 2**20
LOOKS_LIKE = "a TUM RGB-D sequence (rgb.txt + depth.txt)"


def recognise(path: Path) -> bool:
    """Returns whether `path` contains one of the lists; `frames` reports a missing second one."""
    return (path / "rgb.txt").is_file() or (path / "depth.txt").is_file()


def frames(path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """Finds the associated frames of one sequence, sorted by time.

    Raises:
        UserError: A list is missing, empty or malformed, a listed file is missing, nothing can be
            associated, or a split is given.
    """
    if split is not None:
        raise UserError(f"tum has no splits, but {split!r} was given; leave the split out")
    photos, depths = _read_list(path / "rgb.txt"), _read_list(path / "depth.txt")
    matches = associate(list(photos), list(depths))
    if not matches:
        raise UserError(
            f"{path}: no photo of rgb.txt has a depth map of depth.txt within "
            f"{MAX_DIFFERENCE_S} s; do the lists belong to the same sequence?"
        )
    found = []
    for photo_time, depth_time in matches:
        photo = require_file(path / photos[photo_time], f"{path / 'rgb.txt'} lists it")
        depth = require_file(path / depths[depth_time], f"{path / 'depth.txt'} lists it")
        name = photo.stem.replace(".", "_")
        found.append(DatasetFrame(name, photo, partial(read_png16, depth, STEPS_PER_METRE)))
    return found


def associate(first: list[float], second: list[float]) -> list[tuple[float, float]]:
    """Associates two lists of timestamps (seconds), closest pairs first, each at most once.

    Returns:
        Sorted pairs (first, second) less than `MAX_DIFFERENCE_S` apart.

    Raises:
        UserError: The second list is denser than any camera records.
    """
    second = sorted(second)
    candidates = []
    for a in first:
        low = bisect_left(second, a - MAX_DIFFERENCE_S)
        high = bisect_right(second, a + MAX_DIFFERENCE_S)
        if high - low > _MOST_CANDIDATES:
            raise UserError(
                f"{high - low} depth maps are within {MAX_DIFFERENCE_S} s of the photo at {a}, "
                "more than any camera takes; timestamps are in seconds"
            )
        candidates += [
            (abs(a - b), a, b) for b in second[low:high] if abs(a - b) < MAX_DIFFERENCE_S
        ]
    free_first, free_second = set(first), set(second)
    matches = []
    for _, a, b in sorted(candidates):
        if a in free_first and b in free_second:
            free_first.remove(a)
            free_second.remove(b)
            matches.append((a, b))
    return sorted(matches)


def _read_list(path: Path) -> dict[float, str]:
    try:
        lines = read_text(path, _LARGEST_LIST).splitlines()
    except UserError as error:
        raise UserError(f"{error}; a TUM sequence has rgb.txt and depth.txt") from error
    entries: dict[float, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            time, name = float(words[0]), words[1]
        except (ValueError, IndexError) as error:
            raise UserError(f"{path} line {number} is not `timestamp file`: {line!r}") from error
        if not math.isfinite(time):
            raise UserError(f"{path} line {number} has the timestamp {words[0]}, not a time")
        entries[time] = plain_path(name, f"{path} line {number}: the file")
    if not entries:
        raise UserError(f"{path} is empty: it lists no file")
    return entries
