"""Labels that several teachers stored, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bench_depth.core.dataset import Pair, read_depth
from bench_depth.core.errors import UserError
from numpy.typing import NDArray

from ghostdepth_train.data.split import files_sha256
from ghostdepth_train.distillation.labels import Quantity
from ghostdepth_train.distillation.unlabelled import require_usable_images, upsample_label


class StoredLabels:
    """The mean of the log depth of stored labels, each at the scale of the first.

    The scale of a label is the median of its log depth minus that of the first, over the pixels
    that both know: a teacher of which only files are left may see all of a photo nearer. The mean
    has the size of the first.

    Args:
        sets: The same images with the labels of each folder, as `list_unlabelled` gives them.

    Attributes:
        name: Names of the folders, for messages.
        identity: These and a hash of all files, as `Teacher.identity`.

    Raises:
        UserError: There are fewer than two folders, an image has no label in one of them, or a file
            cannot be used.
    """

    quantity: Quantity = "metric"

    def __init__(self, sets: Sequence[Sequence[Pair]]) -> None:
        if len(sets) < 2:
            raise UserError("one folder of stored labels has no mean; give --stored twice or more")
        for images in sets:
            for image in images:
                if not image.depth.is_file():
                    raise UserError(f"{image.depth} is missing: every image needs a label")
            require_usable_images(images)
        folders = [images[0].depth.parent for images in sets]
        self.name = " + ".join(str(folder) for folder in folders)
        digest = files_sha256(image.depth for images in sets for image in images)
        named = " + ".join(folder.name for folder in folders)
        self.identity = f"stored labels {named} sha256:{digest[:16]}"
        self.warnings: dict[str, str] = {}
        self._labels = {
            one[0].name: [image.depth for image in one] for one in zip(*sets, strict=True)
        }

    def __call__(self, name: str) -> NDArray[np.float32]:
        """HxW metres for an image's name, whole millimetres; 0 where no label is known."""
        first, *others = (read_depth(path) for path in self._labels[name])
        base = _log(first)
        total, weight = base, (first > 0).astype(np.float32)
        for other in others:
            label = upsample_label(other, *first.shape)
            both = (label > 0) & (first > 0)
            if both.any():
                log = _log(label)
                total = total + np.where(label > 0, log - np.median((log - base)[both]), 0)
                weight += label > 0
        millimetres = np.rint(np.exp(total / np.maximum(weight, 1)))
        return np.where(weight > 0, millimetres / 1000, np.float32(0))


def _log(label: NDArray[np.uint16]) -> NDArray[np.float32]:
    """ln(millimetres), 0 where unknown."""
    return np.log(np.maximum(label, 1).astype(np.float32))
