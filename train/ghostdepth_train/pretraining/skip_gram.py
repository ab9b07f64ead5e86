"""Patches that predict the patches around them.

Mikolov et al., "Efficient Estimation of Word Representations in Vector Space" (2013a,
arXiv:1301.3781): continuous bag of words and skip-gram, the window of random reach. Mikolov et al.,
"Distributed Representations of Words and Phrases and their Compositionality" (2013b,
arXiv:1310.4546): negative sampling. A text's word is a patch's code, its place in the text a place
in the grid. The input vector of a word, there a row of a table, is computed by the encoder here;
the output vectors are a table, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.models.network import resize

_Place = tuple[slice, slice]


class PatchVectors(nn.Module):
    """The encoder's features as input vectors of patches, and the output vectors of codes.

    Args:
        widths: Number of channels of the features at stride 16 and 32.
        codes: Number of codes.
        channels: Number of channels of the vectors.
    """

    def __init__(self, widths: Sequence[int], codes: int, channels: int) -> None:
        super().__init__()
        # One projection of both maps, one after the other: the same as of their concatenation.
        self.fine = nn.Conv2d(widths[0], channels, 1)
        self.coarse = nn.Conv2d(widths[1], channels, 1, bias=False)
        # Zero, as in the authors' program: every code is equally likely at first.
        self.outputs = nn.Parameter(torch.zeros(codes, channels))

    def forward(self, fine: Tensor, coarse: Tensor, size: tuple[int, int]) -> Tensor:
        """Features at stride 16 and 32 -> Nxhxwxchannels float32 input vectors, `size` h, w."""
        maps = self.fine(_fit(fine, size)) + self.coarse(_fit(coarse, size))
        return cast(Tensor, maps.permute(0, 2, 3, 1).float())


def _fit(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_avg_pool2d(x, size) if x.shape[-2] > size[0] else resize(x, *size)


class Places(NamedTuple):
    """What may be predicted from what in the grids of a batch.

    Attributes:
        inputs: Nxhxw bool, patches whose vectors are used.
        targets: Nxhxw bool, patches that are predicted.
        reach: Nxhxw int64, how far the window of each centre reaches to every side.
    """

    inputs: Tensor
    targets: Tensor
    reach: Tensor


def draw_places(
    codes: Tensor, hidden: Tensor, discard: Tensor, window: int, generator: torch.Generator
) -> Places:
    """Draws which patches are left out, and the reach of each window.

    Args:
        codes: Nxhxw codes of the patches, on the CPU.
        hidden: Nxhxw bool, patches that the encoder does not see; none: all predict all.
        discard: K probabilities of the codes, see `codebook.discard_probability`.
        window: Side of the largest window, odd.
        generator: Generator of the random numbers.
    """
    kept = torch.rand(codes.shape, generator=generator) >= discard[codes]
    reach = torch.randint(1, window // 2 + 1, codes.shape, generator=generator)
    targets = hidden if bool(hidden.any()) else torch.ones_like(kept)
    return Places(kept & ~hidden, kept & targets, reach)


def skip_gram_pairs(places: Places, window: int) -> tuple[Tensor, Tensor]:
    """Each centre with each patch of its window that is predicted from it.

    Returns:
        Indices of the centres, and of the patches that they predict, in the flattened grids.
    """
    index = torch.arange(places.inputs.numel()).reshape(places.inputs.shape)
    centres, others = [], []
    for distance, centre, other in _offsets(places.inputs.shape[-2:], window):
        valid = places.inputs[:, *centre] & places.targets[:, *other]
        valid &= places.reach[:, *centre] >= distance
        centres.append(index[:, *centre][valid])
        others.append(index[:, *other][valid])
    return torch.cat(centres), torch.cat(others)


def bags(vectors: Tensor, places: Places, window: int) -> tuple[Tensor, Tensor]:
    """The mean of the input vectors in each window without its centre, for the centres predicted.

    Args:
        vectors: NxhxwxC input vectors.
        places: Indices on the device of `vectors`; a centre without input in its window is left
            out.
        window: Side of the largest window.

    Returns:
        MxC means, and the M indices of their centres in the flattened grids.
    """
    total = torch.zeros_like(vectors)
    count = vectors.new_zeros(places.inputs.shape)
    for distance, centre, other in _offsets(places.inputs.shape[-2:], window):
        valid = places.inputs[:, *other] & (places.reach[:, *centre] >= distance)
        total[:, *centre] = total[:, *centre] + vectors[:, *other] * valid[..., None]
        count[:, *centre] += valid
    chosen = places.targets & (count > 0)
    means = total[chosen] / count[chosen][:, None]
    return means, chosen.flatten().nonzero()[:, 0]


def _offsets(size: Sequence[int], window: int) -> Iterator[tuple[int, _Place, _Place]]:
    """Each offset in a window as its distance, and the places of a grid that have it and are it."""
    reach = window // 2
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy or dx:
                rows, columns = _overlap(size[0], dy), _overlap(size[1], dx)
                centre, other = (rows[0], columns[0]), (rows[1], columns[1])
                yield max(abs(dy), abs(dx)), centre, other


def _overlap(length: int, offset: int) -> tuple[slice, slice]:
    low, high = max(0, -offset), length - max(0, offset)
    return slice(low, high), slice(low + offset, high + offset)


def negative_sampling_loss(
    inputs: Tensor, outputs: Tensor, centres: Tensor, positives: Tensor, negatives: Tensor
) -> Tensor:
    """The mean over the pairs of -log s(u_o . v_i) - sum over k of log s(-u_k . v_i).

    Mikolov et al. 2013b, equation 4, with its sign turned; s is the logistic function.

    Args:
        inputs: PxC input vectors v.
        outputs: KxC output vectors u of the codes.
        centres: M rows of `inputs`.
        positives: M codes o that were seen there.
        negatives: MxN codes k, drawn from the noise distribution.

    Returns:
        A scalar; 0 where there is no pair.
    """
    if not len(centres):
        return (inputs.sum() + outputs.sum()) * 0
    # All products at once, then the few that are needed: much less memory than rows of vectors.
    products = inputs @ outputs.T
    loss = F.softplus(-products[centres, positives])
    loss = loss + F.softplus(products[centres[:, None], negatives]).sum(1)
    return loss.mean()
