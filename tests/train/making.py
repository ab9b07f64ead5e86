"""Networks that are built and trained quickly, their inputs, and random depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ghostdepth_train.checkpoint import read_tensors, save_checkpoint
from ghostdepth_train.compress import Work
from ghostdepth_train.config import NetworkConfig, TrainConfig, load_train_config
from ghostdepth_train.data import read_split
from ghostdepth_train.models.network import DepthNet
from torch import Tensor, nn

# Four blocks, for tests of what happens around a network.
SMALL = NetworkConfig.model_validate(
    {
        "input_height": 32,
        "input_width": 64,
        "encoder": {
            "stem": 8,
            "stages": [
                [{"kernel": 3, "mid": 16, "out": 8, "stride": 2, "se": se}] for se in (0, 4, 0, 4)
            ],
        },
        "decoder": {"widths": [8, 8]},
    }
)


class StopHere(Exception):  # noqa: N818
    """Ends a run in the middle."""


def stop_at(step: int) -> Callable[..., None]:
    """A callback for every step that ends the run after this many."""
    left = step

    def after_step(*_: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise StopHere

    return after_step


def same_tensors(a: Path, b: Path) -> None:
    """Fails unless both files hold the same tensors, to the bit."""
    first, second = read_tensors(a)[0], read_tensors(b)[0]
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=0, atol=0, msg=key)


def random_network(config: NetworkConfig) -> DepthNet:
    """In eval mode; no two channels share weights and running statistics."""
    torch.manual_seed(0)
    network = DepthNet(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(network.head.weight, std=0.1)
    return network.eval()


def saved(folder: Path, config: NetworkConfig = SMALL, seed: int = 0, **about: str) -> Path:
    """A checkpoint folder with random weights; `about` is its name and training data."""
    torch.manual_seed(seed)
    about = {"name": folder.name, "training_data": "", **about}
    save_checkpoint(folder, DepthNet(config).eval(), metrics={}, **about)
    return folder


def short_config(changes: dict[str, Any] | None = None) -> TrainConfig:
    """`tiny` with 10 of its 16 blocks: those that are left out repeat others in all but widths.

    Identity shortcuts stay, with and without squeeze-and-excitation and two widths in a row, and a
    shortcut that changes the width alone.
    """
    value = load_train_config("tiny", changes).model_dump()
    stages = value["network"]["encoder"]["stages"]
    keep = {6: (0, 3), 8: (1,)}
    value["network"]["encoder"]["stages"] = [
        [stage[j] for j in keep.get(i, range(len(stage)))] for i, stage in enumerate(stages)
    ]
    return TrainConfig.model_validate(value)


def work(data: Path, out: Path | str, **changes: Any) -> Work:
    """Work on a data folder that is written to a path, or to a name beside the data."""
    return Work(out=data.parent / out, split=read_split(data), workers=0, **changes)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def metres(seed: int, size: tuple[int, int] = (6, 8), count: int = 2) -> Tensor:
    """Depth maps of 1 to 5 m."""
    return torch.rand((count, 1, *size), generator=rng(seed)) * 4 + 1
