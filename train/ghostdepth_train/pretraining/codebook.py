"""The vocabulary of a picture: a codebook of its patches.

A word of a text is the same wherever it stands; a patch of a picture never is. So patches are
described by their edges and colours, and k-means makes a code of those that are alike, as in "bags
of visual words" (Csurka et al., 2004). The descriptors are fixed and not learned: histograms of
gradients, which as the target of masked prediction equal learned ones (Wei et al., "MaskFeat", CVPR
2022), cannot collapse, and are the same after a resumption.
"""

from __future__ import annotations

import math

import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional as F

_BINS = 8
# Gradients of this many grey levels halve a histogram: noise of a plain wall makes no edges.
_NOISE = 4.0
_BATCH, _ROUNDS = 4096, 100
# Patches per code for a codebook that is more than a list of its patches.
_PATCHES_PER_CODE = 10


def patch_descriptors(rgb: Tensor, stride: int) -> Tensor:
    """Edges and colour of each patch.

    Of each patch: histograms of the gradient's direction (8 bins over half a turn, weighted by its
    size) in its four quarters, divided by their common norm plus `_NOISE`; then the mean of
    luminance, red - green and yellow - blue, in units of 128 grey levels.

    Args:
        rgb: Nx3xHxW RGB 0..255; copied at the right and lower edge to whole patches.
        stride: Side of a patch, even.

    Returns:
        Nx35xhxw float32 with h = ceil(H / stride), w = ceil(W / stride).
    """
    missing = (-rgb.shape[-1] % stride, -rgb.shape[-2] % stride)
    rgb = F.pad(rgb.float(), (0, missing[0], 0, missing[1]), mode="replicate")
    red, green, blue = rgb.unbind(1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    padded = F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    x = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    y = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    direction = (torch.atan2(y, x) / math.pi * _BINS).floor().long() % _BINS
    weighted = F.one_hot(direction, _BINS).permute(0, 3, 1, 2) * torch.hypot(x, y)[:, None]
    edges = F.pixel_unshuffle(F.avg_pool2d(weighted, stride // 2), 2)
    edges = edges / (edges.norm(dim=1, keepdim=True) + _NOISE)
    colours = torch.stack([grey - 128, red - green, (red + green) / 2 - blue], 1)
    return torch.cat([edges, F.avg_pool2d(colours, stride) / 128], 1)


def mini_batch_k_means(points: Tensor, codes: int, seed: int) -> Tensor:
    """Mini-batch k-means (Sculley, "Web-Scale K-Means Clustering", WWW 2010).

    Args:
        points: NxD, at least as many different ones as codes.
        codes: Number of centres.
        seed: Seed of the first centres and of the batches.

    Returns:
        codes x D centres.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(points), generator=generator)
    centres = points[order[:codes]].clone()
    counts = torch.zeros(codes)
    for _ in range(_ROUNDS):
        batch = points[torch.randint(len(points), (_BATCH,), generator=generator)]
        nearest = nearest_codes(batch, centres)
        counts.index_add_(0, nearest, torch.ones(len(batch)))
        # A step of 1 / count towards each point in turn is the mean of all so far.
        pull = torch.zeros_like(centres).index_add_(0, nearest, batch - centres[nearest])
        centres += pull / counts.clamp_min(1)[:, None]
    return centres


def nearest_codes(points: Tensor, centres: Tensor) -> Tensor:
    """The nearest of KxD centres for each of NxD points, N int64."""
    # |p - c|^2 without |p|^2, which is the same for all centres.
    return ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)


class Codebook(nn.Module):
    """Patches to codes, and how frequent each code is; buffers alone, nothing is trained.

    Args:
        stride: Side of a patch.
        codes: Number of codes.
    """

    def __init__(self, stride: int, codes: int) -> None:
        super().__init__()
        self.stride = stride
        size = patch_descriptors(torch.zeros(1, 3, stride, stride), stride).shape[1]
        self.centres: Tensor
        self.counts: Tensor
        self.register_buffer("centres", torch.zeros(codes, size))
        self.register_buffer("counts", torch.zeros(codes))

    def fit(self, images: Tensor, seed: int) -> None:
        """Learns the codes of images, NxP of which are seen as Nx3xHxW uint8.

        Raises:
            UserError: There are too few patches, or too few different ones.
        """
        parts = [patch_descriptors(some, self.stride) for some in _in_parts(images, 64)]
        points = torch.cat(parts).permute(0, 2, 3, 1).flatten(0, 2)
        codes = len(self.centres)
        if len(points) < _PATCHES_PER_CODE * codes:
            raise UserError(
                f"{len(images)} images give {len(points)} patches of {self.stride}x{self.stride} "
                f"pixels, too few for {codes} codes; give more --images, or --set "
                f"codes={max(2, len(points) // _PATCHES_PER_CODE)}"
            )
        # Equal patches, as of plain or repeated images, would be several codes for one thing.
        points = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))]
        different = torch.unique(points.round(decimals=4), dim=0)
        if len(different) < codes:
            raise UserError(
                f"the images have {len(different)} different patches, too few for {codes} codes; "
                "are they plain, or all the same?"
            )
        centres = mini_batch_k_means(points, codes, seed)
        self.centres.copy_(centres)
        parts = [nearest_codes(some, centres) for some in _in_parts(points, 16384)]
        self.counts.copy_(torch.bincount(torch.cat(parts), minlength=codes))

    def forward(self, rgb: Tensor) -> Tensor:
        """Nx3xHxW RGB 0..255 -> Nxhxw int64 codes of the patches."""
        points = patch_descriptors(rgb, self.stride).permute(0, 2, 3, 1)
        return nearest_codes(points.flatten(0, 2), self.centres).reshape(points.shape[:3])


def _in_parts(x: Tensor, most: int) -> tuple[Tensor, ...]:
    """A tensor in parts of about so many rows, so that what is computed of each fits."""
    return x.tensor_split(-(-len(x) // most))


def noise_distribution(counts: Tensor, smoothing: float) -> Tensor:
    """Probability of each code as a negative: count^smoothing, normalised.

    Mikolov et al. 2013b, section 2.2, whose exponent is 3/4.

    Args:
        counts: K counts of the codes, not all 0.
        smoothing: The exponent; 1 gives the unigram distribution, 0 the uniform one of all codes
            that occur.
    """
    weights = torch.where(counts > 0, counts.double() ** smoothing, 0.0)
    return weights / weights.sum()


def discard_probability(counts: Tensor, threshold: float) -> Tensor:
    """Probability with which a patch of each code is left out: 1 - sqrt(t / f), at least 0.

    Mikolov et al. 2013b, equation 5.

    Args:
        counts: K counts of the codes, not all 0.
        threshold: Frequency t; 0 leaves nothing out.
    """
    if not threshold:
        return torch.zeros_like(counts)
    frequency = counts / counts.sum()
    return (1 - (threshold / frequency.clamp_min(1e-12)).sqrt()).clamp_min(0)
