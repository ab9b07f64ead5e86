"""Photos and depth maps as pictures that a page carries in itself."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.core.metrics import aligned

Depth = NDArray[np.float32]

# How many images with the highest si-RMSE are shown of a model.
MOST = 10
WIDTH, _WORST_WIDTH = 400, 160
# Factors too near or too far at the ends of the error map's colours.
ERROR_END, WORST_ERROR_END = 1.5, 2.0
# ColorBrewer's RdBu, blue (too near) to red (too far), as RGB.
_BLUE_RED = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"


@dataclass(frozen=True)
class Picture:
    """One picture of a scene.

    Attributes:
        caption: Text below it.
        uri: The picture as a data URI.
        alt: The picture in words.
        figure: A figure beside the caption; may be empty.
    """

    caption: str
    uri: str
    alt: str
    figure: str = ""


@dataclass(frozen=True)
class Scene:
    """A photo with its ground truth, predicted depth maps, and the error of the last of them.

    Attributes:
        name: Name of the photo.
        pictures: The pictures, all of one shape.
        near_m: Depth of the first colour of the depth maps, metres.
        far_m: Depth of the last colour, metres.
        note: Figures of the scene; may be empty.
    """

    name: str
    pictures: list[Picture]
    near_m: float
    far_m: float
    note: str = ""

    @property
    def ticks(self) -> list[str]:
        """Five depths from `near_m` to `far_m`, metres."""
        return [f"{metres:.1f}" for metres in np.linspace(self.near_m, self.far_m, 5)]


def make_scene(
    name: str,
    photo: NDArray[np.uint8],
    ground_truth_mm: NDArray[Any],
    predictions: Sequence[tuple[str, NDArray[Any], str]],
    *,
    width: int = WIDTH,
    error_end: float = ERROR_END,
    note: str = "",
) -> Scene:
    """Makes the pictures of a scene.

    Args:
        name: Name of the photo.
        photo: HxWx3 uint8 RGB.
        ground_truth_mm: HxW millimetres, 0 = unknown.
        predictions: Caption, depth map (HxW millimetres) and figure of each prediction.
        width: Widest picture, pixels.
        error_end: Factor too near or too far of the last colour of the error map.
        note: Figures of the scene.
    """
    ground_truth = _metres(ground_truth_mm)
    near, far = depth_range(ground_truth)
    pictures = [
        Picture("photo", photo_picture(photo, width), f"The photo {name}"),
        Picture("ground truth", depth_picture(ground_truth, near, far, width), "Its ground truth"),
    ]
    for caption, depth_mm, figure in predictions:
        uri = depth_picture(_metres(depth_mm), near, far, width)
        pictures.append(Picture(caption, uri, f"Depth by {caption}", figure))
    for caption, depth_mm, _ in predictions[-1:]:
        uri, scale = error_picture(_metres(depth_mm), ground_truth, error_end, width)
        alt = f"Where {caption} is too near or too far"
        title = f"error of {caption}" if len(predictions) > 1 else "error"
        pictures.append(Picture(title, uri, alt, f"scale × {scale:.2f}"))
    return Scene(name, pictures, near, far, note)


class WorstImages:
    """Keeps small pictures of the images with the highest si-RMSE while a dataset goes by.

    The models go over the dataset one after the other. The images that the first one is worst at
    are kept of every model, so that they can be shown side by side.
    """

    def __init__(self) -> None:
        # Of each model (error, -place, scene); the smallest error comes first, and of equal ones
        # the earlier image stays.
        self._heaps: dict[int, list[tuple[float, int, Scene]]] = {}
        self._beside: dict[str, list[tuple[int, Scene]]] = {}
        self._seen = 0

    def add(self, index: int, image: EvaluatedImage) -> None:
        """Keeps an image if its error is among the model's highest so far, or to be compared.

        Args:
            index: Index of the model.
            image: The image with its depth by that model.
        """
        self._seen += 1
        error = image.metrics.si_rmse
        heap = self._heaps.setdefault(index, [])
        compared = index > 0 and any(image.name == s.name for _, _, s in self._heaps.get(0, ()))
        high = len(heap) < MOST or error > heap[0][0]
        if not (high or compared):
            return
        scene = _worst_scene(image)
        if compared:
            self._beside.setdefault(image.name, []).append((index, scene))
        if high:
            push = heapq.heappush if len(heap) < MOST else heapq.heapreplace
            push(heap, (error, -self._seen, scene))

    def scenes(self, names: Sequence[str]) -> dict[int, list[Scene]]:
        """The scenes by the model's index, the highest error first, at most `MOST` of each.

        Those of the first model have the depth and the error of every model; those that they show
        already are not among the scenes of the others.

        Args:
            names: Name of each model.
        """
        found = {}
        for index, heap in self._heaps.items():
            ordered = [scene for _, _, scene in sorted(heap, reverse=True)]
            if index == 0:
                found[0] = [self._side_by_side(scene, names) for scene in ordered]
            else:
                shown = {scene.name for scene in found.get(0, ())}
                found[index] = [scene for scene in ordered if scene.name not in shown]
        return found

    def _side_by_side(self, scene: Scene, names: Sequence[str]) -> Scene:
        beside = self._beside.get(scene.name, [])
        if not beside:
            return scene
        pictures = list(scene.pictures[:2])
        for index, own in [(0, scene), *beside]:
            depth, error = own.pictures[2:]
            pictures += [replace(depth, caption=names[index], figure=own.note.split(",")[0]), error]
        return replace(scene, pictures=pictures, note="")


def _worst_scene(image: EvaluatedImage) -> Scene:
    metrics = image.metrics
    return make_scene(
        image.name,
        image.photo,
        image.ground_truth_mm,
        [("prediction", aligned(image.depth_mm, image.ground_truth_mm, image.align), "")],
        width=_WORST_WIDTH,
        error_end=WORST_ERROR_END,
        note=f"si-RMSE {metrics.si_rmse:.3f}, RMSE {metrics.rmse:.2f} m, δ₁ {metrics.delta_1:.2f}",
    )


def depth_range(ground_truth: Depth) -> tuple[float, float]:
    """The ends of a scene's colour scale: nearly all of its known depth, in round decimetres.

    Args:
        ground_truth: HxW metres, 0 = unknown.

    Returns:
        Near and far end, metres. A map without any known pixel gives (0, 1).
    """
    known = ground_truth[ground_truth > 0]
    if known.size == 0:
        return 0.0, 1.0
    near, far = np.percentile(known, (1, 99))
    near = np.floor(near * 10) / 10
    return float(near), float(max(np.ceil(far * 10) / 10, near + 0.1))


def depth_picture(depth: Depth, near: float, far: float, width: int = WIDTH) -> str:
    """A depth map in colours, near is light, as a data URI.

    Args:
        depth: HxW metres; 0 = unknown, which becomes transparent.
        near: Depth of the scale's first colour, metres.
        far: Depth of its last colour, metres.
        width: Widest picture, pixels.
    """
    return _map_picture((depth - near) / (far - near), depth > 0, depth_colours(), width)


def error_picture(
    depth: Depth, ground_truth: Depth, end: float = ERROR_END, width: int = WIDTH
) -> tuple[str, float]:
    """Where a prediction is too near (blue) or too far (red) after its overall scale is removed.

    This is what si-RMSE measures: ln(depth / ground truth) less its mean.

    Args:
        depth: HxW metres.
        ground_truth: HxW metres, 0 = unknown, which becomes transparent.
        end: Factor too near or too far of the last colour.
        width: Widest picture, pixels.

    Returns:
        The picture as a data URI, and the scale that was removed: the geometric mean of
        depth / ground truth; 1 where nothing is known.
    """
    known = (ground_truth > 0) & (depth > 0)
    error = np.log(np.where(known, depth, 1) / np.where(known, ground_truth, 1))
    mean = float(error[known].mean()) if known.any() else 0.0
    place = (error - mean) / (2 * np.log(end)) + 0.5
    return _map_picture(place, known, error_colours(), width), float(np.exp(mean))


def photo_picture(photo: NDArray[np.uint8], width: int = WIDTH) -> str:
    """A photo (HxWx3 uint8 RGB) as a data URI."""
    small = _shrink(photo, cv2.INTER_AREA, width)
    return _data_uri(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 85])


def depth_colours() -> NDArray[np.uint8]:
    """256x3 RGB, perceptually even: near is light, as if lit from the camera."""
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8).reshape(1, -1), cv2.COLORMAP_PLASMA)
    return np.asarray(table[0, ::-1, ::-1], np.uint8)


def error_colours() -> NDArray[np.uint8]:
    """256x3 RGB: blue is too near, white is right, red is too far."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in _BLUE_RED.split()])
    places = np.linspace(0, len(stops) - 1, 256)
    columns = [np.interp(places, range(len(stops)), stops[:, i]) for i in range(3)]
    return np.asarray(np.rint(np.stack(columns, 1)), np.uint8)


def gradient(colours: NDArray[np.uint8], stops: int = 17) -> str:
    """A table of colours (256x3 RGB) as a CSS gradient from left to right."""
    table = colours[np.linspace(0, 255, stops).astype(int)]
    return f"linear-gradient(90deg, {', '.join(f'#{bytes(colour).hex()}' for colour in table)})"


def _map_picture(
    place: NDArray[np.floating[Any]],
    known: NDArray[np.bool_],
    colours: NDArray[np.uint8],
    width: int,
) -> str:
    """Colours for places 0..1 of a table; what is outside takes the colour of the end."""
    index = np.rint(np.clip(place, 0, 1) * 255).astype(np.uint8)
    # Nearest, as the ground truth must not be mixed across an edge; it also leaves only the 256
    # colours, which pack well without loss.
    index = _shrink(index, cv2.INTER_NEAREST, width)
    alpha = _shrink(known.astype(np.uint8) * 255, cv2.INTER_NEAREST, width)
    bgra = np.dstack([colours[index][..., ::-1], alpha])
    bgra[alpha == 0] = 0
    # Above 100 means lossless.
    return _data_uri(bgra, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])


def _metres(millimetres: NDArray[Any]) -> Depth:
    return np.asarray(millimetres / 1000, np.float32)


def _shrink(image: NDArray[np.uint8], interpolation: int, most: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if width <= most:
        return image
    size = (most, max(1, round(height * most / width)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _data_uri(image: NDArray[Any], suffix: str, options: Sequence[int]) -> str:
    encoded, data = cv2.imencode(suffix, image, list(options))
    assert encoded, f"OpenCV cannot encode {image.shape} {image.dtype} as {suffix}"
    kind = {".jpg": "jpeg", ".webp": "webp"}[suffix]
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"
