"""Proof that a written file gives what torch gives: it is run, on real photos, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from bench_depth.core.metrics import depth_metrics, mean_metrics
from bench_depth.model.runtimes import choose
from ghostdepth_export.convert.formats import Format
from ghostdepth_export.host.quiet import native_quiet
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ghostdepth_export.convert.source import Source

Map = NDArray[np.float32]
VERIFY_PICTURES = 8


@dataclass(frozen=True)
class Parity:
    """How far a file's depth is from torch's, over all pixels of all pictures.

    Attributes:
        max_abs_error: Metres.
        max_relative_error: Of one pixel: |file - torch| / torch.
        sqnr_db: 10 log10(sum torch^2 / sum (file - torch)^2); None when the two are equal.
        si_rmse_torch: The network's own error against the truth.
        si_rmse: The file's.
        si_rmse_change: |si_rmse / si_rmse_torch - 1|.
    """

    max_abs_error: float
    max_relative_error: float
    sqnr_db: float | None
    si_rmse_torch: float
    si_rmse: float
    si_rmse_change: float


@dataclass(frozen=True)
class Reference:
    """Pictures with what torch gives for them.

    Attributes:
        pictures: 1xHxWx3 float32 each, whole numbers 0..255.
        depths: HxW float32 metres each.
        truths: uint16 millimetres, of the photo's own size.
    """

    pictures: list[Map]
    depths: list[Map]
    truths: list[NDArray[np.uint16]]


def make_reference(source: Source, pairs: Sequence[Pair]) -> Reference:
    """Runs torch on the pairs.

    Raises:
        UserError: A file cannot be read, the network gives NaN, or no depth map has a valid pixel.
    """
    reference = Reference([], [], [])
    for pair in pairs:
        rgb, truth = read_pair(pair)
        picture = source.picture(rgb)
        depth = source.predict(picture)
        if not np.isfinite(depth).all():
            raise UserError(f"the network gives NaN or infinity for {pair.rgb}; train it again")
        reference.pictures.append(picture)
        reference.depths.append(depth)
        reference.truths.append(truth)
    if not any(truth.any() for truth in reference.truths):
        raise UserError(f"no depth map beside {pairs[0].depth} has a valid pixel; all are unknown")
    return reference


def verify(path: Path, kind: Format, reference: Reference) -> Parity:
    """Runs a file and compares it with torch.

    Raises:
        UserError: It gives NaN or infinity (exit code 1).
    """
    run = open_model(path)
    depths = [run(picture.astype(kind.input_dtype)) for picture in reference.pictures]
    if not all(np.isfinite(depth).all() for depth in depths):
        raise UserError("it gives NaN or infinity; the network's values overflow", THRESHOLD_FAILED)
    return compare(depths, reference)


def compare(depths: Sequence[Map], reference: Reference) -> Parity:
    """The figures for the depths (HxW metres) that a file gave for the reference's pictures."""
    file, torch = np.stack(depths).astype(np.float64), np.stack(reference.depths)
    error = np.abs(file - torch)
    noise = float(np.sum(error**2))
    ours, theirs = (_si_rmse(maps, reference.truths) for maps in (depths, reference.depths))
    return Parity(
        max_abs_error=float(error.max()),
        max_relative_error=float((error / torch).max()),
        sqnr_db=float(10 * np.log10(np.sum(torch.astype(np.float64) ** 2) / noise))
        if noise
        else None,
        si_rmse_torch=theirs,
        si_rmse=ours,
        si_rmse_change=abs(ours / theirs - 1) if theirs else float(ours > 0),
    )


def check_limit(file_name: str, kind: Format, parity: Parity) -> None:
    """Refuses a file that is too far from torch.

    Raises:
        UserError: The line names the file, the limit and the value (exit code 1).
    """
    value = getattr(parity, kind.limit.figure)
    if not value <= kind.limit.most:
        raise UserError(
            f"{file_name} fails its limit: {kind.limit.figure} is {value:.3g}, "
            f"at most {kind.limit.most:g} is allowed; the file was not kept",
            THRESHOLD_FAILED,
        )


def open_model(path: Path) -> Callable[[NDArray[Any]], Map]:
    """A function 1xHxWx3 pixels of the file's dtype -> HxW float32 metres, that runs the file.

    Raises:
        UserError: No runtime for it is installed, or the runtime cannot load it.
    """
    with native_quiet():
        model = choose(path).load(path, threads=1)

    def run(picture: NDArray[Any]) -> Map:
        model.set_input(picture)
        model.invoke()
        return np.asarray(model.output()[0, :, :, 0])

    return run


def _si_rmse(depths: Sequence[Map], truths: Sequence[NDArray[np.uint16]]) -> float:
    rows = []
    for depth, truth in zip(depths, truths, strict=True):
        # Bilinear with half-pixel centres, as the measuring protocol has it.
        sized = depth if depth.shape == truth.shape else cv2.resize(depth, truth.shape[::-1])
        row = depth_metrics(np.asarray(sized, np.float64) * 1000, truth)
        if row is not None:
            rows.append(row)
    return mean_metrics(rows).si_rmse
