"""Adder convolutions: AdderNet (Chen et al., CVPR 2020), see `adder_conv.py`.

The resulting network can be trained, evaluated and compressed further, but no supported runtime has
an op for it: `ghostdepth export` refuses it. docs/compression/adder.md estimates its latency.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import TrainingConfig
from ghostdepth_train.config.fields import Positive
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

# Number of training pairs whose activations initialize the filters.
_PAIRS = 16


class AdderConfig(Method):
    """Which convolutions become adders, and the training after it.

    Attributes:
        layers: `encoder`, `decoder` or `all` for every pointwise convolution there that a batch
            norm follows; or names of layers (see `ghostdepth summary`), including depthwise ones.
        depthwise: Whether `encoder`, `decoder` or `all` include depthwise convolutions.
        eta: Factor of the adders' local learning rate; in one step an adder's weights change by
            `learning_rate * eta` (root mean square).
        training: Training settings.
    """

    encoders = ("ghostnet",)

    method: Literal["adder"] = "adder"
    layers: Literal["encoder", "decoder", "all"] | tuple[str, ...] = "decoder"
    depthwise: bool = False
    eta: Positive = ETA
    training: TrainingConfig = TrainingConfig(epochs=60, learning_rate=1e-3, warmup_epochs=1)


def apply(checkpoint: Checkpoint, config: AdderConfig, work: Work) -> Compressed:
    """Replaces convolutions by adders and trains.

    Raises:
        UserError: A layer cannot be an adder, or no layer is selected.
    """
    names = selected_layers(checkpoint.network, config)
    network = with_adders(checkpoint.network, names, config.seed)
    draw_filters(network, set(names) - set(checkpoint.config.adder), config, work)
    work.log(f"{len(names)} convolutions replaced by adders")

    def set_eta(network: nn.Module, beside: nn.Module) -> None:
        # The optimizer reads it from the adders.
        for adder in adders(network):
            adder.eta = config.eta

    make = partial(Trainer, prepare=set_eta)
    trained = work.train(network, config.training, config.seed, trainer=make)
    costs = layer_costs(trained)
    adder_macs = sum(row.macs for row in costs if row.name in trained.config.adder)
    notes = {
        "adders": len(trained.config.adder),
        "adder_share_of_macs": round(adder_macs / sum(row.macs for row in costs), 4),
    }
    return Compressed(trained, notes)


def selected_layers(network: DepthNet, config: AdderConfig) -> list[str]:
    """The names of the layers that the config selects, in the network's order.

    Raises:
        UserError: A name is not a convolution that can be an adder, or no layer is selected.
    """
    candidates = adder_candidates(network)
    if isinstance(config.layers, tuple):
        require_candidates(network, config.layers)
        names = [name for name in candidates if name in config.layers]
    else:
        start = "" if config.layers == "all" else config.layers
        names = [
            name
            for name, conv in candidates.items()
            if name.startswith(start) and (conv.groups == 1 or config.depthwise)
        ]
    if not names:
        raise UserError("adder: layers: no layer is selected, so there is nothing to replace")
    return names


def with_adders(network: DepthNet, names: list[str], seed: int) -> DepthNet:
    """The network with adders at `names` as well; all other weights are kept."""
    wanted = set(names) | set(network.config.adder)
    every = tuple(name for name in adder_candidates(network) if name in wanted)
    torch.manual_seed(seed)
    result = DepthNet(network.config.model_copy(update={"adder": every}))
    fresh = {f"{name}.weight" for name in wanted - set(network.config.adder)}
    weights = {k: v for k, v in network.state_dict().items() if k not in fresh}
    result.load_state_dict(weights, strict=False)
    return result


@torch.no_grad()
def draw_filters(network: DepthNet, names: set[str], config: AdderConfig, work: Work) -> None:
    """Initializes new adders from a normal distribution with the moments of each input channel.

    A convolution's weights are directions, an adder's are reference values of its inputs, so the
    former are no useful initialization of the latter.
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

    size = network.config.input_size
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        # Outputs of adders differ from those of convolutions: take this batch's statistics.
        norm.momentum = 1.0
    network.train()
    handles = [network.get_submodule(name).register_forward_pre_hook(draw) for name in names]
    dataset = DepthDataset(work.split.train[:_PAIRS], size, config.training.augment, config.seed)
    images = torch.stack([dataset[0, index][0] for index in range(len(dataset))])
    network(normaliser(network.config)(images))
    for handle in handles:
        handle.remove()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
