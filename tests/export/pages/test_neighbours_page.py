"""The page of a pretraining: the nearest patches are the nearest, and it is whole in itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench_depth.core.dataset import Pair, list_pairs
from ghostdepth_export.pages.neighbours_page import PAGE, nearest_patches, write_neighbours
from ghostdepth_train.models.network import DepthNet


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
