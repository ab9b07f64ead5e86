"""Dataset folders, and the batches of a training."""

from ghostdepth_train.data.clips import ClipDataset
from ghostdepth_train.data.loader import (
    DepthDataset,
    EpochSampler,
    batches,
    training_loader,
)
from ghostdepth_train.data.split import (
    Split,
    files_sha256,
    fraction_of,
    listing_sha256,
    read_split,
    survey_split,
)

__all__ = [
    "ClipDataset",
    "DepthDataset",
    "EpochSampler",
    "Split",
    "batches",
    "files_sha256",
    "fraction_of",
    "listing_sha256",
    "read_split",
    "survey_split",
    "training_loader",
]
