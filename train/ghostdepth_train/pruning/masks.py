"""Masks: which weights are kept, and training that keeps the others at zero.

Works on any module. Masks are bool tensors by the names of weights, True = kept; biases and norms
are never masked, as in the SNIP and lottery ticket papers. docs/adr/0010-pruning-by-hand.md says
why `torch.nn.utils.prune` is not used.
"""

from __future__ import annotations

from functools import partial

import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import Split
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

Masks = dict[str, Tensor]


def weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that can be masked: kernels of convolutions and linear layers."""
    return {name: p for name, p in network.named_parameters() if p.ndim > 1}


def present(network: nn.Module) -> Masks:
    """Masks of the nonzero weights, on the CPU."""
    return {name: (p.detach() != 0).cpu() for name, p in weights(network).items()}


def count(masks: Masks) -> int:
    """Number of weights that are kept."""
    return sum(int(mask.sum()) for mask in masks.values())


def kept_fraction(masks: Masks) -> float:
    """Fraction of all weights that is kept, 0 to 1."""
    return count(masks) / sum(mask.numel() for mask in masks.values())


def keep_top(scores: dict[str, Tensor], keep: int, among: Masks) -> Masks:
    """Masks of the `keep` highest scores over all layers.

    Args:
        scores: Score of every weight, by name and of its shape; finite, at least 0.
        keep: Number of weights to keep; of equal scores the earlier ones.
        among: Masks of the weights to choose from.

    Raises:
        UserError: `among` has fewer than `keep` weights, or `keep` is 0.
    """
    if not 1 <= keep <= count(among):
        raise UserError(
            f"cannot keep {keep:,} weights: the network has {count(among):,} that are not zero; "
            "choose another fraction to keep"
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
    """Sets weights that are not kept to +0.0 (a product with the mask would leave -0.0)."""
    for name, parameter in weights(network).items():
        parameter.masked_fill_(~masks[name].to(parameter.device), 0.0)


def require_path(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Checks that the output of a network still depends on its input.

    Args:
        network: Any module; evaluated in eval mode, its mode is restored.
        shape: Shape of its input, which is normal noise.

    Raises:
        UserError: The gradient of the output with respect to the input is zero.
    """
    was_training = network.training
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    output = network.eval()(x)
    network.train(was_training)
    (gradient,) = torch.autograd.grad(output.square().sum(), x)
    if not bool(gradient.any()):
        raise UserError(
            "pruned to nothing: no path of weights is left from the image to the depth; "
            "keep a larger fraction"
        )


def empty_layers(masks: Masks) -> list[str]:
    """Layers without any kept weight; allowed where a shortcut bypasses them."""
    return [name for name, mask in masks.items() if not bool(mask.any())]


class Masking:
    """Keeps pruned weights at zero while a network is trained.

    Their gradients are zeroed too, so that they enter neither the gradient norm nor the optimizer's
    moments; `apply` after each step is for optimizers that change a weight without a gradient.

    Args:
        network: Module on its final device; the masks are applied at once.
        masks: Masks, as `present` returns them.
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
        """Sets the pruned weights to zero."""
        for parameter, dropped in self._dropped:
            parameter.masked_fill_(dropped, 0.0)


def _zero(dropped: Tensor, gradient: Tensor) -> Tensor:
    return gradient.masked_fill(dropped, 0.0)


class MaskedTrainer(Trainer):
    """Training in which pruned weights stay zero, in the network and in its moving average.

    Args:
        config: See `Trainer`.
        split: See `Trainer`.
        options: See `Trainer`.
        masks: Masks, as `present` returns them.
    """

    def __init__(
        self, config: TrainConfig, split: Split, options: RunOptions, *, masks: Masks
    ) -> None:
        # Before the moving average starts from the weights.
        super().__init__(
            config, split, options, prepare=lambda network, beside: apply_masks(network, masks)
        )
        self.masking = Masking(self.network, masks)

    def step(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """One optimizer step, after which pruned weights are zero again."""
        loss = super().step(model, *batch)
        self.masking.apply()
        return loss
