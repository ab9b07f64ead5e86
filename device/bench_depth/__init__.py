"""bench-depth: how fast and how good a monocular depth model is on the machine it runs on.

from bench_depth import DepthModel

model = DepthModel("ghostdepth-nano")
depth = model("photo.jpg")  # HxW float32 metres
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_depth.core.opencv import limit_pictures

if TYPE_CHECKING:
    from bench_depth.core.errors import UserError
    from bench_depth.depth.cloud import point_cloud
    from bench_depth.depth.colours import colourise
    from bench_depth.depth.model import DepthModel
    from bench_depth.model.released import SAMPLES

__version__ = "0.1.0"
__all__ = ["SAMPLES", "DepthModel", "UserError", "__version__", "colourise", "point_cloud"]

limit_pictures()


def __getattr__(name: str) -> Any:
    """Imports what the package offers when it is first used: the command must start at once."""
    if name == "DepthModel":
        from bench_depth.depth.model import DepthModel

        return DepthModel
    if name == "colourise":
        from bench_depth.depth.colours import colourise

        return colourise
    if name == "point_cloud":
        from bench_depth.depth.cloud import point_cloud

        return point_cloud
    if name == "SAMPLES":
        from bench_depth.model.released import SAMPLES

        return SAMPLES
    if name == "UserError":
        from bench_depth.core.errors import UserError

        return UserError
    raise AttributeError(f"module 'bench_depth' has no attribute {name!r}")
