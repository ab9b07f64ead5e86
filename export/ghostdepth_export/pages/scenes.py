"""The page's rows of pictures: photo, truth, depth maps and their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.accuracy.records import Accuracy
from bench_depth.core.dataset import list_pairs, read_depth, read_pair
from bench_depth.core.errors import UserError
from bench_depth.results.records import ModelRecord
from ghostdepth_export.pages import pictures
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """One photo with what is known and what was predicted of it.

    Attributes:
        name: Of the photo.
        photo: HxWx3 uint8 RGB.
        truth: HxW uint16 millimetres, 0 = unknown.
        depths: HxW uint16 millimetres by the model's file name. The error is shown of the one that
            comes last in the results.
    """

    name: str
    photo: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    depths: dict[str, NDArray[np.uint16]]


def read_scenes(samples: Path, names: Sequence[str], predictions: Sequence[Path]) -> list[Scene]:
    """Reads the pictures of a page.

    Args:
        samples: The dataset folder.
        names: Of its pairs.
        predictions: Folders of predicted maps, NAME.png each; a folder is called as its model.

    Raises:
        UserError: A name is not in `samples`, or a file cannot be read.
    """
    pairs = {pair.name: pair for pair in list_pairs(samples)}
    scenes = []
    for name in names:
        if name not in pairs:
            raise UserError(f"{samples} has no photo called {name}; it is needed for the page")
        photo, truth = read_pair(pairs[name])
        depths = {folder.name: read_depth(folder / f"{name}.png") for folder in predictions}
        scenes.append(Scene(name, photo, truth, depths))
    return scenes


def format_name(record: ModelRecord) -> str:
    """A model's format, like `int8.tflite`; the suffix alone where the file does not say."""
    suffix = Path(record.file).suffix
    return f"{record.contract.variant}{suffix}" if record.contract else suffix


def accuracy_of(record: ModelRecord) -> Accuracy:
    """A model's accuracy.

    Raises:
        UserError: It was measured without a dataset.
    """
    if record.accuracy is None:
        raise UserError(f"{record.file} was measured without a dataset; measure it with --data")
    return record.accuracy


def scene_for_page(scene: Scene, models: Sequence[ModelRecord]) -> dict[str, Any]:
    """What the page's template shows of a scene: pictures as data URIs with their captions."""
    truth = _metres(scene.truth)
    near, far = pictures.depth_range(truth)
    shown = [
        _picture("photo", pictures.photo_picture(scene.photo), f"The photo {scene.name}"),
        _picture("truth", pictures.depth_picture(truth, near, far), "Its true depth"),
    ]
    predicted = [record for record in models if record.file in scene.depths]
    for record in predicted:
        kind, depth = format_name(record), _metres(scene.depths[record.file])
        uri = pictures.depth_picture(depth, near, far)
        shown.append(_picture(kind, uri, f"Depth by {kind}", _si_rmse(record, scene.name)))
    for record in predicted[-1:]:
        kind, depth = format_name(record), _metres(scene.depths[record.file])
        uri, scale = pictures.error_picture(depth, truth)
        alt = f"Where {kind} is too near or too far"
        shown.append(_picture(f"error of {kind}", uri, alt, f"scale × {scale:.2f}"))
    middle = (near + far) / 2
    ticks = [
        f"{metres:.1f}" for metres in (near, (near + middle) / 2, middle, (middle + far) / 2, far)
    ]
    return {"name": scene.name.replace("_", " "), "pictures": shown, "ticks": ticks}


def _picture(caption: str, uri: str, alt: str, figure: str = "") -> dict[str, str]:
    return {"caption": caption, "uri": uri, "alt": alt, "figure": figure}


def _si_rmse(record: ModelRecord, name: str) -> str:
    for image in accuracy_of(record).images:
        if image.name == name:
            return f"si-RMSE {image.metrics.si_rmse:.3f}"
    return "no true depth"


def _metres(millimetres: NDArray[np.uint16]) -> pictures.Depth:
    return np.asarray(millimetres / 1000, np.float32)
