"""The prunable channels of a depth network and the dependencies between them.

An `Axis` is one width of the network's config. Its units are what can be removed one by one: a
primary channel of a ghost module with its cheap channel, or a channel of another block, in all
blocks that residual sums couple, or a plain channel of the stem, of squeeze-and-excitation, of
attention's feed-forward part or of the decoder. Attention keeps its heads and their channels. The
channels of other layers that depend on a unit come from torch-pruning's dependency graph (Fang et
al., "DepGraph: Towards Any Structural Pruning", CVPR 2023), which also removes them.
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
from numpy.typing import NDArray
from torch import nn

from ghostdepth_train.config import require_encoder
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.roots import PRUNABLE, find_roots, pruned_config


@dataclass(frozen=True)
class Slice:
    """Some channels of one layer.

    Attributes:
        module: Name of the layer.
        side: Whether they are output or input channels; a depthwise convolution and a norm have
            output channels only.
        indices: Indices of the channels.
    """

    module: str
    side: Literal["out", "in"]
    indices: tuple[int, ...]


Unit = tuple[Slice, ...]


@dataclass(frozen=True)
class Axis:
    """One width of the config.

    Attributes:
        name: Path in the config, like `encoder.stages.3.0.mid`.
        channels: Number of channels of one unit: 2 in a ghost module, else 1.
        parts: For each independent layer with this width, its name and its units. A decoder level
            has two parts: input and output of its refinement. The same number of units is removed
            from both, but not the same units.
    """

    name: str
    channels: int
    parts: tuple[tuple[str, tuple[Unit, ...]], ...]

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.parts[0][1])

    @property
    def width(self) -> int:
        """Number of channels, as in the config."""
        return self.units * self.channels


Keep = Mapping[str, Sequence[Sequence[int]]]


def find_axes(network: DepthNet) -> list[Axis]:
    """Every width of the config, in the network's order.

    Raises:
        UserError: The encoder is neither GhostNet nor EfficientNet-Lite, or a ghost module has an
            odd width.
    """
    graph = _graph(network)
    names = {module: name for name, module in network.named_modules()}
    axes = []
    for name, layers, ghost in find_roots(network):
        parts = []
        for layer in layers:
            parts.append((layer, _units(graph, network.get_submodule(layer), names)))
        axes.append(Axis(name, 2 if ghost else 1, tuple(parts)))
    return axes


def best_units(
    axis: Axis, count: int, scores: Mapping[str, Sequence[NDArray[np.float64]]]
) -> list[list[int]]:
    """The `count` units with the highest scores of each part of an axis, in ascending order."""
    return [sorted(np.argsort(-part, kind="stable")[:count].tolist()) for part in scores[axis.name]]


def prune_channels(network: DepthNet, axes: Sequence[Axis], keep: Keep) -> DepthNet:
    """A smaller network with a config of its own.

    Args:
        network: Network to prune; it is not changed.
        axes: Axes of the network, as `find_axes` returns them.
        keep: For each pruned axis, by name, and each of its parts: the units that stay, the same
            number in every part.

    Returns:
        The network that torch-pruning leaves, rebuilt from its config, in eval mode.
    """
    pruned = remove_channels(network, axes, keep)
    small = DepthNet(pruned_config(pruned)).to(next(network.parameters()).device)
    small.load_state_dict(pruned.state_dict())
    return small.eval()


def remove_channels(network: DepthNet, axes: Sequence[Axis], keep: Keep) -> DepthNet:
    """A copy pruned in place by torch-pruning; its `config` is still that of `network`."""
    pruned = copy.deepcopy(network).eval()
    graph = _graph(pruned)
    engine = _engine()
    for axis in axes:
        for (root, units), stay in zip(axis.parts, keep.get(axis.name, ()), strict=False):
            removed = sorted(set(range(len(units))) - set(stay))
            assert len(removed) < len(units), axis.name
            if removed:
                layer = pruned.get_submodule(root)
                group = graph.get_pruning_group(layer, engine.prune_conv_out_channels, idxs=removed)
                group.prune()
    return pruned


@functools.cache
def _engine() -> Any:
    with warnings.catch_warnings():
        # torch-pruning imports deprecated parts of torch.
        warnings.simplefilter("ignore")
        import torch_pruning
    return torch_pruning


def _graph(network: DepthNet) -> Any:
    require_encoder(network.config, "pruning", *PRUNABLE)
    device = next(network.parameters()).device
    # The graph is derived from autograd's, so gradients must be enabled; any input size works.
    with torch.enable_grad():
        example = torch.zeros(1, 3, 64, 64, device=device)
        return _engine().DependencyGraph().build_dependency(network, example_inputs=example)


def _units(graph: Any, layer: nn.Module, names: Mapping[nn.Module, str]) -> tuple[Unit, ...]:
    """The units of a layer's outputs.

    Querying the graph for each unit would take a hundred times as long. Sums and concatenations
    only shift channels, so every unit is the first one shifted; the last one is queried as a check.
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
