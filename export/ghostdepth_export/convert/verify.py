"""Proof that a written file gives what torch gives: it is run on real images and compared."""

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
from bench_depth.model.contract import read_contract
from bench_depth.model.postprocess import plane
from bench_depth.model.runtimes import choose
from bench_depth.model.tensors import carry_state
from ghostdepth_export.convert.formats import Format, Limit
from ghostdepth_export.host.quiet import native_quiet
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ghostdepth_export.convert.source import ExportSource

DepthMap = NDArray[np.float32]
VERIFY_IMAGES = 8


@dataclass(frozen=True)
class Parity:
    """How far a file's depth is from torch's, over all pixels of all images.

    The relative error of a pixel is |file - torch| / torch.

    Attributes:
        max_abs_error: Largest absolute error, in metres.
        max_relative_error: Largest relative error. One pixel decides it, so no limit is on it.
        p999_relative_error: 99.9th percentile of the relative error.
        mean_relative_error: Mean relative error.
        sqnr_db: 10 log10(sum torch^2 / sum (file - torch)^2); None when the two are equal.
        si_rmse_torch: si-RMSE of the network in torch against the ground truth.
        si_rmse: si-RMSE of the file against the ground truth.
        si_rmse_change: |si_rmse / si_rmse_torch - 1|.
    """

    max_abs_error: float
    max_relative_error: float
    p999_relative_error: float
    mean_relative_error: float
    sqnr_db: float | None
    si_rmse_torch: float
    si_rmse: float
    si_rmse_change: float

    def passes(self, limit: Limit) -> bool:
        """Whether the limit's figure is at most the limit; NaN is not."""
        return bool(getattr(self, limit.figure) <= limit.most)

    def closest_limit(self, kind: Format) -> Limit:
        """The limit of a format that the file comes closest to, or exceeds by most."""
        # NaN compares false with everything: such a figure is the one to report.
        return max(
            kind.limits,
            key=lambda limit: np.nan_to_num(getattr(self, limit.figure) / limit.most, nan=np.inf),
        )


@dataclass(frozen=True)
class Reference:
    """Images with what torch gives for them.

    Attributes:
        images: 1xHxWx3 float32 each, integers 0..255; a network with a state takes them as the
            frames of one stream.
        depths: HxW float32 each, metres.
        ground_truths_mm: uint16 millimetres each, at the image file's own size; 0 is unknown.
    """

    images: list[NDArray[np.float32]]
    depths: list[DepthMap]
    ground_truths_mm: list[NDArray[np.uint16]]


def make_reference(source: ExportSource, pairs: Sequence[Pair]) -> Reference:
    """Runs torch on the pairs.

    Raises:
        UserError: A file cannot be read, the network gives NaN, or no depth map has a valid pixel.
    """
    reference = Reference([], [], [])
    for pair in pairs:
        rgb, ground_truth_mm = read_pair(pair)
        reference.images.append(source.network_input(rgb))
        reference.ground_truths_mm.append(ground_truth_mm)
    for pair, inputs in zip(pairs, source.with_states(reference.images), strict=True):
        depth = source.predict(*inputs)
        if not np.isfinite(depth).all():
            raise UserError(f"the network gives NaN or infinity for {pair.rgb}; train it again")
        reference.depths.append(depth)
    if not any(ground_truth.any() for ground_truth in reference.ground_truths_mm):
        raise UserError(f"no depth map beside {pairs[0].depth} has a valid pixel; all are unknown")
    return reference


def verify(path: Path, kind: Format, reference: Reference) -> Parity:
    """Runs a file and compares it with torch.

    Raises:
        UserError: It gives NaN or infinity (exit code 1).
    """
    run = open_model(path)
    depths = [run(image.astype(kind.input_dtype)) for image in reference.images]
    if not all(np.isfinite(depth).all() for depth in depths):
        raise UserError("it gives NaN or infinity; the network's values overflow", THRESHOLD_FAILED)
    return compare(depths, reference)


def compare(depths: Sequence[DepthMap], reference: Reference) -> Parity:
    """The figures for the depths (HxW metres) that a file gave for the reference's images."""
    file, torch = np.stack(depths).astype(np.float64), np.stack(reference.depths)
    error = np.abs(file - torch)
    relative = error / torch
    noise = float(np.sum(error**2))
    ours, theirs = (
        _si_rmse(maps, reference.ground_truths_mm) for maps in (depths, reference.depths)
    )
    return Parity(
        max_abs_error=float(error.max()),
        max_relative_error=float(relative.max()),
        p999_relative_error=float(np.quantile(relative, 0.999)),
        mean_relative_error=float(relative.mean()),
        sqnr_db=float(10 * np.log10(np.sum(torch.astype(np.float64) ** 2) / noise))
        if noise
        else None,
        si_rmse_torch=theirs,
        si_rmse=ours,
        si_rmse_change=abs(ours / theirs - 1) if theirs else float(ours > 0),
    )


def check_limits(file_name: str, kind: Format, parity: Parity) -> None:
    """Refuses a file that is too far from torch.

    Raises:
        UserError: The line names the file, the limit and the value (exit code 1).
    """
    limit = parity.closest_limit(kind)
    if not parity.passes(limit):
        raise UserError(
            f"{file_name} fails its limit: {limit.figure} is "
            f"{getattr(parity, limit.figure):.3g}, at most {limit.most:g} is allowed; "
            "the file was not kept",
            THRESHOLD_FAILED,
        )


def open_model(path: Path) -> Callable[[NDArray[Any]], DepthMap]:
    """A function 1xHxWx3 pixels of the file's dtype -> HxW float32 metres, that runs the file.

    A file with a state continues from the picture before.

    Raises:
        UserError: No runtime for it is installed, or the runtime cannot load it.
    """
    with native_quiet():
        model = choose(path).load(path, threads=1)
    carry_state(path, model, read_contract(path))

    def run(image: NDArray[Any]) -> DepthMap:
        model.set_input(image)
        model.invoke()
        return plane(model.output())

    return run


def _si_rmse(depths: Sequence[DepthMap], ground_truths_mm: Sequence[NDArray[np.uint16]]) -> float:
    rows = []
    for depth, ground_truth_mm in zip(depths, ground_truths_mm, strict=True):
        size = ground_truth_mm.shape
        # Bilinear with half-pixel centres, as the measuring protocol has it.
        sized = depth if depth.shape == size else cv2.resize(depth, size[::-1])
        row = depth_metrics(np.asarray(sized, np.float64) * 1000, ground_truth_mm)
        if row is not None:
            rows.append(row)
    return mean_metrics(rows).si_rmse
