"""Whole parts go: decoder levels, residual blocks and gates, which cost time however narrow.

A decoder level enlarges and adds maps, a ghost module concatenates them, TFLite does that on one
thread, and at the finest strides the maps are large. The head can give several pixels for each of
its positions instead of the finest level (sub-pixel convolution, Shi et al., CVPR 2016), and what a
residual block adds to its input can be left out (Huang et al., "Deep networks with stochastic
depth", ECCV 2016, do so while training).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pydantic
import torch
from bench_depth.core.errors import UserError
from torch import nn

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import EncoderConfig, NetworkConfig, parse_config, require_ghostnet
from ghostdepth_train.models.ghostnet import GhostBottleneck
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs

# Of a parameter or a layer in the network as it was: its name in the smaller one, None if it goes.
_Place = Callable[[str], str | None]


class CutConfig(Method):
    """What stays. Nothing is trained: that is for the next step of the recipe.

    Attributes:
        levels: Of the decoder, the coarsest first; None = all.
        enlarge: Pixels a side that the head gives for each of its positions; None = as before.
        blocks: Of the encoder, that go: `0.0` is stage 0, block 0. Each must add its result to
            its input as it is.
        gates: False takes all squeeze-and-excite gates out.
    """

    method: Literal["cut"] = "cut"
    levels: int | None = pydantic.Field(default=None, ge=1, le=4)
    enlarge: Literal[1, 2, 4] | None = None
    blocks: tuple[str, ...] = ()
    gates: bool = True


CONFIG = CutConfig


def apply(checkpoint: Checkpoint, config: CutConfig, work: Work) -> Compressed:
    """Builds the smaller network; whatever is in both has the old weights.

    Raises:
        UserError: There is nothing to cut, or what is asked for cannot be.
    """
    require_ghostnet(checkpoint.config, "cut")
    network = cut(checkpoint.network, config)
    before, after = (sum(row.macs for row in layer_costs(n)) for n in (checkpoint.network, network))
    work.say(f"cut to {after / before:.1%} of the MACs")
    return Compressed(network, {"macs_before": before, "macs_after": after})


@torch.no_grad()
def cut(network: DepthNet, config: CutConfig) -> DepthNet:
    """A network without the parts that go.

    Args:
        network: With a GhostNet encoder; is not changed.
        config: What stays; its seed is that of a head that sees other channels than before. One
            that sees the same repeats the one old filter for each of its pixels, so that the depth
            is the old one, enlarged without interpolation.

    Raises:
        UserError: It has fewer levels, `enlarge` is too much, a block is none that can go, or
            nothing would change.
    """
    place = _places(network, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        smaller = DepthNet(_smaller(network.config, config, place))
    state, old = smaller.state_dict(), network.state_dict()
    for name, value in old.items():
        new = place(name)
        if new in state and state[new].shape == value.shape:
            state[new] = value
    if network.head.out_channels == 1 and smaller.head.in_channels == network.head.in_channels:
        for name in ("head.weight", "head.bias"):
            state[name] = old[name].expand_as(state[name])
    smaller.load_state_dict(state)
    return smaller.eval()


def _smaller(network: NetworkConfig, config: CutConfig, place: _Place) -> NetworkConfig:
    value: dict[str, Any] = network.model_dump()
    widths = value["decoder"]["widths"]
    levels = config.levels or len(widths)
    if levels > len(widths):
        raise UserError(f"cut: the network has {len(widths)} decoder levels, not {levels}")
    enlarge = config.enlarge or network.decoder.enlarge
    value["decoder"] = {"widths": widths[:levels], "enlarge": enlarge}
    stages = [
        [block for j, block in enumerate(stage) if f"{i}.{j}" not in config.blocks]
        for i, stage in enumerate(value["encoder"]["stages"])
    ]
    for block in (block for stage in stages for block in stage):
        block["se"] = block["se"] if config.gates else 0
    value["encoder"]["stages"] = stages
    value["adder"] = [new for name in network.adder if (new := place(name))]
    result = parse_config(NetworkConfig, value, "cut")
    if result == network:
        raise UserError("cut: nothing would go; set levels, enlarge, blocks or gates")
    return result


def _places(network: DepthNet, config: CutConfig) -> _Place:
    """Where a parameter or layer of the old network is in the new one; None if it goes."""
    assert isinstance(network.config.encoder, EncoderConfig)
    known = _residual_blocks(network.encoder)
    for name in config.blocks:
        if name not in known:
            raise UserError(f"cut: block {name!r} cannot go; these can: {', '.join(known)}")
    stays = [
        [j for j in range(len(stage)) if f"{i}.{j}" not in config.blocks]
        for i, stage in enumerate(network.config.encoder.stages)
    ]

    def place(name: str) -> str | None:
        parts = name.split(".")
        if name.startswith("encoder.blocks."):
            stage, block = stays[int(parts[2])], int(parts[3])
            if block not in stage:
                return None
            parts[3] = str(stage.index(block))
        if name.startswith("decoder.") and config.levels and int(parts[1]) >= config.levels:
            return None
        return ".".join(parts)

    return place


def _residual_blocks(encoder: nn.Module) -> list[str]:
    """Blocks that add their result to their input as it is."""
    return [
        name.removeprefix("blocks.")
        for name, block in encoder.named_modules()
        if isinstance(block, GhostBottleneck) and isinstance(block.shortcut, nn.Identity)
    ]
