"""The page of a pretraining: the nearest patches are the nearest, and it is whole in itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench_depth.core.dataset import Pair, list_pairs
from ghostdepth_export.pages.neighbours_page import (
    PAGE,
    _features,
    nearest_patches,
    write_neighbours,
)
from ghostdepth_train.models.network import DepthNet
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture
def photos(dataset: Path) -> list[Pair]:
    return list_pairs(dataset)


def test_a_photo_is_nearest_to_itself(
    make_network: Callable[..., DepthNet], photos: list[Pair]
) -> None:
    rows = nearest_patches(make_network(), photos[:1], photos)
    ((query, found),) = rows
    assert found[0].name == query.name
    assert found[0].similarity == pytest.approx(1, abs=1e-5)
    assert found[0].picture == query.picture
    order = [place.similarity for place in found]
    assert order == sorted(order, reverse=True)


class _PlaceAndColour(nn.Module):
    """Features that say where a patch is much louder than what colour it has."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = []
        for stride in (16, 32):
            colours = F.avg_pool2d(x, stride)
            places = (
                torch.ones_like(colours[:, :1]).cumsum(2),
                torch.ones_like(colours[:, :1]).cumsum(3),
            )
            maps.append(torch.cat([colours, 10 * places[0], 10 * places[1]], 1))
        return maps[0], maps[1]


def test_patches_are_alike_by_what_they_show_and_not_by_where_they_are(
    make_network: Callable[..., DepthNet],
) -> None:
    network = make_network()
    network.encoder = _PlaceAndColour()
    rows, columns = network.config.input_height // 32, network.config.input_width // 32
    assert rows * columns > 1
    shades = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
    drawn = torch.randint(3, (40, rows, columns), generator=torch.Generator().manual_seed(0))
    small = shades[drawn].permute(0, 3, 1, 2)
    photos = small.repeat_interleave(32, 2).repeat_interleave(32, 3)
    features = _features(network, list(photos))
    colours = drawn.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)
    nearest = (features[1:].flatten(1, 2) @ features[0].flatten(0, 1).T).argmax(1)
    found = colours[1:].gather(1, nearest)
    for place, colour in enumerate(colours[0].tolist()):
        shown = (colours[1:] == colour).any(1)
        assert shown.any() and (found[shown, place] == colour).all()


def test_the_page_holds_its_pictures_and_draws_no_random_number(
    make_network: Callable[..., DepthNet], photos: list[Pair], tmp_path: Path
) -> None:
    trainer: Any = SimpleNamespace(
        options=SimpleNamespace(out=tmp_path, name="<b>toy</b>"),
        split=SimpleNamespace(train=photos[1:], val=photos[:1]),
        pretraining=SimpleNamespace(method="cbow", epochs=9),
        averaged_network=make_network(),
        epoch=4,
    )
    state = torch.random.get_rng_state()
    assert write_neighbours(trainer) == tmp_path / PAGE
    assert torch.equal(state, torch.random.get_rng_state())
    text = (tmp_path / PAGE).read_text()
    pictures = 1 + min(5, len(photos) - 1)
    assert text.count('<img src="data:image/') == text.count("<img ") == pictures
    assert "&lt;b&gt;toy" in text and "<b>toy" not in text
