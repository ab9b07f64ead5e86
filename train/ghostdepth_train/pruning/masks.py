"""Masks: which weights stay, and training that leaves the others at zero.

Works on any module. Masks are bool tensors by the names of weights, True = kept; biases and norms
are never masked, as in the papers of SNIP and the lottery ticket.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import Split
from ghostdepth_train.trainer import RunOptions, Trainer

Masks = dict[str, Tensor]


def weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """What masks are for: the kernels of convolutions and linear layers."""
    return {name: p for name, p in network.named_parameters() if p.ndim > 1}


def present(network: nn.Module) -> Masks:
    """The weights that are not zero: what an earlier step has left; on the CPU."""
    return {name: (p.detach() != 0).cpu() for name, p in weights(network).items()}


def count(masks: Masks) -> int:
    """How many weights are kept."""
    return sum(int(mask.sum()) for mask in masks.values())


def share(masks: Masks) -> float:
    """Kept weights of all weights, 0 to 1."""
    return count(masks) / sum(mask.numel() for mask in masks.values())


def keep_top(scores: dict[str, Tensor], keep: int, among: Masks) -> Masks:
    """Masks of the `keep` highest scores over all layers at once.

    Args:
        scores: At least 0, of the weights' shapes, finite.
        keep: How many; of equal scores the earlier ones stay.
        among: Only from these.

    Raises:
        UserError: There are no `keep` weights to choose from, or none is to be kept.
    """
    if not 1 <= keep <= count(among):
        raise UserError(
            f"cannot keep {keep:,} weights: the network has {count(among):,} that are not zero; "
            "choose another share to keep"
        )
    flat = torch.cat(
        [scores[name].cpu().masked_fill(~mask, -1.0).flatten() for name, mask in among.items()]
    )
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[flat.argsort(descending=True, stable=True)[:keep]] = True
    parts = torch.split(chosen, [mask.numel() for mask in among.values()])
    return {n: part.view_as(m) for (n, m), part in zip(among.items(), parts, strict=True)}


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Masks) -> None:
    """Sets what is not kept to zero (+0.0: a product with the mask would leave -0.0)."""
    for name, parameter in weights(network).items():
        parameter.masked_fill_(~masks[name].to(parameter.device), 0.0)


def require_path(network: nn.Module, x: Tensor) -> None:
    """Makes sure that what goes in still reaches what comes out.

    Args:
        network: Is put into eval mode for the time.
        x: Any input.

    Raises:
        UserError: The output does not depend on the input any more.
    """
    was_training = network.training
    x = x.detach().clone().requires_grad_()
    output = network.eval()(x)
    network.train(was_training)
    (gradient,) = torch.autograd.grad(output.square().sum(), x)
    if not bool(gradient.any()):
        raise UserError(
            "pruned to nothing: no path of weights is left from the picture to the depth; "
            "keep a larger share"
        )


def empty_layers(masks: Masks) -> list[str]:
    """Layers without a weight: not wrong by itself, where a sum or a gate goes around them."""
    return [name for name, mask in masks.items() if not bool(mask.any())]


class Masking:
    """Holds the weights that are not kept at zero while a network is trained.

    Their gradients are zero too, so that they count neither in the gradient's norm nor in the
    optimiser's moments; `apply` after each step is for optimisers that move a weight without one.

    Args:
        network: On its final device; masked at once.
        masks: As `present` gives them.
    """

    def __init__(self, network: nn.Module, masks: Masks) -> None:
        self._dropped = []
        for name, parameter in weights(network).items():
            layout = torch.empty_like(parameter, dtype=torch.bool)
            dropped = layout.copy_(~masks[name])
            parameter.register_hook(partial(_zero, dropped))  # type: ignore[no-untyped-call]
            self._dropped.append((parameter, dropped))
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Sets the weights that are not kept to zero."""
        for parameter, dropped in self._dropped:
            parameter.masked_fill_(dropped, 0.0)


def _zero(dropped: Tensor, gradient: Tensor) -> Tensor:
    return gradient.masked_fill(dropped, 0.0)


class MaskedTrainer(Trainer):
    """Training in which masked weights stay zero, in the network and in its average.

    Args:
        config: As for `Trainer`.
        split: As for `Trainer`.
        options: As for `Trainer`.
        masks: As `present` gives them.
    """

    def __init__(
        self, config: TrainConfig, split: Split, options: RunOptions, *, masks: Masks
    ) -> None:
        self.masks = masks
        super().__init__(config, split, options)
        self.masking = Masking(self.network, masks)

    def prepare(self) -> None:
        """Before the average is begun, which so has the zeros from the start."""
        apply_masks(self.network, self.masks)

    def step(self, *arguments: Any) -> Tensor:
        """One optimiser step; the weights are zero again after it."""
        loss = super().step(*arguments)
        self.masking.apply()
        return loss
