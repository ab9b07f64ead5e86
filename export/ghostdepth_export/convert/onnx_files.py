"""The network as .onnx files: float32 by torch's exporter, int8 by ONNX Runtime's quantizer."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from bench_depth.core.temporary import fresh_folder
from bench_depth.model.contract import STATE_IN, STATE_OUT, StateTensor
from ghostdepth_train.quantization import Range, find_quantized_tensors, read_ranges
from ghostdepth_train.quantization.ranges import LOWEST
from ghostdepth_train.quantization.torch_graph import TorchGraph
from numpy.typing import NDArray
from onnx.numpy_helper import from_array, to_array
from torch import nn

OPSET = 18
# Opset 18 is ONNX 1.13 with file format 8; the oldest ONNX Runtime that reads it is listed in
# https://onnxruntime.ai/docs/reference/compatibility.html.
IR_VERSION = 8
MINIMUM_RUNTIME = "1.14.0"
_RENAMED = (torch.ops.aten.reshape.default, torch.ops.aten.transpose.int)


def convert(
    module: nn.Module, input_shape: tuple[int, ...], state_shape: tuple[int, ...] | None = None
) -> onnx.ModelProto:
    """Exports a module; the input is called `rgb`, the output `depth`.

    Args:
        module: Module with one float32 input and one float32 output.
        input_shape: Shape of the input.
        state_shape: Shape of the state of a stream, a second input and output; None for a module
            without.
    """
    shapes = (input_shape,) if state_shape is None else (input_shape, state_shape)
    with _python_log_quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(map(torch.zeros, shapes)),
            dynamo=True,
            opset_version=OPSET,
            input_names=["rgb", STATE_IN][: len(shapes)],
            output_names=["depth", STATE_OUT][: len(shapes)],
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
    inputs: Iterable[Sequence[NDArray[np.float32]]],
    known: Mapping[str, Range] | None = None,
) -> onnx.ModelProto:
    """Quantizes a float model to int8 with QuantizeLinear / DequantizeLinear pairs.

    The weights are quantized per channel and symmetrically, the activations per tensor. The ops
    before the first convolution and after the last one stay in float: they are cheap, and 8-bit
    steps there cost accuracy. The input becomes uint8 pixels.

    Args:
        model: Float model from `convert`; it is not changed.
        inputs: Calibration inputs as `ExportSource.with_states` gives them.
        known: Fixed ranges by tensor name; the other tensors get theirs from calibration.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    nodes = list(model.graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    ends = [*nodes[: convolutions[0]], *nodes[convolutions[-1] + 1 :]]
    with fresh_folder("ghostdepth-quantize-") as folder, _python_log_quiet():
        target = folder / "int8.onnx"
        quantize_static(
            onnx.ModelProto.FromString(model.SerializeToString()),
            target,
            _calibration_reader(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in ends],
            extra_options={"TensorQuantOverrides": _overrides(known or {})},
        )
        quantized = onnx.load(target)
    _make_input_uint8(quantized)
    return quantized


def known_ranges(model: onnx.ModelProto, traced: TorchGraph, ranges: Any) -> dict[str, Range]:
    """The ranges of a checkpoint's `ranges.json` by tensor name of the ONNX model.

    The exporter keeps torch's names except for convolutions with a folded batch norm, which are
    found by their weights, and for ops that only move numbers, whose range is that of their input.

    Args:
        model: Float model from `convert` that contains the trunk.
        traced: Graph of the trunk, from images to encoded depth.
        ranges: JSON values of `ranges.json`.

    Raises:
        UserError: The ranges belong to another network.
    """
    quantized = find_quantized_tensors(traced)
    read = read_ranges(ranges, set(quantized.names.values()), "ranges.json")
    convolutions = {n.input[1]: n.output[0] for n in model.graph.node if n.op_type == "Conv"}
    outputs = {name for node in model.graph.node for name in node.output}
    known = {}
    for node, name in quantized.names.items():
        if node.target in _RENAMED:
            continue
        own = convolutions[f"trunk.{node.meta['weight']}"] if "weight" in node.meta else node.name
        assert own in outputs, own
        known[own] = read[name]
    return known


def _overrides(known: Mapping[str, Range]) -> dict[str, Any]:
    """Ranges in the form of ONNX Runtime's quantizer: uint8, so zero points are 128 larger."""
    return {
        name: [
            {
                "scale": np.array(r.scale, np.float32),
                "zero_point": np.array(r.zero_point - LOWEST, np.uint8),
            }
        ]
        for name, r in known.items()
    }


def state_tensor(data: bytes) -> StateTensor | None:
    """The state of a stream in a model's bytes; None for a model without one."""
    graph = onnx.ModelProto.FromString(data).graph
    if len(graph.input) == 1:
        return None
    n, c, h, w = (int(dim.dim_value) for dim in graph.input[1].type.tensor_type.shape.dim)
    return StateTensor(STATE_IN, STATE_OUT, (n, c, h, w), "float32")


def finish(data: bytes, name: str, contract: str) -> bytes:
    """Writes the contract (JSON) into the model's properties and checks the model."""
    model = onnx.ModelProto.FromString(data)
    entry = model.metadata_props.add()
    entry.key, entry.value = name, contract
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _fold_bias_additions(graph: onnx.GraphProto) -> None:
    """Folds conv(x) + scalar into the bias of the convolution: one rounding less in int8."""
    values = {value.name: value for value in graph.initializer}
    convolutions = {node.output[0]: node for node in graph.node if node.op_type == "Conv"}
    used = Counter(name for node in graph.node for name in node.input)
    for add in [node for node in graph.node if node.op_type == "Add"]:
        conv, scalar = convolutions.get(add.input[0]), values.get(add.input[1])
        if conv is None or scalar is None or used[add.input[0]] != 1:
            continue
        addend = to_array(scalar)
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
    """Removes the exporter's notes: a tenth of the file, with paths of the machine that ran it."""
    graph = model.graph
    for proto in (graph, *graph.node, *graph.initializer, *graph.value_info):
        proto.doc_string = ""
        del proto.metadata_props[:]


def _make_input_uint8(model: onnx.ModelProto) -> None:
    """Makes the input uint8; it is converted to float after the transpose, which moves bytes."""
    graph = model.graph
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    (index,) = (i for i, node in enumerate(graph.node) if "rgb" in node.input)
    transpose = graph.node[index]
    assert transpose.op_type == "Transpose"
    wanted = transpose.output[0]
    transpose.output[0] = "rgb_nchw"
    cast = onnx.helper.make_node("Cast", ["rgb_nchw"], [wanted], to=onnx.TensorProto.FLOAT)
    graph.node.insert(index + 1, cast)


def _calibration_reader(inputs: Iterable[Sequence[NDArray[np.float32]]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.remaining = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            values = next(self.remaining, None)
            return None if values is None else dict(zip(("rgb", STATE_IN), values, strict=False))

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
