"""The six exported files: their ends, their contract, their ops and how near they are to torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
import torch
from bench_depth.core.dataset import list_pairs
from bench_depth.model.contract import METADATA_NAME, ModelContract, read_contract
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.flatbuffer import MIN_RUNTIME_NAME, op_name, unpack
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.op_versions import minimum_runtime, parse_version
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.convert.tflite import convert, convert_int8
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.convert.verify import make_reference, open_model, verify
from ghostdepth_train.models.network import DepthNet

from tests.export.conftest import op_names

TFLITE = [name for name in FORMATS if name.endswith(".tflite")]
ONNX = [name for name in FORMATS if name.endswith(".onnx")]

# One axis after the other; see `aten._resize_plane`.
UPSAMPLING = ["TRANSPOSE", "RESIZE_BILINEAR", "TRANSPOSE", "RESIZE_BILINEAR"]


def metadata(path: Path) -> dict[str, str]:
    if path.suffix == ".onnx":
        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    model = unpack(path.read_bytes())
    return {
        entry.name.decode(): bytes(model.buffers[entry.buffer].data).decode(errors="replace")
        for entry in model.metadata
    }


@pytest.mark.parametrize("name", FORMATS)
def test_the_contract_is_in_the_file(exported: Path, checkpoint: Path, name: str) -> None:
    path = exported / f"toy-{name}"
    contract = json.loads(metadata(path)[METADATA_NAME])
    kind = FORMATS[name]
    assert contract["name"] == "toy"
    assert contract["variant"] == kind.variant
    assert (contract["input_height"], contract["input_width"]) == (96, 128)
    assert (contract["output_height"], contract["output_width"]) == (96, 128)
    assert contract["input_dtype"] == kind.input_dtype
    assert contract["output_dtype"] == "float32"
    assert contract["output_unit"] == "m"
    assert contract["output_range"] == [0.3, 12.0]
    weights = (checkpoint / "model.safetensors").read_bytes()
    assert contract["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    assert contract["metrics"] == {"si_rmse": 0.5}
    assert read_contract(path) == ModelContract.from_json(json.dumps(contract))


@pytest.mark.parametrize("name", TFLITE)
def test_the_true_minimum_runtime_is_in_metadata_and_contract(exported: Path, name: str) -> None:
    path = exported / f"toy-{name}"
    entries = metadata(path)
    oldest = minimum_runtime(path.read_bytes())
    assert entries[MIN_RUNTIME_NAME.decode()].rstrip("\0") == oldest
    assert json.loads(entries[METADATA_NAME])["minimum_runtime"] == oldest
    assert parse_version(oldest) <= parse_version("2.5")


@pytest.mark.parametrize("name", TFLITE)
def test_a_tflite_file_takes_rgb_and_gives_depth(exported: Path, name: str) -> None:
    path = exported / f"toy-{name}"
    (graph,) = unpack(path.read_bytes()).subgraphs
    (first,), (last,) = graph.inputs, graph.outputs
    kind = schema.TensorType.UINT8 if "int8" in name else schema.TensorType.FLOAT32
    assert graph.tensors[first].name == b"rgb"
    assert graph.tensors[first].type == kind
    assert list(graph.tensors[first].shape) == [1, 96, 128, 3]
    assert graph.tensors[last].name == b"depth"
    assert graph.tensors[last].type == schema.TensorType.FLOAT32
    # TensorFlow Lite 2.5 would copy the depth map to make its shape 1xHxWx1.
    assert list(graph.tensors[last].shape) == [1, 96, 1, 128]
    assert "RESHAPE" not in op_names(path.read_bytes())
    assert json.loads(metadata(path)[METADATA_NAME])["output_layout"] == "NHCW"


def test_the_int8_file_takes_bytes_as_they_are(exported: Path) -> None:
    graph = unpack((exported / "toy-int8.tflite").read_bytes()).subgraphs[0]
    quantization = graph.tensors[graph.inputs[0]].quantization
    assert list(quantization.scale) == [1.0]
    assert list(quantization.zeroPoint) == [0]


@pytest.mark.parametrize("name", ONNX)
def test_an_onnx_file_takes_rgb_and_gives_depth(exported: Path, name: str) -> None:
    graph = onnx.load(exported / f"toy-{name}").graph
    (first,), (last,) = graph.input, graph.output
    kind = onnx.TensorProto.UINT8 if "int8" in name else onnx.TensorProto.FLOAT
    assert (first.name, first.type.tensor_type.elem_type) == ("rgb", kind)
    assert [d.dim_value for d in first.type.tensor_type.shape.dim] == [1, 96, 128, 3]
    assert (last.name, last.type.tensor_type.elem_type) == ("depth", onnx.TensorProto.FLOAT)
    assert [d.dim_value for d in last.type.tensor_type.shape.dim] == [1, 96, 128, 1]


@pytest.mark.parametrize("name", ONNX)
def test_an_onnx_file_tells_nothing_about_the_machine(exported: Path, name: str) -> None:
    data = (exported / f"toy-{name}").read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in data
    assert b"stack_trace" not in data


@pytest.mark.parametrize("name", ONNX)
def test_an_onnx_file_has_no_exporter_noise(exported: Path, name: str) -> None:
    model = onnx.load(exported / f"toy-{name}")
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Transpose"] == 2
    assert not kinds.keys() & {"Shape", "Slice", "Gather", "BatchNormalization", "Unsqueeze"}
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18


def test_the_int8_onnx_file_keeps_its_ends_in_float(exported: Path) -> None:
    graph = onnx.load(exported / "toy-int8.onnx").graph
    constants = {value.name for value in graph.initializer}
    kinds = [node.op_type for node in graph.node if node.input[0] not in constants]
    assert kinds[:5] == ["Transpose", "Cast", "Resize", "Mul", "Add"]
    assert kinds[-4:] == ["Clip", "Exp", "Resize", "Transpose"]
    assert kinds[-5] == "DequantizeLinear"


@pytest.mark.parametrize("name", TFLITE)
def test_no_pad_and_no_transpose_but_those_of_the_last_upsampling(
    exported: Path, name: str
) -> None:
    names = op_names((exported / f"toy-{name}").read_bytes())
    assert names[-4:] == UPSAMPLING
    kinds = Counter(names[:-5])
    assert kinds["TRANSPOSE"] == kinds["PAD"] == kinds["PADV2"] == 0


def test_the_int8_file_is_int8_up_to_the_head_and_float_after_it(exported: Path) -> None:
    model = unpack((exported / "toy-int8.tflite").read_bytes())
    graph = model.subgraphs[0]
    kinds = [op_name(model, op) for op in graph.operators]
    head, limits = ["CONV_2D", "DEPTH_TO_SPACE"], ["MUL", "ADD", "MUL", "ADD"]
    assert kinds[-12:] == [*head, "DEQUANTIZE", *limits, "EXP", *UPSAMPLING]
    assert kinds.count("QUANTIZE") == kinds.count("DEQUANTIZE") == 1
    for op in graph.operators[1:-11]:
        assert graph.tensors[op.outputs[0]].type == schema.TensorType.INT8


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("encoding", ["log", "inverse"])
def test_a_network_in_float_is_exact(
    source: ExportSource,
    make_network: Callable[..., DepthNet],
    tmp_path: Path,
    padding: str,
    encoding: str,
) -> None:
    network = make_network(padding=padding, depth_encoding=encoding)
    network.head.bias.data.fill_(0.7)
    other = dataclasses.replace(source, network=network)
    path = tmp_path / "m.tflite"
    path.write_bytes(convert(other.lowered))
    parity = verify(path, FORMATS["fp32.tflite"], make_reference(other, other.pairs[:3]))
    assert parity.max_relative_error <= 1e-5
    assert op_names(path.read_bytes()).count("PAD") == (0 if padding == "same" else 8)


@pytest.mark.parametrize("border", [(0, 0), (4, 8)])
def test_odd_sizes_are_exact(
    source: ExportSource,
    make_network: Callable[..., DepthNet],
    tmp_path: Path,
    border: tuple[int, int],
) -> None:
    network = make_network(input_height=75, input_width=101, border=border)
    other = ExportSource(network, 97, 131, source.pairs)
    path = tmp_path / "m.tflite"
    path.write_bytes(convert(other.lowered))
    parity = verify(path, FORMATS["fp32.tflite"], make_reference(other, other.pairs[:2]))
    assert parity.max_relative_error <= 1e-5
    assert op_names(path.read_bytes()).count("PAD") == 0


@pytest.mark.parametrize("size", [(48, 100), "network"])
def test_the_depth_map_has_the_size_that_is_asked_for(
    size: tuple[int, int] | Literal["network"],
    source: ExportSource,
    checkpoint: Path,
    dataset: Path,
    tmp_path: Path,
) -> None:
    config = source.network.config
    image = torch.zeros(1, 3, *config.input_size)
    wanted = tuple(source.network(image).shape[2:]) if size == "network" else size
    options: dict[str, Any] = {"camera": (96, 128), "formats": ["int8.tflite", "fp32.onnx"]}
    paths = export(checkpoint, tmp_path, output_size=size, calibration=dataset, **options)
    for path, dtype in zip(paths, (np.uint8, np.float32), strict=True):
        contract = json.loads(metadata(path)[METADATA_NAME])
        assert (contract["output_height"], contract["output_width"]) == wanted
        assert open_model(path)(np.zeros((1, 96, 128, 3), dtype)).shape == wanted
    # The network's own size needs no upsampling at the end.
    last = op_names(paths[0].read_bytes())[-1]
    assert (last == "RESIZE_BILINEAR") == (size != "network")


def test_odd_sizes_survive_int8(
    source: ExportSource, make_network: Callable[..., DepthNet]
) -> None:
    other = ExportSource(make_network(input_height=75, input_width=101), 97, 131, source.pairs)
    inputs = other.with_states(other.calibration_images())
    data = convert_int8(other.lowered_trunk, other.lowered_tail, inputs)
    assert op_names(data)[-4:] == UPSAMPLING


def test_the_int8_trunk_keeps_20_db(exported: Path, source: ExportSource) -> None:
    # Taken on log depth, which is what the trunk gives: a constant factor of depth is no noise.
    run = open_model(exported / "toy-int8.tflite")
    for image in source.calibration_images():
        got = np.log(run(image.astype(np.uint8)))
        want = np.log(source.predict(image))
        assert 10 * np.log10(np.var(want) / np.mean((got - want) ** 2)) >= 20


def test_all_files_agree_about_a_picture_that_was_not_calibrated(
    exported: Path, source: ExportSource, dataset: Path
) -> None:
    white = np.full((1, 96, 128, 3), 255, np.float32)
    want = source.predict(white)
    for name, kind in FORMATS.items():
        got = open_model(exported / f"toy-{name}")(white.astype(kind.input_dtype))
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0.25 if kind.variant == "int8" else 2e-2)


def test_photos_of_another_size_are_resized_for_calibration(
    make_network: Callable[..., DepthNet], dataset: Path
) -> None:
    other = ExportSource(make_network(), 48, 64, list_pairs(dataset))
    assert {image.shape for image in other.calibration_images()} == {(1, 48, 64, 3)}


def test_the_reference_is_the_graph_that_training_evaluates(source: ExportSource) -> None:
    image = source.calibration_images()[0]
    with torch.no_grad():
        want = source.camera(torch.from_numpy(image))[0, :, :, 0].numpy()
    np.testing.assert_array_equal(source.predict(image), want)
