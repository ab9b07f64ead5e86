"""Changes of a training pair that keep its geometry honest."""

from ghostdepth_train.augment.colours import recolour, smear
from ghostdepth_train.augment.geometry import Depth, Photo, tilt, zoom_crop
from ghostdepth_train.augment.near import stand_before
from ghostdepth_train.augment.pair import augment, reframe, retouch

__all__ = [
    "Depth",
    "Photo",
    "augment",
    "recolour",
    "reframe",
    "retouch",
    "smear",
    "stand_before",
    "tilt",
    "zoom_crop",
]
