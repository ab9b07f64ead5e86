"""What a network costs: parameters, multiply-accumulates and activations, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ghostdepth_train.models.adder_conv import AdderConv2d
from ghostdepth_train.models.attention import AttentionCore
from ghostdepth_train.models.network import DepthNet


@dataclass(frozen=True)
class LayerCost:
    """One layer that has weights, or the products of attention.

    Attributes:
        name: As in the network.
        kind: `conv 1x1`, `depthwise 3x3`, `adder 1x1`, `attention`, ...
        shape: CxHxW of its output.
        parameters: Trainable numbers, batch norm's included.
        macs: Multiply-accumulates for one image; of an adder the distances that it sums. Batch
            norm counts none: it is folded.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    parameters: int
    macs: int

    @property
    def activations(self) -> int:
        """Numbers in the output."""
        c, h, w = self.shape
        return c * h * w


def layer_costs(network: DepthNet) -> list[LayerCost]:
    """The cost of every convolution and attention for one image of the config's input size."""
    rows: list[LayerCost] = []
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            rows.append(_cost(name, module, output))

        handles.append(module.register_forward_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, AttentionCore)):
            watch(name, module)
    config = network.config
    parameter = next(network.parameters())
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, *config.input_size, device=parameter.device))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return _merge_norms(rows)


def _cost(name: str, module: nn.Module, output: Tensor) -> LayerCost:
    c, h, w = output.shape[1:]
    parameters = sum(p.numel() for p in module.parameters())
    if isinstance(module, AttentionCore):
        return LayerCost(name, "attention", (c, h, w), 0, module.macs(c, h, w))
    if not isinstance(module, nn.Conv2d):
        return LayerCost(name, "norm", (c, h, w), parameters, 0)
    kernel = f"{module.kernel_size[0]}x{module.kernel_size[1]}"
    kind = "depthwise" if module.groups > 1 else "conv"
    if isinstance(module, AdderConv2d):
        kind = f"adder {kind}" if module.groups > 1 else "adder"
    stride = f" /{module.stride[0]}" if module.stride[0] > 1 else ""
    macs = module.weight.numel() * h * w
    return LayerCost(name, f"{kind} {kernel}{stride}", (c, h, w), parameters, macs)


def _merge_norms(rows: list[LayerCost]) -> list[LayerCost]:
    """Adds each batch norm's parameters to the convolution before it."""
    merged: list[LayerCost] = []
    for row in rows:
        if row.kind == "norm":
            before = merged.pop()
            total = before.parameters + row.parameters
            row = LayerCost(before.name, before.kind, before.shape, total, before.macs)  # noqa: PLW2901
        merged.append(row)
    return merged
