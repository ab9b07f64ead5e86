"""How TensorFlow Lite 2.5 splits the work of an op among its threads.

The rules are those of tensorflow/lite/kernels at version 2.5, as built for aarch64 with ruy:
conv.cc, fully_connected.cc and cpu_backend_gemm.h call ruy or, for a single column, the kernels of
cpu_backend_gemm_custom_gemv.h; depthwise_conv.cc the workers of
internal/optimized/depthwiseconv_multithread.h (float32, uint8) and
internal/optimized/integer_ops/depthwise_conv.h (int8); reduce.cc those of `Mean` for 8 bits. No
other kernel of an image network uses the pool: resizing, ADD, MUL, CONCATENATION, pooling, padding,
QUANTIZE and activations run on the calling thread.

Other ops and data types (int16 activations, float activations with int8 weights, TRANSPOSE_CONV,
SOFTMAX of several rows, ...) have other kernels, which were not checked: `is_checked` is false, and
the time of one thread stands for any number.
"""

from __future__ import annotations

import math

from ghostdepth_export.pi4.latency.ruy import ALONE, ThreadSplit, split_product
from ghostdepth_export.pi4.latency.work import OpWork

# depthwiseconv_multithread.h, kMinMulPerThread.
_DEPTHWISE_MACS = 1 << 13
# `LegacyHowManyThreads` of internal/optimized/optimized_ops.h, for matrix times vector.
_VECTOR_MACS = 1 << 16
_VECTOR_ROWS = 4
# `Mean` of internal/optimized/integer_ops/mean.h and optimized_ops.h, kMinDepthPerThread.
_MEAN_CHANNELS = 8
_IMAGE_DIMENSIONS = 4
_TYPES = ("FLOAT32", "INT8", "UINT8")
_SPLIT = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Ops whose kernels run on the calling thread, MEAN of 8 bits apart.
_ALONE = """
    ADD SUB MUL DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE NEG ABS EXP LOG SQRT RSQRT SQUARE
    RELU RELU6 RELU_N1_TO_1 LEAKY_RELU PRELU ELU HARD_SWISH LOGISTIC TANH
    AVERAGE_POOL_2D MAX_POOL_2D MEAN SUM PAD PADV2 MIRROR_PAD RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR CONCATENATION SPLIT SLICE STRIDED_SLICE RESHAPE SQUEEZE EXPAND_DIMS
    TRANSPOSE DEPTH_TO_SPACE SPACE_TO_DEPTH QUANTIZE DEQUANTIZE CAST SHAPE PACK UNPACK
"""
# `ExtractPatchIntoBufferColumn` of internal/optimized/im2col_utils.h copies runs of bytes. The
# cycles are the difference between the counts of a larger convolution and of the 1x1 convolution
# with the same product; twelve such pairs, with runs of 9 to 3072 bytes, are within 15 %.
_CYCLES_PER_RUN, _CYCLES_PER_BYTE = 22.0, 0.12


def is_checked(op: OpWork) -> bool:
    """Whether it was checked how TensorFlow Lite 2.5 splits an op of these data types."""
    alone = op.name in _ALONE.split()
    if op.dtype not in _TYPES or op.weights not in (None, op.dtype):
        # Integers are indices and shapes: no work to share.
        return alone and op.dtype in ("INT32", "INT64")
    if op.name == "SOFTMAX":
        return math.prod(op.output[:-1]) == 1  # Rows are shared out, and this is one.
    return alone or op.name in _SPLIT


def threads_used(op: OpWork, threads: int) -> int:
    """The number of threads that share the work of one op.

    Args:
        op: Op from `read_work`.
        threads: Number of threads of the interpreter, 1..4.

    Returns:
        1..threads.
    """
    return split(op, threads).threads


def split(op: OpWork, threads: int) -> ThreadSplit:
    """How the work of one op is split.

    Args:
        op: Op from `read_work`.
        threads: Number of threads of the interpreter, 1..4.
    """
    if not is_checked(op):
        return ALONE
    if op.name in ("CONV_2D", "FULLY_CONNECTED"):
        columns = math.prod(op.output[:-1])
        depth = math.prod(op.inputs[1][1:])
        if columns == 1:
            return _vector(op.output[-1], depth, threads)
        return split_product(op.output[-1], columns, depth, op.itemsize, threads)
    if op.name == "DEPTHWISE_CONV_2D":
        return _depthwise(op, threads)
    if op.name == "MEAN" and op.dtype != "FLOAT32" and len(op.inputs[0]) == _IMAGE_DIMENSIONS:
        channels = op.output[-1]
        return _in_turn(channels, min(threads, channels // _MEAN_CHANNELS))
    return ALONE


def busiest_cycles(op: OpWork, cycles: float, threads: int) -> float:
    """Cycles until the last thread has finished an op.

    A convolution that is not 1x1 with stride 1 first copies its patches to a matrix (im2col) on the
    calling thread; only the product is split.

    Args:
        op: Op from `read_work`.
        cycles: Cycles of the whole op on one thread.
        threads: Number of threads of the interpreter, 1..4.
    """
    alone = min(im2col_cycles(op), cycles)
    return alone + (cycles - alone) / split(op, threads).speed_up


def im2col_cycles(op: OpWork) -> float:
    """Cycles of copying patches to a matrix, which one thread does; 0 for what needs none."""
    if op.name != "CONV_2D":
        return 0.0
    height, width, channels = op.inputs[1][1:]
    if height == width == 1 and op.inputs[0][1:3] == op.output[1:3]:
        return 0.0
    runs = math.prod(op.output[:-1]) * height
    return runs * (_CYCLES_PER_RUN + _CYCLES_PER_BYTE * width * channels * op.itemsize)


def _vector(rows: int, depth: int, threads: int) -> ThreadSplit:
    """Matrix times vector: each thread takes groups of rows."""
    used = min(threads, rows // _VECTOR_ROWS, rows * depth // _VECTOR_MACS)
    if used <= 1:
        return ALONE
    busiest = -(-math.ceil(rows / used) // _VECTOR_ROWS) * _VECTOR_ROWS
    return ThreadSplit(used, rows / busiest)


def _depthwise(op: OpWork, threads: int) -> ThreadSplit:
    """Split by rows of the output, or by images of a batch."""
    batches, rows = op.output[:2]
    if op.dtype == "INT8":
        # The kernel's threshold is 8 multiplications per thread; one row has more.
        length = batches if batches > rows else rows
        return _in_turn(length, min(threads, length))
    used = min(threads, op.macs // _DEPTHWISE_MACS)
    by_batch = batches >= 2 * used or (batches >= used and batches % max(used, 1) == 0)
    return _in_turn(batches if by_batch else rows, used)


def _in_turn(length: int, threads: int) -> ThreadSplit:
    """Rows or channels, of which each thread in turn takes its fraction of the remaining ones."""
    if threads <= 1:
        return ALONE
    # The last thread gets the most.
    return ThreadSplit(threads, length / math.ceil(length / threads))
