"""A network with every kind of attention on the emulated Pi, in TensorFlow Lite 2.5."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from bench_depth.core.dataset import list_pairs, read_pair
from ghostdepth_export.convert.export import export
from ghostdepth_export.pi4.emulator import Machine
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.models.network import CameraNet

from tests.train.models.attention_network import attention_network

from .conftest import REPOSITORY

CAMERA = (64, 96)
# Mean relative error of the depth.
LIMITS = {"fp32.tflite": 1e-5, "int8.tflite": 0.05}
SCRIPT = """
import sys
import numpy as np
from bench_depth import DepthModel

photos = np.load("/attention/photos.npy")
for name in sys.argv[1:]:
    model = DepthModel(f"/attention/toy-{name}", runtime="tflite_runtime")
    np.save(f"/attention/{name}.npy", [model(photo) for photo in photos])
"""


def test_softmax_linear_and_dfc_attention_give_torchs_depth(
    bullseye_bench: Machine, tmp_path: Path
) -> None:
    network, samples = attention_network(), REPOSITORY / "samples"
    save_checkpoint(tmp_path / "toy", network, name="toy", training_data="", metrics={})
    export(tmp_path / "toy", tmp_path, camera=CAMERA, formats=tuple(LIMITS), calibration=samples)
    pictures = [read_pair(pair)[0] for pair in list_pairs(samples)[:4]]
    photos = np.stack([picture[: CAMERA[0], : CAMERA[1]] for picture in pictures])
    np.save(tmp_path / "photos.npy", photos)
    with torch.no_grad():
        want = CameraNet(network, *CAMERA)(torch.from_numpy(photos).float())[..., 0].numpy()
    machine = dataclasses.replace(bullseye_bench, shares={tmp_path: "/attention"})
    machine.run(["python3", "-c", SCRIPT, *LIMITS], env={"PYTHONDONTWRITEBYTECODE": "1"})
    for name, limit in LIMITS.items():
        errors = np.abs(np.load(tmp_path / f"{name}.npy") / want - 1).mean((1, 2))
        assert (errors < limit).all(), (name, errors)
    # The photos differ by more than int8 may.
    assert np.abs(want[1:] / want[0] - 1).mean() > LIMITS["int8.tflite"]
