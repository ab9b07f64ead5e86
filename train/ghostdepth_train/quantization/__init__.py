"""Int8 as TensorFlow Lite has it: which tensors are quantized, with which ranges, and a simulation.

Weights: symmetric, per channel, -127..127, scale = largest absolute value / 127. Activations:
per tensor, asymmetric, -128..127. Biases: 32 bits.
"""

from ghostdepth_train.quantization.quantized_tensors import (
    QuantizedTensors,
    Trunk,
    find_quantized_tensors,
)
from ghostdepth_train.quantization.ranges import PIXELS, STATE, Range, read_ranges, write_ranges

__all__ = [
    "PIXELS",
    "STATE",
    "QuantizedTensors",
    "Range",
    "Trunk",
    "find_quantized_tensors",
    "read_ranges",
    "write_ranges",
]
