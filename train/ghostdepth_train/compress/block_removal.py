"""Block removal: takes out decoder levels, residual blocks, squeeze-and-excitation and attention.

They cost time however narrow they are. A decoder level upsamples and adds maps, a ghost module
concatenates them, TFLite does that on one thread, and at the finest strides the maps are large.
Instead of computing the finest level, the head can give several pixels for each of its positions
(sub-pixel convolution, Shi et al., CVPR 2016). A residual block can be replaced by its shortcut, as
stochastic depth does during training (Huang et al., ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pydantic
import torch
from bench_depth.core.errors import UserError
from pydantic import AliasChoices
from torch import nn

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import EncoderConfig, NetworkConfig, parse_config, refuse_stream
from ghostdepth_train.models.ghostnet import GhostBottleneck
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs

# Maps the name of a parameter or layer to its name in the smaller network; None if it is removed.
_Rename = Callable[[str], str | None]


class DropBlocksConfig(Method):
    """Which parts stay. Nothing is trained: that is left to the recipe's next step.

    Attributes:
        levels: Number of decoder levels that stay, the coarsest first; None keeps all.
        upsample: Factor, per side, by which the head upsamples with a sub-pixel convolution; None
            keeps the network's.
        blocks: Blocks of a GhostNet encoder to remove: `0.0` is stage 0, block 0. Each must have
            an identity shortcut.
        se: Whether squeeze-and-excitation stays.
        attention: Whether attention stays, in ghost modules as well.
    """

    method: Literal["drop_blocks"] = "drop_blocks"
    levels: int | None = pydantic.Field(default=None, ge=1, le=4)
    upsample: Literal[1, 2, 4] | None = pydantic.Field(
        default=None, validation_alias=AliasChoices("upsample", "enlarge")
    )
    blocks: tuple[str, ...] = ()
    se: bool = pydantic.Field(default=True, validation_alias=AliasChoices("se", "gates"))
    attention: bool = True


def apply(checkpoint: Checkpoint, config: DropBlocksConfig, work: Work) -> Compressed:
    """Builds the smaller network; parts that both networks have keep their weights.

    Raises:
        UserError: Nothing would be removed, or a part cannot be removed.
    """
    refuse_stream(checkpoint.config, "drop_blocks")
    network = drop_blocks(checkpoint.network, config)
    before, after = (sum(row.macs for row in layer_costs(n)) for n in (checkpoint.network, network))
    work.log(f"blocks removed: {after / before:.1%} of the MACs left")
    return Compressed(network, {"macs_before": before, "macs_after": after})


@torch.no_grad()
def drop_blocks(network: DepthNet, config: DropBlocksConfig) -> DepthNet:
    """A network without the removed parts.

    Args:
        network: Network to shrink; it is not changed.
        config: Which parts stay. The seed initializes a head whose input channels change. A head
            with the same input channels repeats its single filter for each of its pixels, so that
            the depth map is the former one, upsampled by nearest neighbour.

    Raises:
        UserError: The network has fewer levels, `upsample` is too large, a block cannot be
            removed, or nothing would change.
    """
    rename = _renaming(network, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        smaller = DepthNet(_smaller(network.config, config, rename))
    state, old = smaller.state_dict(), network.state_dict()
    for name, value in old.items():
        new = rename(name)
        if new in state and state[new].shape == value.shape:
            state[new] = value
    if network.head.out_channels == 1 and smaller.head.in_channels == network.head.in_channels:
        for name in ("head.weight", "head.bias"):
            state[name] = old[name].expand_as(state[name])
    smaller.load_state_dict(state)
    return smaller.eval()


def _smaller(network: NetworkConfig, config: DropBlocksConfig, rename: _Rename) -> NetworkConfig:
    value: dict[str, Any] = network.model_dump()
    widths = value["decoder"]["widths"]
    levels = config.levels or len(widths)
    if levels > len(widths):
        raise UserError(f"drop_blocks: the network has {len(widths)} decoder levels, not {levels}")
    upsample = config.upsample or network.decoder.upsample
    value["decoder"] |= {"widths": widths[:levels], "upsample": upsample}
    encoder = value["encoder"]
    if isinstance(network.encoder, EncoderConfig):
        encoder["stages"] = [
            [block for j, block in enumerate(stage) if f"{i}.{j}" not in config.blocks]
            for i, stage in enumerate(encoder["stages"])
        ]
        for block in (block for stage in encoder["stages"] for block in stage):
            block["se"] = block["se"] if config.se else 0
            block["dfc"] = block["dfc"] and config.attention
        if not config.attention:
            encoder["attention"] = ()
    if not config.attention:
        value["decoder"]["attention"] = ()
    value["adder"] = [new for name in network.adder if (new := rename(name))]
    result = parse_config(NetworkConfig, value, "drop_blocks")
    if result == network:
        raise UserError(
            "drop_blocks: nothing would be removed; set levels, upsample, blocks, se or attention"
        )
    return result


def _renaming(network: DepthNet, config: DropBlocksConfig) -> _Rename:
    """The function from names of the network to names of the smaller one."""
    removable = _residual_blocks(network.encoder)
    for name in config.blocks:
        if name not in removable:
            raise UserError(
                f"drop_blocks: block {name!r} cannot be removed; these can: "
                f"{', '.join(removable) or 'none, as the encoder is no GhostNet'}"
            )
    stages = getattr(network.config.encoder, "stages", ())
    kept = [
        [j for j in range(len(stage)) if f"{i}.{j}" not in config.blocks]
        for i, stage in enumerate(stages)
    ]

    def rename(name: str) -> str | None:
        parts = name.split(".")
        if name.startswith("encoder.blocks."):
            stage, block = kept[int(parts[2])], int(parts[3])
            if block not in stage:
                return None
            parts[3] = str(stage.index(block))
        if not config.attention and ("attention" in parts or "short_conv" in parts):
            return None
        if name.startswith("decoder.") and config.levels and int(parts[1]) >= config.levels:
            return None
        return ".".join(parts)

    return rename


def _residual_blocks(encoder: nn.Module) -> list[str]:
    """Names of the blocks with an identity shortcut."""
    return [
        name.removeprefix("blocks.")
        for name, block in encoder.named_modules()
        if isinstance(block, GhostBottleneck) and isinstance(block.shortcut, nn.Identity)
    ]
