"""Ranges that a method found arrive in the int8 files, and the simulation is what the files do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.flatbuffer import op_name, unpack
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.lowering import lower_graph
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.convert.tflite import int8_converter
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.compress.calibrate import calibration_images
from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization import PIXELS, Range, Trunk, write_ranges
from ghostdepth_train.quantization.fake_quantization import weight_scale
from ghostdepth_train.quantization.integer_simulation import IntegerNet
from ghostdepth_train.quantization.observers import choose_range, collect_histograms
from torch import Tensor
from torch.nn import functional as F

from tests.export.conftest import op_names

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", params=[1, 2])
def trunk(make_network: Callable[..., DepthNet], request: pytest.FixtureRequest) -> Trunk:
    decoder = {"widths": [16, 8, 8][: 4 - request.param], "upsample": request.param}
    # The second one sees its pictures amid a border.
    amid = {"border": [4, 8], "input_height": 56, "input_width": 80}
    return Trunk.of(make_network(decoder=decoder, **(amid if request.param == 2 else {})))


@pytest.fixture(scope="module")
def pictures(trunk: Trunk) -> Tensor:
    config = trunk.network.config
    coarse = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0)) * 255
    return F.interpolate(coarse, config.input_size, mode="bilinear").round()


@pytest.fixture(scope="module")
def ranges(trunk: Trunk, pictures: Tensor) -> dict[str, Range]:
    seen = collect_histograms(trunk, pictures.split(1))
    return {name: choose_range(h, "percentile", 99.9) for name, h in seen.items()}


@pytest.fixture(scope="module")
def quantized(source: ExportSource, trunk: Trunk, ranges: dict[str, Range]) -> ExportSource:
    return dataclasses.replace(source, network=trunk.network, ranges=write_ranges(ranges))


@pytest.fixture(scope="module")
def tflite(quantized: ExportSource) -> bytes:
    return FORMATS["int8.tflite"].build(quantized)


def activations(data: bytes) -> list[tuple[float, int]]:
    model = unpack(data)
    graph = model.subgraphs[0]
    found = []
    for op in graph.operators:
        tensor = graph.tensors[op.outputs[0]]
        if op_name(model, op) == "DEPTH_TO_SPACE":  # lays out what the head's convolution gave
            assert found[-1] == (
                float(tensor.quantization.scale[0]),
                int(tensor.quantization.zeroPoint[0]),
            )
        elif tensor.type == schema.TensorType.INT8 and op_name(model, op) != "QUANTIZE":
            found.append(
                (float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
            )
    return found


def test_every_learned_range_is_in_the_tflite_file_unchanged(
    tflite: bytes, trunk: Trunk, ranges: dict[str, Range]
) -> None:
    wanted = [*ranges.values(), PIXELS]
    assert set(activations(tflite)) == {(r.scale, r.zero_point) for r in wanted}
    names = [
        name
        for node, name in trunk.quantized.names.items()
        if node.target != torch.ops.aten.pixel_shuffle.default
    ]
    of_ops = sorted((ranges[n].scale, ranges[n].zero_point) for n in names)
    found = sorted(pair for pair in activations(tflite) if pair != (PIXELS.scale, -128))
    assert found == of_ops


def test_every_learned_range_is_in_the_onnx_file_unchanged(
    quantized: ExportSource, trunk: Trunk, ranges: dict[str, Range]
) -> None:
    model = onnx.ModelProto.FromString(FORMATS["int8.onnx"].build(quantized))
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    found = {
        (float(values[node.input[1]]), int(values[node.input[2]]) - 128)
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert found >= {(r.scale, r.zero_point) for r in ranges.values()}
    # Besides them there are the normalised picture and the numbers in products.
    assert len(found) <= len({(r.scale, r.zero_point) for r in ranges.values()}) + 2


def test_learned_ranges_add_no_op(
    tflite: bytes, quantized: ExportSource, trunk: Trunk, exported: Path
) -> None:
    if trunk.network.config.decoder.upsample == 1:  # This file is there.
        without = (exported / "toy-int8.tflite").read_bytes()
    else:
        without = FORMATS["int8.tflite"].build(dataclasses.replace(quantized, ranges=None))
    assert sorted(op_names(tflite)) == sorted(op_names(without))


def test_the_files_weights_have_the_scales_of_the_simulation(tflite: bytes, trunk: Trunk) -> None:
    wanted = []
    for conv in trunk.traced.calls(torch.ops.aten.conv2d.default):
        weight = trunk.traced.value(conv.args[1]).detach()
        wanted.append(weight_scale(weight).float().flatten().sort().values.numpy())
    model = unpack(tflite)
    found = [
        np.sort(np.asarray(model.subgraphs[0].tensors[op.inputs[1]].quantization.scale))
        for op in model.subgraphs[0].operators
        if "CONV_2D" in op_name(model, op)
    ]
    # The head's channels stand there once for each pixel of a block, 16 in all.
    own = trunk.network.head.out_channels
    assert len(found[-1]) == 16
    np.testing.assert_array_equal(found[-1], np.repeat(found[-1][:: 16 // own], 16 // own))
    found[-1] = found[-1][:: 16 // own]
    order = [sorted(part, key=lambda s: (len(s), *s)) for part in (wanted, found)]
    for a, b in zip(*order, strict=True):
        np.testing.assert_array_equal(a, b)


def trunk_file(trunk: Trunk, ranges: dict[str, Range]) -> bytes:
    """The int8 file up to its head, with the camera's picture of the network's own size."""
    converter = int8_converter(lower_graph(trunk.traced, ranges=write_ranges(ranges)))
    converter.inference_output_type = tf.int8
    with native_quiet():
        return bytes(converter.convert())


def run_file(data: bytes, pictures: Tensor, *, xnnpack: bool = True) -> Tensor:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    results = []
    with native_quiet():
        interpreter = Interpreter(
            model_content=data, num_threads=1, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
        for picture in pictures:
            pixels = picture[None].permute(0, 2, 3, 1).numpy().astype(np.uint8)
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
            interpreter.invoke()
            results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return torch.from_numpy(np.concatenate(results)).permute(0, 3, 1, 2)


@pytest.mark.slow
def test_the_file_and_the_simulation_agree_within_one_step_on_99_percent(
    trunk: Trunk, ranges: dict[str, Range], pictures: Tensor
) -> None:
    whole, data = IntegerNet(trunk, ranges), trunk_file(trunk, ranges)
    simulated = torch.cat([whole.run(picture[None]) for picture in pictures])
    file = run_file(data, pictures)
    steps = (file - simulated).abs()
    assert (steps <= 1).double().mean() >= 0.99
    assert len(torch.unique(file)) > 50
    # TensorFlow Lite's own kernels round twice: 0.2 % of a convolution's values are a step off,
    # which is no more than int8 differs.
    out = whole.output_range
    with torch.no_grad():
        real = CameraTrunk(trunk.network)(pictures.permute(0, 2, 3, 1)) / out.scale + out.zero_point
    other = run_file(data, pictures, xnnpack=False)
    assert (other - simulated).square().mean() < 2.5 * (simulated - real).square().mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    "checkpoint", ["models/ghostdepth-s", "benchmarks/compression/ghostdepth-xxs"]
)
def test_a_released_networks_file_differs_from_its_simulation_by_far_less_than_int8_costs(
    checkpoint: str,
) -> None:
    trunk = Trunk.of(load_checkpoint(REPOSITORY / checkpoint).network)
    config = trunk.network.config
    photos = calibration_images(list_pairs(REPOSITORY / "samples"), config, 6, seed=0)
    seen = collect_histograms(trunk, photos)
    ranges = {place: choose_range(h, "percentile", 99.99) for place, h in seen.items()}
    whole, pictures = IntegerNet(trunk, ranges), torch.cat(photos[:3])
    simulated = torch.cat([whole.run(picture[None]) for picture in pictures])
    file, out = run_file(trunk_file(trunk, ranges), pictures), whole.output_range
    with torch.no_grad():
        real = CameraTrunk(trunk.network)(pictures.permute(0, 2, 3, 1)) / out.scale + out.zero_point
    steps = (file - simulated).abs()
    assert (steps <= 1).double().mean() >= 0.95
    assert steps.square().mean() < 0.1 * (simulated - real).square().mean()
    assert len(torch.unique(file)) > 50


def test_a_bias_of_equal_numbers_is_quantized_per_channel(
    trunk: Trunk, ranges: dict[str, Range], tflite: bytes
) -> None:
    # The SE gates of an untrained network have the bias 0 + 3, for every channel.
    gates = [m for n, m in trunk.network.named_modules() if n.endswith("se.conv_expand")]
    assert gates and all((gate.bias == 0).all() for gate in gates)
    model = unpack(tflite)
    graph = model.subgraphs[0]
    checked = 0
    for op in graph.operators:
        if "CONV_2D" not in op_name(model, op) or len(op.inputs) < 3:
            continue
        bias = graph.tensors[op.inputs[2]]
        numbers = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int32)
        real = numbers * np.asarray(bias.quantization.scale)
        if np.allclose(real[0], 3, atol=0.01):
            np.testing.assert_allclose(real, 3, atol=0.01)
            checked += 1
    assert checked == len(gates)


def test_ranges_of_another_network_are_refused(source: ExportSource) -> None:
    wrong = write_ranges({"x": PIXELS})
    with pytest.raises(UserError, match=r"ranges\.json holds ranges of another network"):
        FORMATS["int8.tflite"].build(dataclasses.replace(source, ranges=wrong))


def test_one_photo_is_too_few_to_calibrate_with(
    checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    for part in ("rgb", "depth"):
        (tmp_path / "one" / part).mkdir(parents=True)
        source = dataset / part / "0.png"
        (tmp_path / "one" / part / "0.png").write_bytes(source.read_bytes())
    with pytest.raises(UserError, match="has 1 image; int8 ranges need at least 4"):
        export(checkpoint, tmp_path / "out", camera=(96, 128), calibration=tmp_path / "one")
    assert not (tmp_path / "out").exists()
