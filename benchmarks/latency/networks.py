"""The published networks as .tflite files that TensorFlow Lite 2.5 runs.

    python benchmarks/latency/networks.py FOLDER [NAME ...]

Names are those of the published rows, like `mobilenet-v2-0.35-96-quantized`; `-int8` is the newer
quantization, signed and with one scale a channel.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from architectures import Layers, efficientnet_lite, mobilenet_v1, mobilenet_v2, resnet50
from bench_depth.core.errors import BAD_INPUT, UserError
from bench_depth.core.files import write_bytes
from detectors import efficientdet_lite, mobilenet_v3, ssd_mobilenet_v2
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.convert.op_versions import check_runtime
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.host.quiet import native_quiet

RUNTIME = "2.5"
_NAME = re.compile(
    r"(?:mobilenet-v(?P<version>[12])-(?P<width>[\d.]+)-(?P<side>\d+)"
    r"|mobilenet-v3-(?P<v3>large|small)|(?P<ssd>ssd|ssdlite)-mobilenet-v2"
    r"|efficientnet-lite(?P<lite>[0-4])|efficientdet-lite(?P<detector>[0-3])|(?P<resnet>resnet50))"
    r"(?P<dtype>-quantized|-int8|-non-quantized|)"
)
# Side of the picture, width, depth.
_LITE = {
    "0": (224, 1.0, 1.0),
    "1": (240, 1.0, 1.1),
    "2": (260, 1.1, 1.2),
    "3": (280, 1.2, 1.4),
    "4": (300, 1.4, 1.8),
}
# Side of the picture; width and depth of the backbone; channels, cells, repeats of the heads.
_DETECTORS = {
    "0": (320, 1.0, 1.0, 64, 3, 3),
    "1": (384, 1.0, 1.1, 88, 4, 3),
    "2": (448, 1.1, 1.2, 112, 5, 3),
    "3": (512, 1.2, 1.4, 160, 6, 4),
}


@dataclass(frozen=True)
class Network:
    """One published network.

    Attributes:
        name: Name of the published row.
        family: Networks that share an architecture.
        dtype: `fp32` or `quantized`.
        side: Height and width of the square picture, pixels.
        build: Adds the network to layers, given the picture; gives the class probabilities.
    """

    name: str
    family: str
    dtype: str
    side: int
    build: Callable[[Layers, Any], Any]

    @property
    def legacy_uint8(self) -> bool:
        """Whether the published file is of the older quantization: uint8, one scale a tensor."""
        return self.name.endswith("-quantized") and self.family.startswith("mobilenet")


def network(name: str) -> Network:
    """The network of a published row.

    Raises:
        UserError: The name is unknown.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(
            f"no network {name!r} is known; see benchmarks/latency/README.md", BAD_INPUT
        )
    dtype = "quantized" if match["dtype"] in ("-quantized", "-int8") else "fp32"
    if match["resnet"]:
        return Network(name, "resnet50", dtype, 224, resnet50)
    if match["v3"]:
        return Network(name, "mobilenet-v3", dtype, 224, partial(mobilenet_v3, size=match["v3"]))
    if match["ssd"]:
        build = partial(ssd_mobilenet_v2, lite=match["ssd"] == "ssdlite")
        return Network(name, "ssd-mobilenet-v2", dtype, 300, build)
    if match["detector"]:
        side, *sizes = _DETECTORS[match["detector"]]
        names = ("width", "depth", "channels", "cells", "repeats")
        build = partial(efficientdet_lite, **dict(zip(names, sizes, strict=True)))
        return Network(name, "efficientdet-lite", dtype, side, build)
    if match["lite"]:
        side, width, depth = _LITE[match["lite"]]
        build = partial(efficientnet_lite, width=width, depth=depth)
        return Network(name, "efficientnet-lite", dtype, side, build)
    build = {"1": mobilenet_v1, "2": mobilenet_v2}[match["version"]]
    build = partial(build, width=float(match["width"]))
    return Network(name, f"mobilenet-v{match['version']}", dtype, int(match["side"]), build)


def macs(wanted: Network) -> int:
    """Multiply-accumulates of one picture."""
    layers = Layers()
    tf.function(partial(wanted.build, layers)).get_concrete_function(_picture(wanted))
    return layers.macs


def convert(wanted: Network) -> bytes:
    """The network as a .tflite file of TensorFlow Lite 2.5."""
    holder = tf.Module()
    holder.network = tf.function(partial(wanted.build, Layers()), autograph=False)
    function = holder.network.get_concrete_function(_picture(wanted))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    if wanted.dtype == "quantized":
        _quantize(converter, wanted)
    with native_quiet():
        data = bytes(converter.convert())
    if wanted.legacy_uint8:
        data = as_uint8(data)
    check_runtime(Path(f"{wanted.name}.tflite"), RUNTIME, data)
    return data


def _picture(wanted: Network) -> Any:
    return tf.TensorSpec((1, wanted.side, wanted.side, 3), tf.float32)


def _quantize(converter: Any, wanted: Network) -> None:
    random = np.random.default_rng(0)
    shape = (1, wanted.side, wanted.side, 3)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [random.uniform(-1, 1, shape).astype(np.float32)] for _ in range(2)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if wanted.legacy_uint8:
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # As `as_uint8` needs it.
        converter._experimental_disable_per_channel = True
    else:
        converter.inference_input_type = converter.inference_output_type = tf.uint8


def as_uint8(data: bytes) -> bytes:
    """An int8 file with one scale a tensor -> the same numbers in the older uint8 quantization.

    Values and zero points move by 128. Ops of uint8 are version 1, whose kernels are others than
    those of int8.
    """
    model = unpack(data)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        if tensor.type != schema.TensorType.INT8:
            continue
        assert len(tensor.quantization.scale) == 1, tensor.name
        tensor.type = schema.TensorType.UINT8
        tensor.quantization.zeroPoint = tensor.quantization.zeroPoint + 128
        buffer = model.buffers[tensor.buffer]
        if buffer.data is not None:
            buffer.data = buffer.data ^ np.uint8(128)
    for code in model.operatorCodes:
        code.version = 1
    return pack(model)


def write(folder: Path, wanted: Network) -> Path:
    """Writes the file where it is missing; gives its path."""
    path = folder / f"{wanted.name}.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, convert(wanted))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    for one in options.names:
        print(write(options.folder, network(one)), file=sys.stderr)
