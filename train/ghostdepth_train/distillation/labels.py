"""The depth that a teacher predicts for a batch of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from ghostdepth_train.models.network import resize

Quantity = Literal["metric", "relative-inverse"]
T = TypeVar("T")


@dataclass(frozen=True)
class TeacherLabels:
    """A teacher's depth.

    Attributes:
        values: Nx1xhxw float32, of the teacher's own size: ln(metres) of a metric teacher, inverse
            depth of unknown scale and shift (larger is nearer) of a relative one.
        quantity: Whether `values` are metric or relative.
        confidence: Nx1xhxw float32 in 0..1, 0 for unknown depth; None for 1 everywhere.
        features: Maps of the teacher's encoder, NxCxhxw float32 each, by the stride of the
            student's maps that they teach; empty where the teacher has none.
    """

    values: Tensor
    quantity: Quantity
    confidence: Tensor | None = None
    features: Mapping[int, Tensor] = dataclasses.field(default_factory=dict)

    @property
    def log_depth(self) -> Tensor:
        """Nx1xhxw float32 ln(metres), for metric labels only."""
        assert self.quantity == "metric", "relative labels have no metres; see align_to"
        return self.values

    @property
    def weight(self) -> Tensor:
        """Nx1xhxw float32: the confidence, or ones."""
        return torch.ones_like(self.values) if self.confidence is None else self.confidence

    def resized(self, height: int, width: int) -> TeacherLabels:
        """The labels at another size, bilinear and weighted by the confidence.

        Args:
            height: Rows of the result.
            width: Columns of the result.
        """
        if self.confidence is None:
            return dataclasses.replace(self, values=resize(self.values, height, width))
        confidence = resize(self.confidence, height, width)
        total = resize(self.values * self.confidence, height, width)
        values = total / confidence.clamp_min(1e-6)
        return dataclasses.replace(self, values=values, confidence=confidence)


def by_stride(maps: Sequence[T]) -> dict[int, T]:
    """Something for each map of an encoder of this project, finest first -> by stride 2, 4, ..."""
    return {2 << index: each for index, each in enumerate(maps)}


def metric_labels(metres: Tensor, features: Mapping[int, Tensor] | None = None) -> TeacherLabels:
    """Labels from Nx1xhxw metres; values of at most 0 get confidence 0."""
    known = metres > 0
    values = torch.where(known, metres, 1.0).log()
    return TeacherLabels(
        values, "metric", None if bool(known.all()) else known.float(), features or {}
    )
