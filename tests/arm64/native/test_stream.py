"""A network with a state on the emulated Pi: TensorFlow Lite 2.5 and the native program."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs, read_pair
from ghostdepth_export.convert.export import export
from ghostdepth_export.pi4.emulator import Machine
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import NetworkConfig, load_train_config
from ghostdepth_train.models.network import CameraNet, DepthNet
from torch import nn

from tests.arm64.conftest import REPOSITORY

from .program import PROGRAM

CAMERA = (96, 128)
FRAMES = 5
# Mean relative error of the depth.
LIMITS = {"fp32.tflite": 1e-5, "int8.tflite": 0.05}
SCRIPT = """
import sys
import numpy as np
from bench_depth import DepthModel

frames = np.load("/stream/frames.npy")
for name in sys.argv[1:]:
    model = DepthModel(f"/stream/toy-{name}", runtime="tflite_runtime")
    np.save(f"/stream/{name}.npy", [model.follow(frame).depth for frame in frames])
"""


@pytest.fixture(scope="module", params=["minimal", "gru"])
def network(request: pytest.FixtureRequest) -> DepthNet:
    torch.manual_seed(0)
    config = load_train_config("tiny").network.model_dump()
    config["decoder"]["stream"] = {"kind": request.param, "channels": 6}
    network = DepthNet(NetworkConfig.model_validate(config)).eval()
    assert network.stream is not None
    nn.init.normal_(network.stream.project.weight, std=0.3)
    return network


def in_torch(network: DepthNet, frames: np.ndarray) -> np.ndarray:
    """Depth of the frames of one stream, TxHxW metres."""
    assert network.state_shape is not None
    camera, state, depths = CameraNet(network, *CAMERA), torch.zeros(1, *network.state_shape), []
    with torch.no_grad():
        for frame in frames:
            depth, state = camera(torch.from_numpy(frame).float()[None], state)
            depths.append(depth[0, :, :, 0].numpy())
    return np.stack(depths)


def test_five_frames_are_torchs(
    network: DepthNet, bullseye_bench: Machine, program: Path, tmp_path: Path
) -> None:
    samples = REPOSITORY / "samples"
    save_checkpoint(tmp_path / "toy", network, name="toy", training_data="", metrics={})
    formats = tuple(LIMITS)
    export(tmp_path / "toy", tmp_path, camera=CAMERA, formats=formats, calibration=samples)
    photo, _ = read_pair(list_pairs(samples)[0])
    frames = np.stack([photo[y : y + CAMERA[0], y : y + CAMERA[1]] for y in range(FRAMES)])
    np.save(tmp_path / "frames.npy", frames)
    shares = {program.parent: "/native", tmp_path: "/stream"}
    machine = dataclasses.replace(bullseye_bench, shares=shares)
    machine.run(["python3", "-c", SCRIPT, *LIMITS], env={"PYTHONDONTWRITEBYTECODE": "1"})
    want = in_torch(network, frames)
    for name, limit in LIMITS.items():
        errors = np.abs(np.load(tmp_path / f"{name}.npy") / want - 1).mean((1, 2))
        assert (errors < limit).all(), (name, errors)
    # The native program runs one picture again and again, the first time before its runs.
    header = f"P6 {CAMERA[1]} {CAMERA[0]} 255\n".encode()
    (tmp_path / "frame.ppm").write_bytes(header + frames[0].tobytes())
    want = in_torch(network, frames[[0] * FRAMES])
    for name, limit in LIMITS.items():
        runs = ["--warmup", "0", "--min-runs", str(FRAMES - 1), "--min-time", "0"]
        files = ["--input", "/stream/frame.ppm", "--save-output", "/stream/depth.bin"]
        machine.run([PROGRAM, "--model", f"/stream/toy-{name}", *runs, *files])
        found = np.fromfile(tmp_path / "depth.bin", np.float32).reshape(CAMERA)
        assert np.abs(found / want[-1] - 1).mean() < limit, name
    # The state shows in the depth by more than float32 may differ.
    assert np.abs(want[-1] / want[0] - 1).mean() > 10 * LIMITS["fp32.tflite"]
