"""AdderNet: Do We Really Need Multiplications in Deep Learning? (Chen et al., CVPR 2020).

An adder convolution answers with the negative L1 distance between the input's patch and each
filter (the paper's eq. 2), `Y[t] = -sum |X - F[t]|`. Its gradients are not those of that formula:

- of a weight: `X - F` instead of its sign (eq. 5);
- of an input: `HT(F - X)` (eq. 6), HT = clamp to [-1, 1] (eq. 7).

Patches are never unfolded: the kernel's taps are taken one after the other. A batch norm must
follow, for the answers are all negative and as large as the patch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.models.ghostnet import SameConv2d, same_pads

# Numbers of an input that are worked on at once: what stays in a core's cache.
_BLOCK = 1 << 17
# The paper has 0.1 with rates that start at 0.1; ours are those of AdamW, a hundredth of that.
ETA = 10.0


class AdderConv2d(nn.Conv2d):
    """A drop-in for a bias-free convolution, dense or depthwise, that only adds.

    Args:
        channels: Number of input channels.
        out: Number of output channels.
        kernel: Height and width of the kernel.
        stride: Stride along both axes.
        groups: Number of groups: 1, or `channels` with `out == channels`.
        same: Whether the input is padded as by TensorFlow's SAME instead of by half the kernel on
            each side.

    Attributes:
        eta: Factor of the local learning rate, see `AdderAdamW`.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        same: bool = False,
    ) -> None:
        assert groups == 1 or groups == channels == out
        super().__init__(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.same, self.eta = same, ETA

    @classmethod
    def like(cls, conv: nn.Conv2d) -> AdderConv2d:
        """An adder of the same shape, with weights of its own."""
        same = isinstance(conv, SameConv2d)
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        return cls(conv.in_channels, conv.out_channels, kernel, stride, conv.groups, same=same)

    def reset_parameters(self) -> None:
        """Draws the filters as batch norm leaves pictures: with mean 0 and deviation 1."""
        nn.init.normal_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """NxCxHxW -> NxC'xceil(H/s)xceil(W/s), float32 (float64 stays); all <= 0."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if self.same:
            (top, bottom), (left, right) = (same_pads(n, kernel, stride) for n in input.shape[-2:])
            pads = (left, right, top, bottom)
        else:
            pads = (kernel // 2,) * 4
        # Sums of hundreds of distances need more than bfloat16's three digits.
        with torch.autocast(input.device.type, enabled=False):
            input = input if input.dtype == torch.float64 else input.float()
            return cast(Tensor, _Adder.apply(input, self.weight, stride, pads))  # type: ignore[no-untyped-call]


class _Adder(torch.autograd.Function):
    """Keeps the input and the weights for the way back, nothing else."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, pads: tuple[int, int, int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.pads = stride, pads
        forward = _dense if weight.shape[1] == x.shape[1] else _depthwise
        return forward(_pad(x, pads), weight, stride)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        padded = _pad(x, ctx.pads)
        grad_x = torch.zeros_like(padded) if ctx.needs_input_grad[0] else None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        backward = _dense_back if weight.shape[1] == x.shape[1] else _depthwise_back
        backward(padded, weight, ctx.stride, outputs[0], grad_x, grad_weight)
        if grad_x is not None:
            left, _, top, _ = ctx.pads
            grad_x = grad_x[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return grad_x, grad_weight, None, None


def _pad(x: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    return F.pad(x, pads) if any(pads) else x


def _places(weight: Tensor) -> Iterator[tuple[int, int]]:
    """The places of a kernel: row and column."""
    return itertools.product(range(weight.shape[2]), range(weight.shape[3]))


def _tap(x: Tensor, weight: Tensor, stride: int, i: int, j: int) -> Tensor:
    """The view of `x`, padded, that the kernel's place (i, j) meets."""
    h, w = (
        (n - k) // stride * stride + 1 for n, k in zip(x.shape[-2:], weight.shape[-2:], strict=True)
    )
    return x[:, :, i : i + h : stride, j : j + w : stride]


def _pixels(x: Tensor) -> Tensor:
    """NxCxHxW -> (N H W)xC; a view where the memory is channels last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _negative_sum(
    x: Tensor, weight: Tensor, stride: int, distance: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Minus the sum of the taps' distances from the weights at their place."""
    parts = (
        distance(_tap(x, weight, stride, i, j), weight[:, :, i, j]) for i, j in _places(weight)
    )
    total = next(parts)
    for part in parts:
        total.add_(part)
    return total.neg_()


def _dense(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    def distance(tap: Tensor, filters: Tensor) -> Tensor:
        n, _, h, w = tap.shape
        return torch.cdist(_pixels(tap), filters, p=1).view(n, h, w, -1).permute(0, 3, 1, 2)

    return _negative_sum(x, weight, stride, distance)


def _dense_back(
    x: Tensor,
    weight: Tensor,
    stride: int,
    output: Tensor,
    grad_x: Tensor | None,
    grad_weight: Tensor | None,
) -> None:
    g = _pixels(output)
    for i, j in _places(weight):
        tap = _tap(x, weight, stride, i, j)
        filters, pixels = weight[:, :, i, j], _pixels(tap)
        if grad_weight is not None:
            # sum_p g (X - F), of which the second part does not depend on the pixel.
            grad_weight[:, :, i, j] = g.T @ pixels - g.sum(0)[:, None] * filters
        if grad_x is not None:
            n, _, h, w = tap.shape
            back = _input_gradient(pixels, filters, g).view(n, h, w, -1).permute(0, 3, 1, 2)
            _tap(grad_x, weight, stride, i, j).add_(back)


def _input_gradient(pixels: Tensor, filters: Tensor, g: Tensor) -> Tensor:
    """sum_t g[p, t] HT(F[t] - X[p]): pixels PxC, filters TxC, g PxT -> PxC.

    The loop is over pixels or over filters, whichever are fewer, so that little more memory is
    needed than for one input or one set of weights.
    """
    result = torch.zeros_like(pixels)
    if len(pixels) < len(filters):
        scratch = torch.empty_like(filters)
        for pixel, share, row in zip(pixels, g, result, strict=True):
            torch.mv(torch.sub(filters, pixel, out=scratch).clamp_(-1, 1).T, share, out=row)
        return result
    rows = max(1, _BLOCK // pixels.shape[1])
    for part, share, total in zip(
        *(torch.split(t, rows) for t in (pixels, g, result)), strict=True
    ):
        scratch = torch.empty_like(part)
        for index, one in enumerate(filters):
            torch.sub(one, part, out=scratch).clamp_(-1, 1)
            total.addcmul_(scratch, share[:, index, None])
    return result


def _depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    def distance(tap: Tensor, filters: Tensor) -> Tensor:
        return (tap - filters.view(1, -1, 1, 1)).abs_()

    return _negative_sum(x, weight, stride, distance)


def _depthwise_back(
    x: Tensor,
    weight: Tensor,
    stride: int,
    output: Tensor,
    grad_x: Tensor | None,
    grad_weight: Tensor | None,
) -> None:
    for i, j in _places(weight):
        tap = _tap(x, weight, stride, i, j)
        difference = tap - weight[:, 0, i, j].view(1, -1, 1, 1)
        if grad_weight is not None:
            grad_weight[:, 0, i, j] = (difference * output).sum((0, 2, 3))
        if grad_x is not None:
            _tap(grad_x, weight, stride, i, j).addcmul_(difference.clamp_(-1, 1), output, value=-1)


class AdderAdamW(torch.optim.AdamW):
    """AdamW, but for adders, whose groups carry `eta`: the paper's section 3.3, with momentum.

    Each layer's gradient G is scaled to a common size: with k weights in the layer and the
    learning rate gamma a step is `gamma * eta * sqrt(k) / ||G||_2 * G`, that is
    gamma * eta in the mean square. AdamW, which scales every weight by itself, would undo this.
    """

    MOMENTUM = 0.9

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; adders' gradients are used up by it."""
        for group in self.param_groups:
            for weight in group["params"] if "eta" in group else ():
                if weight.grad is not None:
                    self._adder_step(weight, group)
        return super().step(closure)

    def _adder_step(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        # A layer that nothing reaches (its ReLU is dead) has no direction.
        norm = weight.grad.norm().clamp_min(1e-12)  # type: ignore[union-attr]
        scale = group["eta"] * weight.numel() ** 0.5 / norm
        state["exp_avg"].mul_(self.MOMENTUM).add_(weight.grad * scale)
        weight.sub_(state["exp_avg"], alpha=group["lr"])
        weight.grad = None  # AdamW leaves it alone then


def adders(network: nn.Module) -> list[AdderConv2d]:
    """The adders of a network."""
    return [module for module in network.modules() if isinstance(module, AdderConv2d)]


def others(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that are no adder's weights."""
    own = {id(adder.weight) for adder in adders(network)}
    return [parameter for parameter in network.parameters() if id(parameter) not in own]


def adder_candidates(network: nn.Module) -> dict[str, nn.Conv2d]:
    """The convolutions that are adders or could be, by name, in the network's order.

    As in the paper not the first and not the last, and only where a batch norm follows: in this
    project those are the ones without bias.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        and type(module) in (nn.Conv2d, SameConv2d, AdderConv2d)
        and module.bias is None
        and module.groups in (1, module.out_channels)
        and module.in_channels != 3
        and module.kernel_size[0] == module.kernel_size[1]
    }


def require_candidates(network: nn.Module, names: Iterable[str]) -> None:
    """Refuses names of what cannot be an adder.

    Raises:
        UserError: A name is not one of `adder_candidates`.
    """
    candidates = adder_candidates(network)
    for name in names:
        if name not in candidates:
            raise UserError(
                f"adder: the network has no convolution {name!r} that can be an adder; possible "
                "are those that a batch norm follows, but not the first, e.g. "
                f"{next(iter(candidates), None)}; `ghostdepth summary` lists them"
            )


def use_adders(network: nn.Module, names: Iterable[str]) -> None:
    """Puts adders with new weights in the place of convolutions.

    Raises:
        UserError: A name is not one of `adder_candidates`.
    """
    names = list(names)
    require_candidates(network, names)
    candidates = adder_candidates(network)
    for name in names:
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, AdderConv2d.like(candidates[name]))
