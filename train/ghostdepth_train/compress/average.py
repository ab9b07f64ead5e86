"""The mean of the weights of two networks that have a common start.

Networks trained further from one start, each on other pictures, are joined by a line in weight
space on which the error does not rise: a point of it keeps most of what each has learned, and is
one network (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022; "Model soups",
ICML 2022). Statistics of batch norms are averaged as weights are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pydantic
from bench_depth.core.errors import UserError
from torch import Tensor

from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work, copy_of
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.evaluate import evaluate


class AverageConfig(Method):
    """Settings of the mean.

    Attributes:
        other: Checkpoint folder of the other network, of the same widths.
        weight: Weight of the other network, 0 to 1; the checkpoint's own is the rest.
    """

    method: Literal["average"] = "average"
    other: str
    weight: float = pydantic.Field(default=0.5, ge=0, le=1)

    def check(self, start: Checkpoint | None, work: Work) -> None:
        """Refuses another network that cannot be read, or is no match for `start`."""
        other = _other(self, work)
        if start is not None:
            _require_match(start, other, self.other)


def apply(checkpoint: Checkpoint, config: AverageConfig, work: Work) -> Compressed:
    """Averages the weights and evaluates the result.

    Raises:
        UserError: The other checkpoint cannot be read, or is another network.
    """
    other = _other(config, work)
    network = copy_of(checkpoint.network)
    _require_match(checkpoint, other, config.other)
    mine, its = network.state_dict(), other.network.state_dict()
    network.load_state_dict({k: _between(mine[k], its[k], config.weight) for k in mine})
    work.log("evaluating the mean")
    notes = {"other": f"{other.name} sha256:{other.sha256[:16]}"}
    return Compressed(network, notes | {"validation": evaluate(network, work.split.val).to_dict()})


def _other(config: AverageConfig, work: Work) -> Checkpoint:
    return work.once(("average", config.other), lambda: load_checkpoint(Path(config.other)))


def _require_match(start: Checkpoint, other: Checkpoint, folder: str) -> None:
    mine, its = start.network.state_dict(), other.network.state_dict()
    if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in its.items()}:
        raise UserError(
            f"average: {folder} is a network of other widths than {start.name}; both "
            "must have been trained from one start"
        )
    differing = _differing(start.network.config, other.network.config)
    if differing:
        raise UserError(
            f"average: {folder} and {start.name} differ in network.{differing[0]}, so "
            "their weights mean different things; both must have been trained from one start"
        )


def _differing(mine: NetworkConfig, its: NetworkConfig) -> list[str]:
    # A start's weights are used at any size; its camera may have become known since.
    free = {"input_height", "input_width", "border", "hfov"}
    a, b = (config.model_dump(exclude=free) for config in (mine, its))
    return [name for name in a if a[name] != b[name]]


def _between(a: Tensor, b: Tensor, weight: float) -> Tensor:
    # Counters of a batch norm are integers, which nothing reads after training.
    return a + weight * (b - a) if a.is_floating_point() else a
