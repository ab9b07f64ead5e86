"""The page of a pretraining: patches of photos, and the patches that the encoder finds alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from bench_depth.accuracy.readers import evenly_spaced
from bench_depth.core.dataset import Pair, read_rgb
from bench_depth.core.files import write_bytes
from bench_depth.report.html.pictures import photo_picture
from bench_depth.report.html.templating import render_page
from ghostdepth_train.models.network import DepthNet, normaliser, resize, without_border
from ghostdepth_train.pretraining import Pretrainer
from torch import Tensor
from torch.nn import functional as F

PAGE = "neighbours.html"
# Photos with a query, nearest patches of each, and photos that are searched at most.
_QUERIES, _NEAREST, _SEARCHED = 8, 5, 300
_WIDTH = 180
_FRAME = (255, 64, 32)


@dataclass(frozen=True)
class Patch:
    """A patch of a photo.

    Attributes:
        name: Name of the photo.
        picture: The photo with a frame around the patch, as a data URI.
        similarity: Cosine of the angle between its features and those of the query.
    """

    name: str
    picture: str
    similarity: float = 1.0


def write_neighbours(trainer: Pretrainer) -> Path:
    """Writes `RUN/neighbours.html` of the averaged encoder; no random number is drawn.

    Returns:
        The page.

    Raises:
        UserError: A photo cannot be read, or the page cannot be written.
    """
    queries = evenly_spaced(trainer.split.val, min(len(trainer.split.val), _QUERIES))
    others = [image for image in (*trainer.split.train, *trainer.split.val) if image not in queries]
    searched = evenly_spaced(others, min(len(others), _SEARCHED))
    rows = nearest_patches(trainer.averaged_network, queries, searched)
    settings = trainer.pretraining
    page = render_page(
        "ghostdepth_export.pages",
        "neighbours.html.j2",
        name=trainer.options.name,
        method=settings.method,
        epoch=trainer.epoch,
        epochs=settings.epochs,
        searched=len(searched),
        rows=rows,
    )
    path = trainer.options.out / PAGE
    write_bytes(path, page.encode())
    return path


def nearest_patches(
    network: DepthNet, queries: Sequence[Pair], searched: Sequence[Pair]
) -> list[tuple[Patch, list[Patch]]]:
    """The patch with the most contrast of each query, and the most similar ones of other photos.

    Features at stride 16 and 32, each less its mean over the photos at the same place and of length
    1, are compared by cosine. Encoders see the borders of a picture: with one mean for all places,
    patches are alike because they are at the same place, whatever they show.

    Args:
        network: Network whose encoder gives the features.
        queries: Photos with a query.
        searched: Photos of which at most one patch each is shown.
    """
    photos = [_read(image, network) for image in (*queries, *searched)]
    maps = _features(network, [photo for photo, _ in photos])
    rows = []
    for index, query in enumerate(queries):
        y, x = divmod(int(photos[index][1].argmax()), maps.shape[2])
        similarity = maps[len(queries) :] @ maps[index, y, x]
        best, at = similarity.flatten(1).max(1)
        found = []
        for rank in best.argsort(descending=True, stable=True)[:_NEAREST].tolist():
            place = divmod(int(at[rank]), maps.shape[2])
            found.append(_place(searched[rank], place, maps.shape[1:3], float(best[rank])))
        rows.append((_place(query, (y, x), maps.shape[1:3]), found))
    return rows


def _read(image: Pair, network: DepthNet) -> tuple[Tensor, Tensor]:
    """A photo of the network's size, 3xHxW, and the contrast of each of its patches, hxw."""
    size = network.config.input_size
    rgb = cv2.resize(read_rgb(image.rgb), size[::-1], interpolation=cv2.INTER_AREA)
    photo = torch.from_numpy(rgb).permute(2, 0, 1)
    grey = photo.float().mean(0, keepdim=True)
    mean, square = (F.adaptive_avg_pool2d(each, _grid(network)) for each in (grey, grey**2))
    return photo, (square - mean**2)[0]


def _grid(network: DepthNet) -> tuple[int, int]:
    height, width = network.config.input_size
    return -(-height // 16), -(-width // 16)


@torch.no_grad()
def _features(network: DepthNet, photos: Sequence[Tensor]) -> Tensor:
    """Features of each patch, Nxhxwxchannels of length 1, on the CPU."""
    device = next(network.parameters()).device
    was_training, normalise = network.training, normaliser(network.config)
    network.eval()
    parts: list[list[Tensor]] = [[], []]
    for batch in torch.stack(list(photos)).tensor_split(-(-len(photos) // 32)):
        maps = network.features(normalise(batch.to(device)))[-2:]
        for part, each, stride in zip(parts, maps, (16, 32), strict=True):
            inner = without_border(each, network.config.border, stride)
            part.append(resize(inner, *_grid(network)).float().cpu())
    network.train(was_training)
    whole = [torch.cat(part) for part in parts]
    centred = [F.normalize(each - each.mean(0, keepdim=True), dim=1) for each in whole]
    both = torch.cat(centred, 1) / math.sqrt(len(centred))
    return both.permute(0, 2, 3, 1)


def _place(
    image: Pair, place: tuple[int, int], grid: Sequence[int], similarity: float = 1.0
) -> Patch:
    photo = read_rgb(image.rgb)
    height = max(1, round(_WIDTH * photo.shape[0] / photo.shape[1]))
    small = cv2.resize(photo, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    corners = [
        (round((place[1] + d) * _WIDTH / grid[1]), round((place[0] + d) * height / grid[0]))
        for d in (0, 1)
    ]
    cv2.rectangle(small, corners[0], corners[1], _FRAME, 2)
    return Patch(image.name, photo_picture(np.asarray(small, np.uint8), _WIDTH), similarity)
