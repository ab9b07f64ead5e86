"""What a teacher says of a batch of photos."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ghostdepth_train.models.network import resize

Quantity = Literal["metric", "relative-inverse"]


@dataclass(frozen=True)
class Labels:
    """A teacher's depth.

    Attributes:
        values: Nx1xhxw float32, of the teacher's own size. Of a metric teacher ln(metres); of a
            relative one inverse depth of which scale and shift are unknown, larger = nearer.
        quantity: Which of the two.
        confidence: Nx1xhxw float32 in 0..1, 0 = nothing is known there; None = 1 everywhere.
        features: Of the teacher's encoder at stride 2, 4, 8, 16, 32 of its input; empty unless it
            is a network of ours.
    """

    values: Tensor
    quantity: Quantity
    confidence: Tensor | None = None
    features: tuple[Tensor, ...] = ()

    @property
    def log_depth(self) -> Tensor:
        """Nx1xhxw float32 ln(metres); only of metric labels."""
        assert self.quantity == "metric", "relative labels have no metres; see align_to"
        return self.values

    @property
    def weight(self) -> Tensor:
        """Nx1xhxw float32: the confidence, 1 where none was given."""
        return torch.ones_like(self.values) if self.confidence is None else self.confidence

    def resized(self, height: int, width: int) -> Labels:
        """The labels at another size, bilinear; pixels count by their confidence.

        Args:
            height: Of the result.
            width: Of the result.
        """
        if self.confidence is None:
            return dataclasses.replace(self, values=resize(self.values, height, width))
        confidence = resize(self.confidence, height, width)
        total = resize(self.values * self.confidence, height, width)
        values = total / confidence.clamp_min(1e-6)
        return dataclasses.replace(self, values=values, confidence=confidence)


def metric_labels(metres: Tensor, features: tuple[Tensor, ...] = ()) -> Labels:
    """Labels from Nx1xhxw metres; what is no distance (0 or less) gets no confidence."""
    known = metres > 0
    values = torch.where(known, metres, 1.0).log()
    return Labels(values, "metric", None if bool(known.all()) else known.float(), features)
