"""What can be pruned of a GhostNet depth network, and what goes with it.

An `Axis` is one width of the network's config. Its units are what can be removed one by one: a
primary channel of a ghost module with its cheap channel, in all blocks that one chain of sums
holds together, or a plain channel of the stem, a gate or the decoder. What a unit takes with it is
read off torch-pruning's dependency graph (Fang et al., "DepGraph: Towards Any Structural Pruning",
CVPR 2023), which also does the cutting.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from bench_depth.core.errors import UserError
from numpy.typing import NDArray
from torch import nn

from ghostdepth_train.config import NetworkConfig, require_ghostnet
from ghostdepth_train.models.network import DepthNet


@dataclass(frozen=True)
class Slice:
    """Channels of one layer.

    Attributes:
        module: The layer's name.
        side: Whether they come out of it (a depthwise convolution and a norm have only these) or
            go into it.
        indices: Which.
    """

    module: str
    side: Literal["out", "in"]
    indices: tuple[int, ...]


Unit = tuple[Slice, ...]


@dataclass(frozen=True)
class Axis:
    """One width of the config.

    Attributes:
        name: Where it stands in the config, like `encoder.stages.3.0.mid`.
        channels: Of one unit: 2 in a ghost module, else 1.
        parts: For each layer that the width belongs to, its name and its units. A decoder level
            has two: what goes into its refinement and what comes out. As many units are removed
            from one as from the other, but not the same.
    """

    name: str
    channels: int
    parts: tuple[tuple[str, tuple[Unit, ...]], ...]

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.parts[0][1])

    @property
    def width(self) -> int:
        """As the config says it."""
        return self.units * self.channels


Keep = Mapping[str, Sequence[Sequence[int]]]


def find_axes(network: DepthNet) -> list[Axis]:
    """Every width of the config, in the network's order.

    Raises:
        UserError: The encoder is a library's, or a ghost module has an odd width.
    """
    graph = _graph(network)
    names = {module: name for name, module in network.named_modules()}
    axes = []
    for name, roots, ghost in _roots(network):
        parts = []
        for root in roots:
            parts.append((root, _units(graph, network.get_submodule(root), names)))
        axes.append(Axis(name, 2 if ghost else 1, tuple(parts)))
    return axes


def best_units(
    axis: Axis, count: int, scores: Mapping[str, Sequence[NDArray[np.float64]]]
) -> list[list[int]]:
    """For each part of an axis its `count` units with the highest scores, in their order."""
    return [sorted(np.argsort(-part, kind="stable")[:count].tolist()) for part in scores[axis.name]]


def prune_channels(network: DepthNet, axes: Sequence[Axis], keep: Keep) -> DepthNet:
    """A smaller network whose config is plain numbers.

    Args:
        network: Is not changed.
        axes: Of `find_axes(network)`.
        keep: For each axis that loses something, by name: for each of its parts the units that
            stay, as many in one part as in the other.

    Returns:
        The network that torch-pruning cuts, built anew from its config, in eval mode.
    """
    cut = cut_channels(network, axes, keep)
    small = DepthNet(pruned_config(cut)).to(next(network.parameters()).device)
    small.load_state_dict(cut.state_dict())
    return small.eval()


def cut_channels(network: DepthNet, axes: Sequence[Axis], keep: Keep) -> DepthNet:
    """A copy that torch-pruning has cut; its `config` is still the old one."""
    cut = copy.deepcopy(network).eval()
    graph = _graph(cut)
    engine = _engine()
    for axis in axes:
        for (root, units), stay in zip(axis.parts, keep.get(axis.name, ()), strict=False):
            gone = sorted(set(range(len(units))) - set(stay))
            assert len(gone) < len(units), axis.name
            if gone:
                layer = cut.get_submodule(root)
                graph.get_pruning_group(layer, engine.prune_conv_out_channels, idxs=gone).prune()
    return cut


def pruned_config(network: DepthNet) -> NetworkConfig:
    """The config whose widths are those that the network's layers have now."""
    value = network.config.model_dump()
    module: Any = network.get_submodule
    encoder = value["encoder"]
    width = encoder["stem"] = module("encoder.conv_stem").out_channels
    for i, stage in enumerate(encoder["stages"]):
        for j, block in enumerate(stage):
            here = f"encoder.blocks.{i}.{j}"
            block["mid"] = 2 * module(f"{here}.ghost1.primary_conv.0").out_channels
            block["out"] = 2 * module(f"{here}.ghost2.primary_conv.0").out_channels
            if block["se"]:
                block["se"] = module(f"{here}.se.conv_reduce").out_channels
            meets = block["stride"] == 1 and width == block["out"]
            is_conv = not isinstance(module(f"{here}.shortcut"), nn.Identity)
            block["conv_shortcut"] = meets and is_conv
            width = block["out"]
    levels = range(len(value["decoder"]["widths"]))
    value["decoder"]["widths"] = [module(f"decoder.{i}.narrow.0").out_channels for i in levels]
    return NetworkConfig.model_validate(value)


def _roots(network: DepthNet) -> list[tuple[str, list[str], bool]]:
    """For each axis: its name, the layers whose outputs are its units, whether they are ghosts."""
    found: list[tuple[str, list[str], bool]] = [("encoder.stem", ["encoder.conv_stem"], False)]
    # Where the sum's chain that a block continues began.
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
            found.append((f"{there}.mid", [f"{here}.ghost1.primary_conv.0"], True))
            root = [f"{here}.ghost2.primary_conv.0"]
            if isinstance(network.get_submodule(f"{here}.shortcut"), nn.Identity):
                # The sum ties the block to what comes in; a ghost module decides what is a unit.
                found[chain] = (found[chain][0], root, True)
            else:
                found.append((f"{there}.out", root, True))
                chain = len(found) - 1
            if block.se:
                found.append((f"{there}.se", [f"{here}.se.conv_reduce"], False))
    for i in range(len(network.decoder)):
        roots = [f"decoder.{i}.narrow.0", f"decoder.{i}.pointwise.0"]
        found.append((f"decoder.widths.{i}", roots, False))
    return found


@functools.cache
def _engine() -> Any:
    with warnings.catch_warnings():
        # torch-pruning imports parts of torch that have been moved.
        warnings.simplefilter("ignore")
        import torch_pruning
    return torch_pruning


def _graph(network: DepthNet) -> Any:
    require_ghostnet(network.config, "pruning")
    device = next(network.parameters()).device
    # The graph is read off autograd's, so its gradients must be on; any size will do.
    with torch.enable_grad():
        example = torch.zeros(1, 3, 64, 64, device=device)
        return _engine().DependencyGraph().build_dependency(network, example_inputs=example)


def _units(graph: Any, layer: nn.Module, names: Mapping[nn.Module, str]) -> tuple[Unit, ...]:
    """The units of a layer's outputs.

    Asking the graph for each would take a hundred times as long. Sums and concatenations only shift
    channels, so every unit is the first one moved; the last one is asked for, to be sure.
    """
    assert isinstance(layer, nn.Conv2d)
    first, last = (_unit(graph, layer, index, names) for index in (0, layer.out_channels - 1))
    units = tuple(
        tuple(Slice(s.module, s.side, tuple(i + by for i in s.indices)) for s in first)
        for by in range(layer.out_channels)
    )
    assert set(units[-1]) == set(last), f"{names[layer]}: channels are not only shifted"
    return units


def _unit(graph: Any, layer: nn.Conv2d, index: int, names: Mapping[nn.Module, str]) -> Unit:
    engine = _engine()
    group = graph.get_pruning_group(layer, engine.prune_conv_out_channels, idxs=[index])
    slices: dict[tuple[str, Literal["out", "in"]], set[int]] = {}
    for dependency, indices in group:
        name = names.get(dependency.target.module)
        if name is not None:
            side: Literal["out", "in"] = "out" if _comes_out(graph, dependency) else "in"
            slices.setdefault((name, side), set()).update(int(i) for i in indices)
    return tuple(Slice(name, side, tuple(sorted(i))) for (name, side), i in slices.items())


def _comes_out(graph: Any, dependency: Any) -> bool:
    return bool(graph.is_out_channel_pruning_fn(dependency.handler))
