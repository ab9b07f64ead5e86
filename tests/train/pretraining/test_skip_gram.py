"""Skip-gram and CBOW of patches against plain loops in numpy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from ghostdepth_train.pretraining.skip_gram import (
    PatchVectors,
    Places,
    bags,
    draw_places,
    negative_sampling_loss,
    skip_gram_pairs,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]


def _sigmoid(x: Array | float) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x)))


def plain_skip_gram(
    inputs: Array, outputs: Array, centres: Array, positives: Array, negatives: Array
) -> tuple[float, Array, Array]:
    """Word2vec's loss and its gradients, pair by pair, as its authors derive them."""
    loss, d_inputs, d_outputs = 0.0, np.zeros_like(inputs), np.zeros_like(outputs)
    for centre, positive, drawn in zip(centres, positives, negatives, strict=True):
        for code, label in [(positive, 1.0), *((k, 0.0) for k in drawn)]:
            p = _sigmoid(inputs[centre] @ outputs[code])
            loss -= np.log(p if label else 1 - p)
            d_inputs[centre] += (p - label) * outputs[code]
            d_outputs[code] += (p - label) * inputs[centre]
    return loss / len(centres), d_inputs / len(centres), d_outputs / len(centres)


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradients_are_those_of_a_plain_skip_gram(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    centres, positives = rng.integers(6, size=20), rng.integers(5, size=20)
    negatives = rng.integers(5, size=(20, 3))  # Some repeat, some are the positive itself.
    v, u = (torch.tensor(each, requires_grad=True) for each in (inputs, outputs))
    loss = negative_sampling_loss(
        v, u, *(torch.tensor(each) for each in (centres, positives, negatives))
    )
    loss.backward()  # type: ignore[no-untyped-call]
    expected, d_inputs, d_outputs = plain_skip_gram(inputs, outputs, centres, positives, negatives)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    assert v.grad is not None
    assert u.grad is not None
    np.testing.assert_allclose(v.grad.numpy(), d_inputs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(u.grad.numpy(), d_outputs, rtol=1e-9, atol=1e-12)


def test_without_a_pair_the_loss_is_zero_and_has_a_gradient() -> None:
    v, u = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    loss = negative_sampling_loss(v, u, none, none, none.reshape(0, 5))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert v.grad is not None


@st.composite
def drawn_places(draw: st.DrawFn) -> tuple[Places, int]:
    size = (draw(st.integers(1, 3)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    window = draw(st.sampled_from([3, 5]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    hidden = torch.rand(size, generator=generator) < draw(st.sampled_from([0.0, 0.5]))
    codes = torch.randint(4, size, generator=generator)
    discard = torch.tensor([0.0, 0.2, 0.5, 0.9])
    return draw_places(codes, hidden, discard, window, generator), window


def plain_pairs(places: Places) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each place with each one in its window, without a centre; nothing is masked."""
    images, rows, columns = places.reach.shape
    found = []
    for n, y, x in itertools.product(range(images), range(rows), range(columns)):
        reach = int(places.reach[n, y, x])
        for b, a in itertools.product(range(rows), range(columns)):
            if (b, a) != (y, x) and max(abs(b - y), abs(a - x)) <= reach:
                found.append(((n, y, x), (n, b, a)))
    return found


@settings(deadline=None, max_examples=25)
@given(drawn_places())
def test_skip_gram_pairs_are_those_of_plain_loops(drawn: tuple[Places, int]) -> None:
    places, window = drawn
    flat = torch.arange(places.reach.numel()).reshape(places.reach.shape)
    expected = {
        (int(flat[c]), int(flat[o]))
        for c, o in plain_pairs(places)
        if places.inputs[c] and places.targets[o]
    }
    centres, others = skip_gram_pairs(places, window)
    found = list(zip(centres.tolist(), others.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


@settings(deadline=None, max_examples=25)
@given(drawn_places())
def test_a_bag_is_the_mean_of_its_ring(drawn: tuple[Places, int]) -> None:
    places, window = drawn
    vectors = torch.randn(*places.reach.shape, 3, generator=torch.Generator().manual_seed(0))
    rings: dict[tuple[int, ...], list[torch.Tensor]] = {}
    for c, o in plain_pairs(places):
        if places.targets[c] and places.inputs[o]:
            rings.setdefault(c, []).append(vectors[o])
    means, centres = bags(vectors, places, window)
    flat = torch.arange(places.reach.numel()).reshape(places.reach.shape)
    assert centres.tolist() == [int(flat[c]) for c in rings]
    for mean, ring in zip(means, rings.values(), strict=True):
        torch.testing.assert_close(mean, torch.stack(ring).mean(0))


def test_only_what_is_hidden_is_predicted_and_only_from_what_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    codes, hidden = torch.zeros(2, 4, 4, dtype=torch.int64), torch.rand(2, 4, 4) < 0.5
    places = draw_places(codes, hidden, torch.zeros(1), 3, generator)
    assert torch.equal(places.inputs, ~hidden)
    assert torch.equal(places.targets, hidden)
    every = draw_places(codes, torch.zeros_like(hidden), torch.zeros(1), 3, generator)
    assert bool(every.inputs.all() and every.targets.all())


@pytest.mark.parametrize("size", [(4, 5), (2, 3)])
def test_vectors_fit_the_grid_of_either_stride(size: tuple[int, int]) -> None:
    vectors = PatchVectors((6, 8), codes=3, channels=5)
    found = vectors(torch.rand(2, 6, 4, 5), torch.rand(2, 8, 2, 3), size)
    assert found.shape == (2, *size, 5)
