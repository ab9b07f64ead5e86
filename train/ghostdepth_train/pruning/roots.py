"""Where the widths of a network's config are in its layers: from the config, and back to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench_depth.core.errors import UserError
from torch import nn

from ghostdepth_train.config import LiteEncoderConfig, NetworkConfig
from ghostdepth_train.models.encoders import adds_input, expands
from ghostdepth_train.models.network import DepthNet

# Kinds of encoders whose widths a config can spell out.
PRUNABLE = ("ghostnet", "efficientnet-lite")


class Root(NamedTuple):
    """One width of the config.

    Attributes:
        name: Path in the config, like `encoder.stages.3.0.mid`.
        layers: Names of the independent layers whose output channels it counts.
        ghost: Whether they are ghost modules, whose primary channels are half of the width.
    """

    name: str
    layers: list[str]
    ghost: bool = False


def find_roots(network: DepthNet) -> list[Root]:
    """Every width of the config, in the network's order.

    Widths that residual sums hold equal are one, named as the first of them.

    Raises:
        UserError: A ghost module has an odd width.
    """
    lite = isinstance(network.config.encoder, LiteEncoderConfig)
    found = _lite_roots(network) if lite else _ghost_roots(network)
    for i in range(len(network.decoder)):
        layers = [f"decoder.{i}.narrow.0", f"decoder.{i}.pointwise.0"]
        found.append(Root(f"decoder.widths.{i}", layers))
    for path, i, name in _feed_forwards(network):
        found.append(Root(f"{path}.attention.{i}.feed_forward", [name]))
    return found


def pruned_config(network: DepthNet) -> NetworkConfig:
    """The config with the widths of the network's layers."""
    value = network.config.model_dump()
    module: Any = network.get_submodule
    if isinstance(network.config.encoder, LiteEncoderConfig):
        net = module("encoder.net")
        value["encoder"]["stem"] = net._conv_stem.out_channels
        value["encoder"]["widths"] = [
            {"mid": block._depthwise_conv.out_channels, "out": block._project_conv.out_channels}
            for block in net._blocks
        ]
    else:
        _ghost_widths(network, value["encoder"])
    for path, i, name in _feed_forwards(network):
        value[path]["attention"][i]["feed_forward"] = module(name).out_channels
    levels = range(len(value["decoder"]["widths"]))
    value["decoder"]["widths"] = [module(f"decoder.{i}.narrow.0").out_channels for i in levels]
    return NetworkConfig.model_validate(value)


def _ghost_roots(network: DepthNet) -> list[Root]:
    found = [Root("encoder.stem", ["encoder.conv_stem"])]
    # Index of the root at which the current chain of residual sums began.
    chain = 0
    for i, stage in enumerate(network.config.encoder.stages):  # type: ignore[union-attr]
        for j, block in enumerate(stage):
            here, there = f"encoder.blocks.{i}.{j}", f"encoder.stages.{i}.{j}"
            for field in ("mid", "out"):
                if getattr(block, field) % 2:
                    raise UserError(
                        f"{there}.{field} is {getattr(block, field)}; pruning removes a ghost "
                        "module's channels in pairs and needs even widths"
                    )
            found.append(Root(f"{there}.mid", [f"{here}.ghost1.primary_conv.0"], ghost=True))
            layers = [f"{here}.ghost2.primary_conv.0"]
            if isinstance(network.get_submodule(f"{here}.shortcut"), nn.Identity):
                # The sum couples the block's output to its input; the ghost module defines units.
                found[chain] = Root(found[chain].name, layers, ghost=True)
            else:
                found.append(Root(f"{there}.out", layers, ghost=True))
                chain = len(found) - 1
            if block.se:
                found.append(Root(f"{there}.se", [f"{here}.se.conv_reduce"]))
    return found


def _ghost_widths(network: DepthNet, encoder: dict[str, Any]) -> None:
    module: Any = network.get_submodule
    width = encoder["stem"] = module("encoder.conv_stem").out_channels
    for i, stage in enumerate(encoder["stages"]):
        for j, block in enumerate(stage):
            here = f"encoder.blocks.{i}.{j}"
            block["mid"] = 2 * module(f"{here}.ghost1.primary_conv.0").out_channels
            block["out"] = 2 * module(f"{here}.ghost2.primary_conv.0").out_channels
            if block["se"]:
                block["se"] = module(f"{here}.se.conv_reduce").out_channels
            same_shape = block["stride"] == 1 and width == block["out"]
            is_conv = not isinstance(module(f"{here}.shortcut"), nn.Identity)
            block["conv_shortcut"] = same_shape and is_conv
            width = block["out"]


def _lite_roots(network: DepthNet) -> list[Root]:
    found = [Root("encoder.stem", ["encoder.net._conv_stem"])]
    for i, block in enumerate(network.get_submodule("encoder.net._blocks").children()):
        here, there = f"encoder.net._blocks.{i}", f"encoder.widths.{i}"
        if expands(block):
            found.append(Root(f"{there}.mid", [f"{here}._expand_conv"]))
        # Else its output is coupled to its input.
        if not adds_input(block):
            found.append(Root(f"{there}.out", [f"{here}._project_conv"]))
    return found


def _feed_forwards(network: DepthNet) -> Iterator[tuple[str, int, str]]:
    """Attention with a feed-forward part: where in the config, and its layer to the inner width."""
    places = (
        ("encoder", getattr(network.encoder, "attention", ()), "encoder.attention"),
        ("decoder", network.attention, "attention"),
    )
    for path, blocks, name in places:
        for i, block in enumerate(blocks):
            if block.feed_forward is not None:
                yield path, i, f"{name}.{i}.feed_forward.0"
