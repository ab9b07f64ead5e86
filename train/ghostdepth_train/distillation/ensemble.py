"""Several teachers as one: their mean, and less confidence where they disagree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from bench_depth.core.errors import UserError
from torch import Tensor

from ghostdepth_train.distillation.labels import TeacherLabels
from ghostdepth_train.distillation.relative import align_to
from ghostdepth_train.distillation.teacher import Teacher

# Standard deviation of log depth over the teachers at which the confidence is 1 / e: about the
# error of a good network.
DISAGREEMENT_SCALE = 0.2


class Ensemble(Teacher):
    """The mean of log depth, with confidence exp(-spread / DISAGREEMENT_SCALE).

    The spread is the standard deviation over the teachers. Relative teachers are aligned to the
    mean of the metric ones first. Sizes may differ: labels are of the largest.

    Args:
        members: The teachers, at least two.

    Raises:
        UserError: None of them gives metres.
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        self.name = " + ".join(member.name for member in members)
        self.identity = " + ".join(member.identity for member in members)
        self.quantity = "metric"
        sizes = [member.size for member in members if member.size is not None]
        self.size = max(sizes, key=math.prod, default=None)
        self.warnings = dict(line for member in members for line in member.warnings.items())
        self.metric = [member for member in members if member.quantity == "metric"]
        self.relative = [member for member in members if member.quantity != "metric"]
        if not self.metric:
            raise UserError(
                f"none of the teachers {self.name} gives metres, so their mean has no scale; "
                "add a metric one"
            )

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> TeacherLabels:
        """See `Teacher`."""
        labels = [member(rgb) for member in self.metric]
        if self.relative:
            middle = _mean(labels)
            metres = torch.where(middle.weight > 0, middle.log_depth.exp(), 0.0)
            labels += [align_to(member(rgb), metres) for member in self.relative]
        return _mean(labels)


def _mean(labels: Sequence[TeacherLabels]) -> TeacherLabels:
    size = max((tuple(one.values.shape[-2:]) for one in labels), key=lambda hw: hw[0] * hw[1])
    labels = [one.resized(*size) for one in labels]
    values = torch.stack([one.log_depth for one in labels])
    weights = torch.stack([one.weight for one in labels])
    total = weights.sum(0).clamp_min(1e-6)
    mean = (weights * values).sum(0) / total
    spread = ((weights * (values - mean) ** 2).sum(0) / total).sqrt()
    return TeacherLabels(mean, "metric", (-spread / DISAGREEMENT_SCALE).exp() * weights.mean(0))
