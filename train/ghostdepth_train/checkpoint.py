"""The checkpoint folder: `model.safetensors` + `config.json` + `metrics.json` (+ `ranges.json`).

Weights that are mostly zero are packed (see `models/packed_weights.py`).
What a resumed training needs is in `training.safetensors` (see `training_state.py`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import (
    atomic_path,
    plain_name,
    read_object,
    read_regular,
    require_regular,
    write_json,
)
from bench_depth.core.json_text import dumps, loads
from bench_depth.core.jsonable import build_from
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ghostdepth_train.config import NetworkConfig, parse_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.packed_weights import pack, unpack

WEIGHTS, CONFIG, METRICS = "model.safetensors", "config.json", "metrics.json"
RANGES = "ranges.json"
SCHEMA = "ghostdepth-checkpoint/1"
# Key of the metrics of a checkpoint whose encoder alone is trained.
PRETRAINING = "pretraining"
# The types of whatever this program stores as safetensors, and of weights from elsewhere. torch
# can compute with no others, or reads them as something else.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TYPES = (*_FLOATS, torch.bool, torch.uint8, torch.int32, torch.int64)
# Joins the sources in the line of training data.
_THEN = "; then "


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what is known of it.

    Attributes:
        name: Name of the checkpoint, from which its exported files are named.
        network: The network, in eval mode, on the CPU.
        training_data: Description of the training data and its terms of use, in one line.
        metrics: Validation metrics and whatever else was recorded; JSON values.
        sha256: SHA-256 of `model.safetensors`.
        ranges: Learned ranges of the quantized tensors, from `ranges.json`; None without such a
            file.
    """

    name: str
    network: DepthNet
    training_data: str
    metrics: dict[str, Any]
    sha256: str
    ranges: dict[str, Any] | None = None

    @property
    def config(self) -> NetworkConfig:
        """The network as plain numbers."""
        return self.network.config

    def trained_then_on(self, source: str) -> str:
        """The line of training data of a network that is trained further on a source.

        The line is the sources in their order, joined by `; then `; training twice in a row on the
        same source is named once.
        """
        sources = self.training_data.split(_THEN)
        return _THEN.join(sources if sources[-1] == source else [*sources, source])


@dataclass(frozen=True)
class Validation:
    """Accuracy on the validation images, as `metrics.json` of a checkpoint holds it.

    Attributes:
        si_rmse: Scale-invariant RMSE of log depth; 0 is best.
        rmse: Root of the mean squared error, in metres.
        delta_1: Fraction of the pixels within a factor of 1.25 of the ground truth; 1 is best.
    """

    si_rmse: float
    rmse: float
    delta_1: float


@dataclass(frozen=True)
class _Validated:
    """What `metrics.json` of a network that was evaluated holds at least."""

    validation: Validation


@dataclass(frozen=True)
class _Record:
    """What `config.json` holds beside its schema."""

    name: str
    network: Any
    training_data: str = "unknown"


def save_checkpoint(
    folder: Path,
    network: DepthNet,
    *,
    name: str,
    training_data: str,
    metrics: dict[str, Any],
    half: bool = False,
    ranges: Mapping[str, Any] | None = None,
) -> None:
    """Writes the files, each in one piece, the metrics last.

    Args:
        folder: Made where missing.
        network: Network whose config and weights are saved.
        name: Name of the checkpoint, from which its exported files are named.
        training_data: Description of the training data and its terms of use, in one line.
        metrics: JSON values.
        half: Store the convolutions' weights in 16 bits, for releases: half the file. Biases and
            batch norm, whose variances can leave that range, stay in 32.
        ranges: Learned ranges of the quantized tensors, JSON values; None removes those of an
            earlier checkpoint.

    Raises:
        UserError: The folder cannot be written, or the name is no plain file name.
    """
    plain_name(name, "the name of the checkpoint")
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        weights = {k: v.half() if v.ndim > 1 else v for k, v in weights.items()}
    write_tensors(folder / WEIGHTS, *pack(weights))
    write_json(
        folder / CONFIG,
        {
            "schema": SCHEMA,
            "name": name,
            "training_data": training_data,
            "network": network.config.model_dump(mode="json"),
        },
    )
    if ranges is None:
        (folder / RANGES).unlink(missing_ok=True)
    else:
        write_json(folder / RANGES, dict(ranges))
    write_json(folder / METRICS, metrics)


def load_checkpoint(folder: Path, *, pretrained: bool = False) -> Checkpoint:
    """Reads a checkpoint folder.

    Args:
        folder: The checkpoint.
        pretrained: Whether it may be one of `ghostdepth pretrain`, whose decoder is random.

    Raises:
        UserError: A file is missing, truncated, of another network, or holds NaN, the name is no
            plain file name, or there is only a pretrained encoder.
    """
    folder = Path(folder)
    if not os.path.lexists(folder / WEIGHTS):
        near = os.path.lexists(folder / "best" / WEIGHTS)
        hint = f"; did you mean {folder / 'best'}?" if near else ""
        raise UserError(f"{folder} is not a checkpoint folder: it has no {WEIGHTS}{hint}")
    value = read_object(folder / CONFIG)
    if value.get("schema") != SCHEMA:
        raise UserError(f"{folder / CONFIG} is not a {SCHEMA} file")
    record = build_from(_Record, {"name": folder.resolve().name, **value}, folder / CONFIG)
    metrics = read_object(folder / METRICS) if os.path.lexists(folder / METRICS) else {}
    if PRETRAINING in metrics and not pretrained:
        raise UserError(
            f"{folder} holds a pretrained encoder, not a depth network; train it first: "
            f"ghostdepth train --init {folder}"
        )
    name = plain_name(record.name, f"{folder / CONFIG}: name")
    config = parse_config(NetworkConfig, record.network, str(folder / CONFIG))
    weights = unpack(*read_tensors(folder / WEIGHTS), str(folder / WEIGHTS))
    network = DepthNet(config)
    load_weights(network, weights, folder / WEIGHTS)
    return Checkpoint(
        name=name,
        network=network.eval(),
        training_data=record.training_data,
        metrics=metrics,
        sha256=hashlib.sha256(read_regular(folder / WEIGHTS)).hexdigest(),
        ranges=read_object(folder / RANGES) if os.path.lexists(folder / RANGES) else None,
    )


def read_validation(folder: Path) -> Validation:
    """Reads the accuracy that a checkpoint folder holds.

    Raises:
        UserError: `metrics.json` cannot be read, or a figure is missing or no number.
    """
    path = folder / METRICS
    return build_from(_Validated, read_object(path), path).validation


def load_weights(network: torch.nn.Module, weights: dict[str, Tensor], where: Path) -> None:
    """Copies `weights` into the network.

    Raises:
        UserError: Keys, shapes or types are not the network's, or a value is NaN or infinite.
    """
    own = network.state_dict()
    for key in sorted(own.keys() ^ weights.keys()):
        what = "lacks" if key in own else "has the unknown"
        raise UserError(f"{where} {what} tensor {key}; it belongs to another network config")
    for key, tensor in weights.items():
        if tensor.shape != own[key].shape:
            raise UserError(
                f"{where}: {key} is {tuple(tensor.shape)}, the config says {tuple(own[key].shape)}"
            )
        if (tensor.dtype in _FLOATS) != own[key].is_floating_point():
            raise UserError(
                f"{where}: {key} is {_type(tensor)}, the network's is {_type(own[key])}; save the "
                "weights again in that type"
            )
        # As it will be: a large float64 is infinite as float32.
        if not bool(tensor.to(own[key].dtype).isfinite().all()):
            raise UserError(
                f"{where}: {key} holds NaN or infinity; the training diverged, "
                "go back to an earlier checkpoint or lower the learning rate"
            )
    network.load_state_dict(weights)


def write_tensors(path: Path, tensors: dict[str, Tensor], note: Any = None) -> None:
    """Writes a safetensors file in one piece; `note` is any JSON value, kept in its header.

    Raises:
        UserError: The file cannot be written.
    """
    header = None if note is None else {"note": dumps(note)}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, header)
        except SafetensorError as error:
            raise UserError(f"cannot write {path}: {error}; check free space") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Reads a safetensors file and its note.

    Raises:
        UserError: The file is missing, truncated or not a safetensors file, its note is no JSON, or
            a tensor is of a type that no checkpoint has.
    """
    try:
        with safe_open(require_regular(path), "pt") as file:
            note = (file.metadata() or {}).get("note")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for key, tensor in tensors.items():
            if tensor.dtype not in _TYPES:
                raise UserError(
                    f"{path}: {key} is {_type(tensor)}, which no checkpoint holds; copy the file "
                    "again, or export the weights as float32"
                )
        return tensors, None if note is None else loads(note)
    except (SafetensorError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}; it may be truncated") from error
    except ValueError as error:
        raise UserError(f"cannot read the note in the header of {path}: {error}") from error


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
