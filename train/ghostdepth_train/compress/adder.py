"""Adders instead of convolutions: AdderNet (Chen et al., CVPR 2020), see `adder_conv.py`.

What comes out trains, evaluates and can be compressed further, but no runtime of ours has an op for
it: `ghostdepth export` refuses it. docs/compression/adder.md says what it would cost.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import pydantic
import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import TrainingConfig, require_ghostnet
from ghostdepth_train.data import DepthDataset
from ghostdepth_train.models.adder_conv import (
    ETA,
    AdderConv2d,
    adder_candidates,
    adders,
    require_candidates,
)
from ghostdepth_train.models.network import DepthNet, normaliser
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.trainer import Trainer

# Training pairs from which the filters' first values are drawn.
_PAIRS = 16


class AdderConfig(Method):
    """Which convolutions become adders, and the training after it.

    Attributes:
        layers: `encoder`, `decoder` or `all` for every pointwise convolution there that a batch
            norm follows, or their names (see `ghostdepth summary`), depthwise ones too.
        depthwise: Take the depthwise convolutions of `encoder`, `decoder` or `all` as well.
        eta: Of the adders' local learning rate; an adder's weights move by
            `learning_rate * eta` in the mean square in one step.
        training: How.
    """

    method: Literal["adder"] = "adder"
    layers: Literal["encoder", "decoder", "all"] | tuple[str, ...] = "decoder"
    depthwise: bool = False
    eta: float = pydantic.Field(default=ETA, gt=0)
    training: TrainingConfig = TrainingConfig(epochs=60, learning_rate=1e-3, warmup_epochs=1)


CONFIG = AdderConfig


class AdderTrainer(Trainer):
    """The plain trainer, with the config's eta."""

    def __init__(self, eta: float, *arguments: Any) -> None:
        self._eta = eta
        super().__init__(*arguments)

    def prepare(self) -> None:
        """Hands eta to the adders, where the optimiser finds it."""
        for adder in adders(self.network):
            adder.eta = self._eta


def apply(checkpoint: Checkpoint, config: AdderConfig, work: Work) -> Compressed:
    """Replaces convolutions by adders and trains.

    Raises:
        UserError: A layer cannot be an adder, or there is none to replace.
    """
    require_ghostnet(checkpoint.config, "adder")
    names = chosen(checkpoint.network, config)
    network = with_adders(checkpoint.network, names, config.seed)
    draw_filters(network, set(names) - set(checkpoint.config.adder), config, work)
    work.say(f"{len(names)} of the convolutions are adders")
    make = partial(AdderTrainer, config.eta)
    trained = work.train(network, config.training, config.seed, trainer=make)
    costs = layer_costs(trained)
    share = sum(row.macs for row in costs if row.name in trained.config.adder)
    notes = {
        "adders": len(trained.config.adder),
        "adder_share_of_macs": round(share / sum(row.macs for row in costs), 4),
    }
    return Compressed(trained, notes)


def chosen(network: DepthNet, config: AdderConfig) -> list[str]:
    """The names of the layers that the config asks for, in the network's order.

    Raises:
        UserError: A name is no convolution that can be an adder, or nothing fits.
    """
    candidates = adder_candidates(network)
    if isinstance(config.layers, tuple):
        require_candidates(network, config.layers)
        wanted = [name for name in candidates if name in config.layers]
    else:
        start = "" if config.layers == "all" else config.layers
        wanted = [
            name
            for name, conv in candidates.items()
            if name.startswith(start) and (conv.groups == 1 or config.depthwise)
        ]
    if not wanted:
        raise UserError("adder: layers: no layer is named, so there is nothing to replace")
    return wanted


def with_adders(network: DepthNet, names: list[str], seed: int) -> DepthNet:
    """The network with adders at `names`, beside those that it has; all other weights are kept."""
    kept = set(names) | set(network.config.adder)
    every = tuple(name for name in adder_candidates(network) if name in kept)
    torch.manual_seed(seed)
    result = DepthNet(network.config.model_copy(update={"adder": every}))
    fresh = {f"{name}.weight" for name in kept - set(network.config.adder)}
    weights = {k: v for k, v in network.state_dict().items() if k not in fresh}
    result.load_state_dict(weights, strict=False)
    return result


@torch.no_grad()
def draw_filters(network: DepthNet, names: set[str], config: AdderConfig, work: Work) -> None:
    """Gives new adders filters that look like their inputs: normal, with each channel's moments.

    A trained convolution's weights say which directions matter, an adder's which values are near:
    the former are no start for the latter.
    """
    if not names:
        return
    generator = torch.Generator().manual_seed(config.seed)

    def draw(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, AdderConv2d)
        (x,) = inputs
        shape = (1, -1, 1, 1) if module.groups == 1 else (-1, 1, 1, 1)
        deviation = x.std((0, 2, 3)).clamp_min(1e-3).view(shape)
        noise = torch.randn(module.weight.shape, generator=generator)
        module.weight.copy_(noise * deviation + x.mean((0, 2, 3)).view(shape))

    size = (network.config.input_height, network.config.input_width)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        # Adders answer with other numbers than convolutions: take over this batch's statistics.
        norm.momentum = 1.0
    network.train()
    handles = [network.get_submodule(name).register_forward_pre_hook(draw) for name in names]
    dataset = DepthDataset(work.split.train[:_PAIRS], size, config.training.augment, config.seed)
    pictures = torch.stack([dataset[0, index][0] for index in range(len(dataset))])
    network(normaliser(network.config)(pictures))
    for handle in handles:
        handle.remove()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
