"""The codebook of patches, and the two distributions that it gives."""

from __future__ import annotations

import math

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.pretraining.codebook import (
    Codebook,
    discard_probability,
    mini_batch_k_means,
    nearest_codes,
    noise_distribution,
    patch_descriptors,
)
from ghostdepth_train.pretraining.pretrainer import _draw


def stripes(direction: float, size: int = 32) -> torch.Tensor:
    """A picture whose grey level changes along a direction, in radians; 3xsizexsize uint8."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    wave = torch.sin((x * math.cos(direction) + y * math.sin(direction)) * 0.8)
    return (128 + 100 * wave).to(torch.uint8).expand(3, -1, -1)


def test_negatives_follow_the_smoothed_unigram() -> None:
    counts = torch.tensor([0.0, 1, 16, 81, 256, 0, 625])
    noise = noise_distribution(counts, 0.75)
    expected = torch.tensor([0.0, 1, 8, 27, 64, 0, 125], dtype=torch.float64)
    torch.testing.assert_close(noise, expected / expected.sum())
    draws = _draw(noise, 20_000, 5, torch.Generator().manual_seed(0))
    found = torch.bincount(draws.flatten(), minlength=len(counts)).double()
    assert found[0] == found[5] == 0
    wanted = noise * draws.numel()
    likely = wanted > 0
    chi_square = float(((found - wanted)[likely] ** 2 / wanted[likely]).sum())
    assert chi_square < 18.5  # 4 degrees of freedom, one in a thousand


def test_a_smoothing_of_zero_is_uniform_over_what_occurs() -> None:
    noise = noise_distribution(torch.tensor([5.0, 0, 900]), 0)
    assert noise.tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize(("count", "left_out"), [(1, 0.0), (100, 1 - 0.1**0.5), (900, 2 / 3)])
def test_frequent_codes_are_left_out_as_the_paper_says(count: int, left_out: float) -> None:
    # With t = 0.01 * 10 / 10 of 1000 patches: 1 - sqrt(t / f), where f is above t.
    counts = torch.tensor([float(count), 1000.0 - count])
    threshold = {1: 0.01, 100: 0.01, 900: 0.1}[count]
    assert float(discard_probability(counts, threshold)[0]) == pytest.approx(left_out, abs=1e-6)
    assert not discard_probability(counts, 0).any()


def test_descriptors_tell_directions_and_not_brightness() -> None:
    across, down = (patch_descriptors(stripes(a)[None], 16) for a in (0.0, math.pi / 2))
    assert across.shape == (1, 35, 2, 2)
    brighter = patch_descriptors((stripes(0.0)[None].float() + 20).clamp_max(255), 16)
    assert float((across - down)[:, :32].norm()) > 10 * float((across - brighter)[:, :32].norm())
    plain = patch_descriptors(torch.full((1, 3, 20, 40), 128, dtype=torch.uint8), 16)
    assert plain.shape == (1, 35, 2, 3)
    assert not plain[:, :32].any()


def test_k_means_finds_what_is_apart() -> None:
    generator = torch.Generator().manual_seed(1)
    middles = torch.tensor([[0.0, 0], [10, 0], [0, 10]])
    points = middles.repeat(200, 1) + 0.1 * torch.randn(600, 2, generator=generator)
    centres = mini_batch_k_means(points, 30, seed=0)
    distance = (points - centres[nearest_codes(points, centres)]).norm(dim=1)
    assert float(distance.max()) < 0.5
    assert torch.equal(centres, mini_batch_k_means(points, 30, seed=0))


def test_a_codebook_counts_its_patches_and_gives_alike_patches_one_code() -> None:
    images = torch.stack([stripes(a) for a in torch.linspace(0, 3, 20).tolist()])
    codebook = Codebook(16, 4)
    codebook.fit(images, seed=0)
    assert codebook.counts.sum() == 20 * 4
    codes = codebook(images)
    assert codes.shape == (20, 2, 2)
    assert torch.equal(torch.bincount(codes.flatten(), minlength=4).float(), codebook.counts)


@pytest.mark.parametrize(
    ("images", "codes", "says"),
    [
        (torch.zeros(10, 3, 32, 32, dtype=torch.uint8), 2, "1 different patches, too few for 2"),
        (stripes(0.3)[None], 8, "4 patches of 16x16 pixels, too few for 8 codes"),
    ],
)
def test_too_few_patches_are_one_line(images: torch.Tensor, codes: int, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        Codebook(16, codes).fit(images, seed=0)
    assert "\n" not in str(raised.value)
