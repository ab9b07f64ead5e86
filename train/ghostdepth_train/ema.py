"""An exponential moving average of a network's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Ema:
    """Averages parameters and batch-norm statistics.

    Args:
        network: Averaged from its present state on.
        decay: Of the average; early steps use (1 + step) / (10 + step) where that is smaller, so
            that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        # The network's own tensors: loading and training change them in place.
        self._live = network.state_dict()
        self.shadow = {k: v.detach().clone() for k, v in self._live.items()}
        floating = [k for k, v in self._live.items() if v.is_floating_point()]
        self._counters = [k for k in self._live if k not in set(floating)]
        self._averages = [self.shadow[k] for k in floating]
        self._values = [self._live[k].detach() for k in floating]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after step `step` (counted from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averages, self._values, weight)
        for key in self._counters:
            self.shadow[key].copy_(self._live[key])

    def load(self, shadow: dict[str, Tensor]) -> None:
        """Goes on from a saved average."""
        for key, value in self.shadow.items():
            value.copy_(shadow[key])

    @contextlib.contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Lends the averaged weights to `network`; its own come back afterwards."""
        own = {k: v.detach().clone() for k, v in network.state_dict().items()}
        network.load_state_dict(self.shadow)
        try:
            yield
        finally:
            network.load_state_dict(own)
