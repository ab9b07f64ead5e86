"""Published networks as .onnx files, for ONNX Runtime.

    python benchmarks/latency/onnx_networks.py FILE.onnx [--timm]

FILE.onnx is MobileNet v1, 1.0, 224; with --timm the network of timm (or, where timm has none, of
torchvision) that is named like the file, for pictures of 224x224. Weights are random; those of
MobileNet v1 have folded batch norms, as in architectures.py.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import onnx
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from onnx import helper, numpy_helper

# Output channels and stride of the 13 separable convolutions: arXiv:1704.04861, table 1.
_V1 = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), *((512, 1),) * 5),
    *((1024, 2), (1024, 1)),
)
_SIDE, _CLASSES = 224, 1000
_OPSET, _IR = 17, 9


class _Graph:
    """Nodes one after another, and their weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.last = "picture"
        self._random = np.random.default_rng(0)

    def add(self, op: str, *weights: tuple[int, ...], **attributes: object) -> None:
        """A node that takes the last one's output and random weights of these shapes."""
        name = f"{op}{len(self.nodes)}"
        names = [f"{name}.{index}" for index in range(len(weights))]
        for each, shape in zip(names, weights, strict=True):
            spread = 1 / math.sqrt(math.prod(shape[1:]))
            value = self._random.normal(0, spread, shape).astype(np.float32)
            self.weights.append(numpy_helper.from_array(value, each))
        self.nodes.append(helper.make_node(op, [self.last, *names], [name], name, **attributes))
        self.last = name

    def conv(self, depth: int, channels: int, size: int, stride: int, groups: int = 1) -> None:
        """A convolution with bias, and ReLU."""
        pads = [0, 0, 1, 1] if stride == 2 else [size // 2] * 4
        weights = (channels, depth // groups, size, size), (channels,)
        self.add("Conv", *weights, strides=[stride] * 2, pads=pads, group=groups)
        self.add("Relu")


def mobilenet_v1() -> bytes:
    """MobileNet v1 of width 1 for pictures of 1x3x224x224; gives 1x1000 logits."""
    graph = _Graph()
    graph.conv(3, 32, 3, 2)
    depth = 32
    for channels, stride in _V1:
        graph.conv(depth, depth, 3, stride, depth)
        graph.conv(depth, channels, 1, 1)
        depth = channels
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.add("Gemm", (_CLASSES, depth), (_CLASSES,), transB=1)
    kind = onnx.TensorProto.FLOAT
    picture = helper.make_tensor_value_info("picture", kind, [1, 3, _SIDE, _SIDE])
    logits = helper.make_tensor_value_info(graph.last, kind, [1, _CLASSES])
    made = helper.make_graph(graph.nodes, "mobilenet-v1", [picture], [logits], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def write_timm(file: Path) -> Path:
    """Writes the network of timm or torchvision that is named like the file; gives the file.

    Raises:
        UserError: timm is not installed, or neither has such a network.
    """
    try:
        import timm
        import torchvision
    except ImportError as error:
        raise UserError(f'{error}; pip install -e ".[timm]"') from error
    import torch

    name = file.stem
    if timm.is_model(name):
        network = timm.create_model(name)
    elif name in torchvision.models.list_models():
        network = torchvision.models.get_model(name, weights=None)
    else:
        raise UserError(f"neither timm nor torchvision has a network {name!r}")
    picture = torch.zeros(1, 3, _SIDE, _SIDE)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(network.eval(), (picture,), str(file), opset_version=_OPSET, dynamo=False)
    return file


def main() -> int:
    """Writes the file; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE.onnx")
    parser.add_argument("--timm", action="store_true", help="of timm, named like the file")
    options = parser.parse_args()
    if options.timm:
        write_timm(options.file)
    else:
        write_bytes(options.file, mobilenet_v1())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("onnx_networks.py", main))
