"""A small network with plausible statistics, a few pictures, and what is exported from them."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs
from ghostdepth import commands
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.flatbuffer import op_name, unpack
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.models.network import DepthNet
from torch import nn

from tests.conftest import shared_folder
from tests.train.making import short_config

CAMERA = (96, 128)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives batch norms statistics as after training, so that folding and ranges are tested."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.3, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            norm.weight.data.uniform_(0.5, 1.5, generator=generator)
            norm.bias.data.normal_(0, 0.3, generator=generator)
    return module.eval()


def run_tflite(data: bytes, x: np.ndarray) -> np.ndarray:
    """What TensorFlow's own interpreter gives for a file of one input and one output."""
    from ghostdepth_export.convert.tensorflow_quietly import tf

    with native_quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def op_names(data: bytes) -> list[str]:
    """The ops of a .tflite file in their order."""
    model = unpack(data)
    return [op_name(model, op) for op in model.subgraphs[0].operators]


def random_network(**changes: Any) -> DepthNet:
    config = short_config().network.model_dump()
    config["encoder"]["padding"] = changes.pop("padding", "same")
    torch.manual_seed(0)
    network = DepthNet(NetworkConfig.model_validate({**config, **changes}))
    # The untrained head is nearly constant; give the picture some depth.
    nn.init.normal_(network.head.weight, std=0.05)
    randomise(network)
    return network


class Command(Protocol):
    def __call__(self, *words: object, code: int = 0) -> pytest.CaptureResult[str]: ...


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Types `ghostdepth` with words in this process, which ends with a code; what it printed."""

    def run(*words: object, code: int = 0) -> pytest.CaptureResult[str]:
        monkeypatch.setattr(sys, "argv", ["ghostdepth", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            commands.main()
        printed = capsys.readouterr()
        assert int(stop.value.code or 0) == code, printed.err
        return printed

    return run


@pytest.fixture(scope="session")
def make_network() -> Callable[..., DepthNet]:
    """Makes a random, short `tiny` network in eval mode; arguments change its config."""
    return random_network


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random network called `toy`."""
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(
        folder,
        random_network(),
        name="toy",
        training_data="nothing: random weights",
        metrics={"si_rmse": 0.5},
    )
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of soft blobs with a depth ramp, some of it unknown."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "rgb").mkdir()
    (folder / "depth").mkdir()
    rng = np.random.default_rng(0)
    height, width = CAMERA
    for index in range(6):
        blobs = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
        rgb = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        ramp = np.linspace(800, 4000 + 500 * index, width * height).reshape(height, width)
        ramp[: height // 8] = 0
        cv2.imwrite(str(folder / "rgb" / f"{index}.png"), rgb.astype(np.uint8))
        cv2.imwrite(str(folder / "depth" / f"{index}.png"), ramp.astype(np.uint16))
    return folder


@pytest.fixture(scope="session")
def source(checkpoint: Path, dataset: Path) -> ExportSource:
    """The `toy` network, lowered once for the whole run."""
    return ExportSource(load_checkpoint(checkpoint).network, *CAMERA, list_pairs(dataset))


@pytest.fixture(scope="session")
def exported(checkpoint: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all six files of the random network and `verify.json`."""
    make = functools.partial(export, checkpoint, camera=CAMERA, calibration=dataset)
    return shared_folder(tmp_path_factory, "toy", make)
