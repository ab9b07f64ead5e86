"""How LiteRT's XNNPACK and ONNX Runtime share the work of an op among threads.

XNNPACK runs every operator through `pthreadpool_parallelize_*` (src/operator-run.c): its range is
cut into tiles, each thread starts with as many, and takes over those of others when it has done its
own. How many tiles each operator has for four threads is read from LiteRT itself when a model is
counted. An operator of one tile runs on the calling thread, and so does an op that LiteRT keeps.

ONNX Runtime 1.32 (onnxruntime/core/mlas/lib, onnxruntime/core/providers/cpu,
onnxruntime/core/common/threadpool.cc):

- Convolutions and matrix products get one thread more for every 65,536 multiply-accumulates
  (`MLAS_SGEMM_THREAD_COMPLEXITY`, `MLAS_QGEMM_THREAD_COMPLEXITY`; convolve.cpp cuts the output's
  pixels, or its groups, evenly; `ConvAttributes::ComputeOutputStride` of QLinearConv has the same
  measure). At the most that a Cortex-A72 does, 4 in a cycle, they take 16,384 cycles.
- Pooling and resizing of NCHW tensors cut the channels (pooling.cpp, upsample.h): a map of one
  channel is resized by one thread.
- Elementwise ops ask Eigen's cost model (`kStartupCycles` and `kPerThreadCycles` are 100,000): a
  thread for every 100,000 cycles that it expects, the first 10,000 of which do not count. It
  expects some 3 an element, whatever the op really takes. So does resizing of NHWC tensors, with 2;
  a graph with QLinearConv is in NHWC but for maps of one channel.
- Casts, concatenation, transposition, padding, slices and changes of the shape run on the calling
  thread.

benchmarks/instructions/threads.py compares these rules with what four threads do.

What is in none of these groups counts as unchecked: the time of one thread is taken.
"""

from __future__ import annotations

import math

from ghostdepth_export.pi4.counter import ModelCounts, OpCounts
from ghostdepth_export.pi4.latency.ruy import ALONE, ThreadSplit

_PRODUCTS = """
    Conv FusedConv ConvInteger QLinearConv ConvTranspose Gemm FusedGemm QGemm MatMul FusedMatMul
    MatMulInteger QLinearMatMul DynamicQuantizeMatMul
"""
_CHANNELS = """
    Resize Upsample AveragePool MaxPool GlobalAveragePool GlobalMaxPool QLinearAveragePool
    QLinearGlobalAveragePool
"""
_ELEMENTWISE = """
    Add Sub Mul Div Max Min Relu LeakyRelu PRelu Clip Sigmoid HardSigmoid HardSwish Tanh Exp Log
    Sqrt Abs Neg Pow Erf QuickGelu QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu
    QuantizeLinear DequantizeLinear Sum Where
"""
_ALONE = """
    Cast Concat QLinearConcat Transpose Pad Slice Split Reshape Squeeze Unsqueeze Flatten Identity
    Shape Gather Constant Expand DepthToSpace
"""
_RESIZING = ("Resize", "Upsample")
_PRODUCT_CYCLES = 65_536 / 4
# `CostModel::numThreads` of Eigen's TensorCostModel.h.
_STARTUP_CYCLES, _THREAD_CYCLES, _ROUNDING = 100_000, 100_000, 0.9
# The cycles that it expects for an element: 12 bytes, 11/64 each, and the computation; of resizing.
_ELEMENT_CYCLES, _RESIZED_CYCLES = 3, 2


def in_nhwc(counts: ModelCounts) -> bool:
    """Whether ONNX Runtime computes a graph in NHWC: one that has 8-bit convolutions."""
    return any(op.name == "QLinearConv" for op in counts.ops)


def share(op: OpCounts, runtime: str, threads: int, nhwc: bool = False) -> ThreadSplit | None:
    """How the work of an op is shared; None where the rule is not known.

    Args:
        op: Counts of the op on one thread.
        runtime: `litert` or `onnxruntime`.
        threads: Number of threads of the interpreter or session, 1..4.
        nhwc: `in_nhwc` of the graph.
    """
    if runtime == "litert":
        return ALONE if op.tasks is None else _tiles(op.tasks, threads)
    if op.name in _PRODUCTS.split():
        used = min(threads, math.floor(op.counts.cycles / _PRODUCT_CYCLES) + 1)
        return ThreadSplit(used, used)
    sizes = [int(size) for size in op.shape.split("x") if size]
    if nhwc and op.name in _RESIZING and sizes[1:2] != [1]:
        return _expected(_RESIZED_CYCLES * math.prod(sizes), threads)
    if op.name in _CHANNELS.split():
        return _tiles(math.prod(sizes[:2]), threads)
    if op.name in _ELEMENTWISE.split():
        return _expected(_ELEMENT_CYCLES * math.prod(sizes), threads)
    return ALONE if op.name in _ALONE.split() else None


def _tiles(number: int, threads: int) -> ThreadSplit:
    """Tiles of the same work: the thread with most of them is the last."""
    used = min(threads, number)
    return ThreadSplit(used, number / math.ceil(number / used)) if used > 1 else ALONE


def _expected(cycles: float, threads: int) -> ThreadSplit:
    """What Eigen's cost model makes of the cycles that it expects."""
    used = max(1, min(threads, int((cycles - _STARTUP_CYCLES) / _THREAD_CYCLES + _ROUNDING)))
    return ThreadSplit(used, used)
