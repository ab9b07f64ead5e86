"""The field of view of a camera, and what it makes of a network's metres."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import UserError
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import Description

# Of the Kinect v1 of NYU Depth v2, degrees: 518.9 of 640 pixels are its focal length.
NYU_HFOV = 63.3


def depth_factor(assumed: float, hfov: float) -> float:
    """What a network's depth is multiplied by for pictures of another camera.

    A network infers an object's distance from its size in the picture, which grows with the focal
    length: metres are those of the assumed camera times the ratio of the focal lengths (Yin et al.,
    "Metric3D", ICCV 2023, its transformation of labels).

    Args:
        assumed: Horizontal field of view of the camera that the network's metres hold for, degrees.
        hfov: Field of view of the camera in use, degrees. The pictures of both have the same shape.
    """
    return math.tan(math.radians(assumed) / 2) / math.tan(math.radians(hfov) / 2)


def knows_camera(contract: Optional[ModelContract]) -> bool:
    """Whether a model says for which camera its metres hold."""
    return contract is not None and contract.hfov is not None


def output_factor(path: Path, contract: Optional[ModelContract], description: Description) -> float:
    """`depth_factor` for the camera that a description names; 1 where it names none.

    Raises:
        UserError: The model does not say for which camera its metres hold (exit code 2).
    """
    if description.hfov is None:
        return 1.0
    if contract is None or contract.hfov is None:
        raise UserError(
            f"{description.origin('hfov')} hfov {description.hfov:g}, but {path} does not say for "
            "which camera its metres hold; leave it out, or export the model again from a "
            "checkpoint whose config has network.hfov"
        )
    return depth_factor(contract.hfov, description.hfov)
