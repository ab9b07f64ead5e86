"""A network with a state as files: each is run step by step beside torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.model.contract import read_contract
from bench_depth.model.postprocess import plane
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature
from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import CameraNet, DepthNet
from torch import nn

from tests.export.conftest import op_names

CAMERA = (64, 96)
FORMATS = ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")


@pytest.fixture(scope="module", params=["minimal", "gru"])
def network(make_network: Any, request: pytest.FixtureRequest) -> DepthNet:
    # The whole encoder: on few blocks TensorFlow converts the state once more before it is used.
    whole = load_train_config("tiny").network
    encoder = whole.encoder.model_dump() | {"padding": "same"}
    decoder = whole.decoder.model_dump() | {"stream": {"kind": request.param, "channels": 6}}
    network: DepthNet = make_network(encoder=encoder, decoder=decoder)
    assert network.stream is not None
    nn.init.normal_(network.stream.project.weight, std=0.3)
    return network


@pytest.fixture(scope="module")
def files(
    network: DepthNet, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stream")
    save_checkpoint(folder / "toy", network, name="toy", training_data="", metrics={})
    # The default refuses what TFLite 2.5 lacks, and verifies the files with the state carried on.
    found = export(
        folder / "toy", folder / "out", camera=CAMERA, formats=FORMATS, calibration=dataset
    )
    return dict(zip(FORMATS, found, strict=True))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_carries_the_state_that_torch_has(
    files: dict[str, Path], network: DepthNet, name: str
) -> None:
    path = files[name]
    contract = read_contract(path)
    assert contract is not None and contract.state is not None
    model = choose(path).load(path, threads=1)
    signature = check_signature(path, model, contract)
    assert (signature.height, signature.width) == CAMERA
    camera = CameraNet(network, *CAMERA).eval()
    limit = 1e-5 if "fp32" in name else 0.1
    assert network.state_shape is not None
    first = None
    for turn in range(2):
        state = torch.zeros(1, *network.state_shape)
        for step in range(4):
            pixels = np.random.default_rng(step).integers(0, 256, (1, *CAMERA, 3), np.uint8)
            with torch.no_grad():
                want, state = camera(torch.from_numpy(pixels).float(), state)
            model.set_input(pixels.astype(contract.input_dtype))
            model.invoke()
            found = plane(model.output()).copy()
            error = np.abs(found / want[0, :, :, 0].numpy() - 1).mean()
            assert error < limit, (turn, step)
            if step == 0:
                first = found if first is None else first
                np.testing.assert_array_equal(found, first)
        model.reset()


def test_the_int8_state_stays_in_whole_numbers(files: dict[str, Path], network: DepthNet) -> None:
    contract = read_contract(files["int8.tflite"])
    assert contract is not None and contract.state is not None
    state = contract.state
    assert (state.dtype, state.scale, state.zero_point) == ("int8", 1 / 128, 0)
    kinds = op_names(files["int8.tflite"].read_bytes())
    assert kinds.count("QUANTIZE") == 1 and kinds.count("DEQUANTIZE") == 1  # Picture and depth.
    assert network.stream is not None
    gates = 1 if network.stream.reset is None else 2
    assert (kinds.count("LOGISTIC"), kinds.count("TANH")) == (gates, 1)
