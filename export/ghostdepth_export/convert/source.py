"""What the formats are built from: a network at a camera's size, lowered once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
import torch
from bench_depth.core.dataset import Pair, read_stored_rgb
from ghostdepth_train.models.network import CameraNet, DepthNet
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ghostdepth_export.convert.lowering import Lowered
    from ghostdepth_train.quantization.torch_graph import TorchGraph

T = TypeVar("T")
CALIBRATION_IMAGES = 32
MIN_CALIBRATION_IMAGES = 4


@dataclass(frozen=True)
class ExportSource:
    """What every format is built from: a network at a camera's size, lowered once for all of them.

    Attributes:
        network: The network, in eval mode.
        height: Rows of the camera's image.
        width: Columns of the camera's image.
        pairs: Real images for calibration.
        ranges: Contents of the checkpoint's `ranges.json`; with them int8 needs no calibration.
        depth_size: Height and width of the depth map, in pixels; None for the camera's.
        hfov: Horizontal field of view of the camera, degrees; None for that of the training data.
    """

    network: DepthNet
    height: int
    width: int
    pairs: Sequence[Pair]
    ranges: Mapping[str, Any] | None = None
    depth_size: tuple[int, int] | None = None
    hfov: float | None = None

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the depth map, in pixels."""
        return self.depth_size or (self.height, self.width)

    @cached_property
    def camera(self) -> CameraNet:
        """The network from raw RGB to metres."""
        return CameraNet(self.network, *self.output_size, self.hfov).eval()

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of the input, 1xHxWx3."""
        return (1, self.height, self.width, 3)

    @property
    def state_shape(self) -> tuple[int, ...] | None:
        """1xCxHxW of the state of a stream; None for a network without one."""
        shape = self.network.state_shape
        return None if shape is None else (1, *shape)

    @cached_property
    def traced(self) -> TorchGraph:
        """The whole network's graph; tracing takes seconds."""
        from ghostdepth_train.quantization.tracing import trace

        return trace(self.camera, self.input_shape, self.state_shape)

    @cached_property
    def traced_trunk(self) -> TorchGraph:
        """The graph of the part that can run in int8."""
        from ghostdepth_train.quantization.tracing import trace

        return trace(self.camera.trunk, self.input_shape, self.state_shape)

    @cached_property
    def lowered(self) -> Lowered:
        """The whole network in TensorFlow."""
        from ghostdepth_export.convert.lowering import lower_graph

        return lower_graph(self.traced)

    @cached_property
    def lowered_without_blocks(self) -> Lowered:
        """The whole network, for files with quantized weights and float activations.

        The kernel of a block of pixels is large enough to be quantized, and in TensorFlow Lite 2.5
        such a convolution gives the same number everywhere. The head's own kernel stays in float.
        """
        from ghostdepth_export.convert.lowering import lower_graph

        return lower_graph(self.traced, blocks=False)

    @cached_property
    def lowered_trunk(self) -> Lowered:
        """The part that can run in int8, in TensorFlow."""
        from ghostdepth_export.convert.lowering import lower_graph

        return lower_graph(self.traced_trunk, pixels=True, ranges=self.ranges)

    @cached_property
    def lowered_tail(self) -> Lowered:
        """The part that stays in float, in TensorFlow."""
        from ghostdepth_export.convert.lowering import lower

        return lower(self.camera.tail, (1, 1, *network_size(self.network)))

    @cached_property
    def onnx_model(self) -> Any:
        """The whole network as an `onnx.ModelProto` in float32."""
        from ghostdepth_export.convert import onnx_files

        return onnx_files.convert(self.camera, self.input_shape, self.state_shape)

    def calibration_images(self) -> list[NDArray[np.float32]]:
        """At most `CALIBRATION_IMAGES` network inputs: 1xHxWx3 float32, 0..255."""
        chosen = evenly(self.pairs, CALIBRATION_IMAGES)
        return [self.network_input(read_stored_rgb(pair.rgb)) for pair in chosen]

    def with_states(self, images: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """All inputs of the network for each of several pictures.

        For a stream the state follows the picture: 1xCxHxW float32 that the pictures before leave,
        empty at the first.
        """
        if self.state_shape is None:
            return [[image] for image in images]
        state, inputs = np.zeros(self.state_shape, np.float32), []
        for image in images:
            inputs.append([image, state])
            _, state = self._run(image, state)
        return inputs

    def network_input(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Resizes an image (any height x any width x 3, uint8) to 1xHxWx3 float32, 0..255."""
        if rgb.shape[:2] != (self.height, self.width):
            rgb = np.asarray(cv2.resize(rgb, (self.width, self.height)), np.uint8)
        return rgb[None].astype(np.float32)

    def predict(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs torch on a network input, of a stream on the state as well: HxW metres."""
        return self._run(*inputs)[0][0, :, :, 0]

    @torch.no_grad()
    def _run(self, *inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        results = self.camera(*map(torch.from_numpy, inputs))
        results = results if isinstance(results, tuple) else (results,)
        return [np.asarray(result.numpy()) for result in results]


def network_size(network: DepthNet) -> tuple[int, int]:
    """Height and width of the depth map that a network computes, before it is upsampled."""
    config = network.config
    stride = config.decoder.output_stride
    # The stem and every later stride-2 layer round up.
    return -(-config.input_height // stride), -(-config.input_width // stride)


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, spread evenly over the sequence."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]
