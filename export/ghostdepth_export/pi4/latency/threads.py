"""How TensorFlow Lite 2.5 shares the work of an op among its threads.

Read in tensorflow/lite/kernels at the time of 2.5, as built for aarch64 with ruy: conv.cc,
fully_connected.cc and cpu_backend_gemm.h call ruy or, for a single column, the kernels of
cpu_backend_gemm_custom_gemv.h; depthwise_conv.cc the workers of
internal/optimized/depthwiseconv_multithread.h (float32, uint8) and
internal/optimized/integer_ops/depthwise_conv.h (int8); reduce.cc those of `Mean` for 8 bits. No
other kernel of an image network uses the pool: resizing, ADD, MUL, CONCATENATION, pooling, padding,
QUANTIZE and activations run on the calling thread.
"""

from __future__ import annotations

import math

from ghostdepth_export.pi4.latency.ruy import ALONE, Split, split_product
from ghostdepth_export.pi4.latency.work import OpWork

# depthwiseconv_multithread.h, kMinMulPerThread.
_DEPTHWISE_MACS = 1 << 13
# `LegacyHowManyThreads` of internal/optimized/optimized_ops.h, for matrix times vector.
_VECTOR_MACS = 1 << 16
_VECTOR_ROWS = 4
# `Mean` of internal/optimized/integer_ops/mean.h and optimized_ops.h, kMinDepthPerThread.
_MEAN_CHANNELS = 8
_PICTURE = 4
# `ExtractPatchIntoBufferColumn` of internal/optimized/im2col_utils.h copies run by run. Cycles are
# the difference of two counts: a wider convolution, and the 1x1 one with the same product; twelve
# such pairs, runs of 9 to 3072 bytes, are within 15 %.
_CYCLES_PER_RUN, _CYCLES_PER_BYTE = 22.0, 0.12


def threads_used(op: OpWork, threads: int) -> int:
    """The threads that share the work of one op.

    Args:
        op: From `read_work`.
        threads: Of the interpreter, 1..4.

    Returns:
        1..threads.
    """
    return split(op, threads).threads


def split(op: OpWork, threads: int) -> Split:
    """How the work of one op is shared.

    Args:
        op: From `read_work`.
        threads: Of the interpreter, 1..4.
    """
    if op.name in ("CONV_2D", "FULLY_CONNECTED"):
        columns = math.prod(op.output[:-1])
        depth = math.prod(op.inputs[1][1:])
        if columns == 1:
            return _vector(op.output[-1], depth, threads)
        return split_product(op.output[-1], columns, depth, _itemsize(op), threads)
    if op.name == "DEPTHWISE_CONV_2D":
        return _depthwise(op, threads)
    if op.name == "MEAN" and op.dtype != "FLOAT32" and len(op.inputs[0]) == _PICTURE:
        channels = op.output[-1]
        return _in_turn(channels, min(threads, channels // _MEAN_CHANNELS))
    return ALONE


def busiest_cycles(op: OpWork, cycles: float, threads: int) -> float:
    """Cycles until the last thread has done its part of an op.

    A convolution that is not 1x1 with stride 1 first lays out its patches as a matrix (im2col) on
    the calling thread; only the product is shared.

    Args:
        op: From `read_work`.
        cycles: Of all its work, on one thread.
        threads: Of the interpreter, 1..4.
    """
    alone = min(_im2col_cycles(op), cycles)
    return alone + (cycles - alone) / split(op, threads).speed_up


def _im2col_cycles(op: OpWork) -> float:
    if op.name != "CONV_2D":
        return 0.0
    height, width, channels = op.inputs[1][1:]
    if height == width == 1 and op.inputs[0][1:3] == op.output[1:3]:
        return 0.0
    runs = math.prod(op.output[:-1]) * height
    return runs * (_CYCLES_PER_RUN + _CYCLES_PER_BYTE * width * channels * _itemsize(op))


def _vector(rows: int, depth: int, threads: int) -> Split:
    """Matrix times vector: whole groups of rows for each thread."""
    used = min(threads, rows // _VECTOR_ROWS, rows * depth // _VECTOR_MACS)
    if used <= 1:
        return ALONE
    most = -(-math.ceil(rows / used) // _VECTOR_ROWS) * _VECTOR_ROWS
    return Split(used, rows / most)


def _depthwise(op: OpWork, threads: int) -> Split:
    """By rows of the output; a batch of pictures in as many parts as there are threads."""
    batches, rows = op.output[:2]
    if op.dtype == "INT8":
        # The threshold there is 8 multiplications for each thread: one row has more.
        length = batches if batches > rows else rows
        return _in_turn(length, min(threads, length))
    used = min(threads, op.macs // _DEPTHWISE_MACS)
    whole = batches >= 2 * used or (batches >= used and batches % max(used, 1) == 0)
    return _in_turn(batches if whole else rows, used)


def _in_turn(length: int, threads: int) -> Split:
    """So many rows or channels, each thread taking its part of what is left."""
    if threads <= 1:
        return ALONE
    # The last part is the longest.
    return Split(threads, length / math.ceil(length / threads))


def _itemsize(op: OpWork) -> int:
    return 4 if op.dtype == "FLOAT32" else 1
