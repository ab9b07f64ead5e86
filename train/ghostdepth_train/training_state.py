"""Everything that the next epoch of a training depends on, in one file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_depth.core.errors import UserError
from bench_depth.core.jsonable import build_from
from torch import Tensor, nn

from ghostdepth_train.checkpoint import read_tensors, write_tensors
from ghostdepth_train.config import TrainConfig, parse_config

# Names for messages of what must agree between a run and its resumption, beside the config.
_WHAT = {
    "world": "number of processes",
    "train_pairs": "number of pairs",
    "pretraining": "setting of the pretraining",
    "data": "dataset (other names or sizes of files)",
}


@dataclass(frozen=True)
class _Saved:
    """The note beside the tensors."""

    epoch: int
    history: list[dict[str, Any]]
    config: dict[str, Any]


def write_state(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    trained: nn.Module,
    note: Mapping[str, Any],
) -> None:
    """Writes the state in one piece.

    Args:
        path: Path of the file.
        modules: Modules whose parameters and buffers are saved, by name.
        optimizer: Optimizer of the parameters of `trained`.
        trained: Names the optimizer's parameters.
        note: JSON values `epoch`, the number of epochs done; `history`, the rows of the log; and
            `config`, the identity of the run.

    Raises:
        UserError: The file cannot be written.
    """
    tensors = {
        f"{kind}.{key}": value.cpu().contiguous()
        for kind, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for name, parameter in trained.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value.cpu().contiguous()
    write_tensors(path, tensors, dict(note))


def read_state(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    trained: nn.Module,
    identity: Mapping[str, Any],
) -> tuple[int, list[dict[str, Any]]]:
    """Reads a state into the modules and the optimizer, the arguments of `write_state`.

    Args:
        path: Path of the file.
        modules: Modules that are filled.
        optimizer: Optimizer that is filled.
        trained: Names the optimizer's parameters.
        identity: What must agree for a run to be the same run: the fields of its `TrainConfig`, and
            the keys of `_WHAT`.

    Returns:
        The number of epochs done, and the rows of the log.

    Raises:
        UserError: The file is damaged or of another run.
    """
    tensors, note = read_tensors(path)
    saved = build_from(_Saved, note, path)
    _require_same(saved, identity, path)
    groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        groups[kind][rest] = value
    for kind, module in modules.items():
        module.load_state_dict(groups[kind])
    for name, parameter in trained.named_parameters():
        state = optimizer.state[parameter]
        for key in ("step", "exp_avg", "exp_avg_sq"):
            found = groups["optimizer"].get(f"{key}.{name}")
            if found is None:  # a frozen parameter has none
                continue
            if key != "step":
                like = torch.empty_like(parameter, memory_format=torch.preserve_format)
                found = like.copy_(found)
            state[key] = found
    return saved.epoch, saved.history


def _require_same(saved: _Saved, identity: Mapping[str, Any], path: Path) -> None:
    # Parsed, so that former spellings and fields that were added since are equal.
    fields = {key: value for key, value in saved.config.items() if key not in _WHAT}
    config = parse_config(TrainConfig, fields, str(path)).model_dump(mode="json")
    # Runs of earlier versions do not name their data.
    before = {"data": identity["data"]} | saved.config | config
    # Both ways: a depth network and its pretraining differ in what only one of them has.
    for key in dict.fromkeys([*identity, *before]):
        if before.get(key) != identity.get(key):
            raise UserError(
                f"{path} was written with another {_WHAT.get(key, key)}; "
                "resume with the same config, data and number of processes"
            )
