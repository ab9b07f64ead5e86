"""How long each layer takes in the exported file: its convolution cut out and timed alone.

What is timed is the op of the fp32 .tflite file, with its bias and activation, on one thread, by
the runtime that runs the whole file here. On another machine, or on a Pi, the shares differ.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.model.runtimes import LoadedModel, choose
from bench_depth.timing.measure import TimingPlan, measure_in_turn
from ghostdepth_export.convert.flatbuffer import Model, op_name, pack, unpack
from ghostdepth_export.convert.source import Source
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_train.models.network import DepthNet

# What no layer accounts for: resizing, sums, gates, the call itself.
REST = "(rest)"
# Of one op in its file: calling the runtime takes as long as a small op.
COPIES = 8


def layer_times(
    network: DepthNet,
    camera: tuple[int, int] = (480, 640),
    plan: TimingPlan | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Times every layer and the whole.

    Args:
        network: In eval mode afterwards.
        camera: Height and width of the photos that the file takes.
        plan: How long for each; 100 runs without it.
        progress: Called with one line a step.

    Returns:
        Microseconds for each layer, named as in the state dict, and for `(rest)`. They are in the
        file's order and add up to the whole file's time.

    Raises:
        UserError: The network cannot be exported or run.
    """
    from ghostdepth_export.convert import tflite
    from ghostdepth_export.pi4.budget.layers import CONVOLUTIONS, kernel, match

    progress("exporting")
    data = tflite.convert(Source(network.eval(), *camera, ()).lowered)
    model = unpack(data)
    graph = model.subgraphs[0]
    ops = [op for op in graph.operators if op_name(model, op) in CONVOLUTIONS]
    names = match([kernel(model, op) for op in ops], network)
    progress(f"timing {len(ops)} layers")
    with tempfile.TemporaryDirectory() as folder:
        whole = _load(Path(folder) / "whole.tflite", data)
        layers = [
            _load(Path(folder) / f"{index}.tflite", _alone(model, op))
            for index, op in enumerate(ops)
        ]
        timings = measure_in_turn(
            [model.invoke for model in (whole, *layers)],
            plan or TimingPlan(warmup=2, min_runs=100, min_time=0.05),
        )
    # Other programs make a run longer, never shorter.
    quick = [min(timing.times_ns) / 1000 for timing in timings]
    times = {name: time / COPIES for name, time in zip(names, quick[1:], strict=True)}
    return {**times, REST: max(quick[0] - sum(times.values()), 0.0)}


def _load(path: Path, data: bytes) -> LoadedModel:
    path.write_bytes(data)
    with native_quiet():
        model = choose(path).load(path, threads=1)
    (spec,) = model.inputs
    shape = [size or 1 for size in spec.shape]
    # Numbers as after a norm: denormal or infinite ones can be slower.
    model.set_input(np.random.default_rng(0).standard_normal(shape).astype(spec.dtype))
    return model


def _alone(model: Model, op: Any) -> bytes:
    """A file with nothing but copies of one op, which all read the same input."""
    graph = model.subgraphs[0]
    small = copy.copy(model)
    small.metadata = small.metadataBuffer = small.signatureDefs = None
    own = copy.copy(graph)
    own.tensors, own.operators = [], []
    small.buffers = [model.buffers[0]]
    small.subgraphs = [own]

    def add(index: int, *, constant: bool) -> int:
        tensor = copy.copy(graph.tensors[index])
        if constant:
            small.buffers.append(model.buffers[tensor.buffer])
        tensor.buffer = len(small.buffers) - 1 if constant else 0
        own.tensors.append(tensor)
        return len(own.tensors) - 1

    picture, *constants = op.inputs
    inputs = [add(picture, constant=False), *(add(i, constant=True) for i in constants)]
    for _ in range(COPIES):
        twin = copy.copy(op)
        twin.inputs = np.array(inputs, np.int32)
        twin.outputs = np.array([add(op.outputs[0], constant=False)], np.int32)
        own.operators.append(twin)
    own.inputs = np.array(inputs[:1], np.int32)
    own.outputs = np.concatenate([twin.outputs for twin in own.operators])
    return pack(small)
