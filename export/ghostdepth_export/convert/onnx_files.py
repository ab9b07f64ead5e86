"""The network as .onnx files: float32 by torch's exporter, int8 by ONNX Runtime's quantiser."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from ghostdepth_train.quantization import Range, find_places, read_ranges
from ghostdepth_train.quantization.ranges import LOWEST
from ghostdepth_train.quantization.torch_graph import trace
from numpy.typing import NDArray
from onnx.numpy_helper import from_array, to_array
from torch import nn

OPSET = 18
# What ONNX Runtime calls the oldest version that reads opset 18 (ONNX 1.13, file format 8), in
# https://onnxruntime.ai/docs/reference/compatibility.html.
IR_VERSION = 8
MINIMUM_RUNTIME = "1.14.0"


def convert(module: nn.Module, input_shape: tuple[int, ...]) -> onnx.ModelProto:
    """Exports a module; the input is called `rgb`, the output `depth`.

    Args:
        module: Takes and gives one float32 tensor.
        input_shape: Of its argument.
    """
    with _python_log_quiet():
        program = torch.onnx.export(
            module.eval(),
            (torch.zeros(input_shape),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["rgb"],
            output_names=["depth"],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version = IR_VERSION
    _strip(model)
    _fold_bias_additions(model.graph)
    return model


def convert_int8(
    model: onnx.ModelProto,
    pictures: Iterable[NDArray[np.float32]],
    known: Mapping[str, Range] | None = None,
) -> onnx.ModelProto:
    """Quantises a float model to int8 with QuantizeLinear / DequantizeLinear pairs.

    The weights are quantised per channel, symmetrically; the activations per tensor. What comes
    before the first convolution and after the last stays in float: it is cheap, and there an
    8-bit step costs accuracy. The input becomes uint8 pixels.

    Args:
        model: From `convert`; not changed.
        pictures: For calibration: 1xHxWx3 float32, 0..255.
        known: Ranges of tensors, by their names in the model, that calibration leaves alone.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    nodes = list(model.graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    ends = [*nodes[: convolutions[0]], *nodes[convolutions[-1] + 1 :]]
    with tempfile.TemporaryDirectory() as folder, _python_log_quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.ModelProto.FromString(model.SerializeToString()),
            target,
            _calibration_reader(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in ends],
            extra_options={"TensorQuantOverrides": _overrides(known or {})},
        )
        quantised = onnx.load(target)
    _take_bytes(quantised)
    return quantised


def known_ranges(
    model: onnx.ModelProto, trunk: nn.Module, input_shape: tuple[int, ...], ranges: Any
) -> dict[str, Range]:
    """What a checkpoint's `ranges.json` says of the model's tensors.

    The exporter keeps torch's names, but for convolutions whose batch norm was folded: those are
    found by their weights.

    Args:
        model: From `convert`; `trunk` is a part of it.
        trunk: Pictures to encoded depth.
        input_shape: Of its argument.
        ranges: JSON values.

    Raises:
        UserError: The ranges are of another network.
    """
    traced = trace(trunk, input_shape)
    places = find_places(traced)
    read = read_ranges(ranges, set(places.names.values()), "ranges.json")
    convolutions = {n.input[1]: n.output[0] for n in model.graph.node if n.op_type == "Conv"}
    outputs = {name for node in model.graph.node for name in node.output}
    known = {}
    for node, name in places.names.items():
        own = convolutions[f"trunk.{node.meta['weight']}"] if "weight" in node.meta else node.name
        assert own in outputs, own
        known[own] = read[name]
    return known


def _overrides(known: Mapping[str, Range]) -> dict[str, Any]:
    """Ranges as ONNX Runtime's quantiser takes them: numbers without a sign, 128 above ours."""
    return {
        name: [
            {
                "scale": np.array(r.scale, np.float32),
                "zero_point": np.array(r.zero_point - LOWEST, np.uint8),
            }
        ]
        for name, r in known.items()
    }


def finish(data: bytes, name: str, contract: str) -> bytes:
    """Writes the contract (JSON) into the model's properties and checks the model."""
    model = onnx.ModelProto.FromString(data)
    entry = model.metadata_props.add()
    entry.key, entry.value = name, contract
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _fold_bias_additions(graph: onnx.GraphProto) -> None:
    """conv(x) + number -> conv(x) with another bias: in int8 one rounding less."""
    values = {value.name: value for value in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "Conv"}
    used = Counter(name for node in graph.node for name in node.input)
    for add in [node for node in graph.node if node.op_type == "Add"]:
        conv, number = makers.get(add.input[0]), values.get(add.input[1])
        if conv is None or number is None or used[add.input[0]] != 1:
            continue
        addend = to_array(number)
        if addend.size != 1:
            continue
        weight, *biases = (to_array(values[name]) for name in conv.input[1:])
        # The exporter leaves out a bias of zeros, and lets equal ones share a name.
        bias = sum(biases, np.zeros(len(weight), np.float32)) + addend.reshape(())
        graph.initializer.append(from_array(bias, f"{conv.name}_bias"))
        del conv.input[2:]
        conv.input.append(f"{conv.name}_bias")
        conv.output[0] = add.output[0]
        graph.node.remove(add)
    needed = {name for node in graph.node for name in node.input}
    for value in [value for value in graph.initializer if value.name not in needed]:
        graph.initializer.remove(value)


def _strip(model: onnx.ModelProto) -> None:
    """Removes the exporter's notes: a tenth of the file, with paths of this machine's sources."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]


def _take_bytes(model: onnx.ModelProto) -> None:
    """Makes the input uint8; the conversion to float comes after the transposition of bytes."""
    graph = model.graph
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    (index,) = (i for i, node in enumerate(graph.node) if "rgb" in node.input)
    transpose = graph.node[index]
    assert transpose.op_type == "Transpose"
    wanted = transpose.output[0]
    transpose.output[0] = "rgb_nchw"
    cast = onnx.helper.make_node("Cast", ["rgb_nchw"], [wanted], to=onnx.TensorProto.FLOAT)
    graph.node.insert(index + 1, cast)


def _calibration_reader(pictures: Iterable[NDArray[np.float32]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(pictures)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self.left, None)
            return None if picture is None else {"rgb": picture}

    return Reader()


@contextlib.contextmanager
def _python_log_quiet() -> Iterator[None]:
    """Silences notes that both exporters write to Python's root logger and to the warnings.

    They are about torchvision, which is not used, and about a preprocessing step that the
    exporter has already done (folding batch norms).
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(disabled)
