"""Latency of each layer in the exported file: its convolution is extracted and timed alone.

Each op of the fp32 .tflite file, with its bias and activation, is timed on one thread by the
runtime that runs the whole file on this machine. On another machine, or on a Pi, the fractions
differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.temporary import fresh_folder
from bench_depth.model.runtimes import LoadedModel, choose
from bench_depth.timing.measure import TimingPlan, measure_in_turn
from ghostdepth_export.convert.flatbuffer import Model, op_name, pack, unpack
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.latency import LatencyBudget

# Time outside the convolutions: resizing, sums, squeeze-and-excitation, the call itself.
REST = "(rest)"
# Copies of the op in its file, because calling the runtime takes as long as a small op.
COPIES = 8


def layer_times(
    network: DepthNet,
    camera: tuple[int, int] = (480, 640),
    plan: TimingPlan | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Measures the latency of every layer and of the whole file.

    Args:
        network: Network to export; it is put in eval mode.
        camera: Height and width of the images that the file takes, in pixels.
        plan: Number and duration of the runs of each layer; 100 runs if None.
        progress: Called with one line of progress text at each step.

    Returns:
        Microseconds of each layer, named as in the state dict, and of `(rest)`, in the file's
        order. They add up to the latency of the whole file.

    Raises:
        UserError: The network cannot be exported or run.
    """
    from ghostdepth_export.convert import tflite
    from ghostdepth_export.pi4.budget.layers import CONVOLUTIONS, kernel, match

    progress("exporting")
    data = tflite.convert(ExportSource(network.eval(), *camera, ()).lowered)
    model = unpack(data)
    graph = model.subgraphs[0]
    ops = [op for op in graph.operators if op_name(model, op) in CONVOLUTIONS]
    names = match([kernel(model, op) for op in ops], network)
    progress(f"timing {len(ops)} layers")
    with fresh_folder("ghostdepth-layers-") as folder:
        whole = _load(folder / "whole.tflite", data)
        layers = [
            _load(folder / f"{index}.tflite", _alone(model, op)) for index, op in enumerate(ops)
        ]
        timings = measure_in_turn(
            [model.invoke for model in (whole, *layers)],
            plan or TimingPlan(warmup=2, min_runs=100, min_time=0.05),
        )
    # Other programs make a run longer, never shorter.
    fastest = [min(timing.times_ns) / 1000 for timing in timings]
    times = {name: time / COPIES for name, time in zip(names, fastest[1:], strict=True)}
    return {**times, REST: max(fastest[0] - sum(times.values()), 0.0)}


def _load(path: Path, data: bytes) -> LoadedModel:
    path.write_bytes(data)
    with native_quiet():
        model = choose(path).load(path, threads=1)
    (spec,) = model.inputs
    shape = [size or 1 for size in spec.shape]
    # Values as after a batch norm: denormal or infinite ones can be slower.
    model.set_input(np.random.default_rng(0).standard_normal(shape).astype(spec.dtype))
    return model


def _alone(model: Model, op: Any) -> bytes:
    """A file that consists of copies of one op, all reading the same input."""
    graph = model.subgraphs[0]
    small = copy.copy(model)
    small.metadata = small.metadataBuffer = small.signatureDefs = None
    subgraph = copy.copy(graph)
    subgraph.tensors, subgraph.operators = [], []
    small.buffers = [model.buffers[0]]
    small.subgraphs = [subgraph]

    def add(index: int, *, constant: bool) -> int:
        tensor = copy.copy(graph.tensors[index])
        if constant:
            small.buffers.append(model.buffers[tensor.buffer])
        tensor.buffer = len(small.buffers) - 1 if constant else 0
        subgraph.tensors.append(tensor)
        return len(subgraph.tensors) - 1

    activation, *constants = op.inputs
    inputs = [add(activation, constant=False), *(add(i, constant=True) for i in constants)]
    for _ in range(COPIES):
        twin = copy.copy(op)
        twin.inputs = np.array(inputs, np.int32)
        twin.outputs = np.array([add(op.outputs[0], constant=False)], np.int32)
        subgraph.operators.append(twin)
    subgraph.inputs = np.array(inputs[:1], np.int32)
    subgraph.outputs = np.concatenate([twin.outputs for twin in subgraph.operators])
    return pack(small)


def predicted_layer_times(
    network: DepthNet, budget: LatencyBudget, log: Callable[[str], None] = lambda _: None
) -> dict[str, float]:
    """Predicts the latency of every layer in an exported file on a board.

    Args:
        network: Network to export; it is put in eval mode.
        budget: Names the file, its threads, the runtime and the board; its `ms` is not used.
        log: Called with one line of progress text while a root of the emulator is built.

    Returns:
        As `layer_times`; what is not a convolution is in `(rest)`.

    Raises:
        UserError: A program is missing, or the network cannot be exported or counted.
    """
    from ghostdepth_export.pi4.budget.file_latency import FileLatency

    times: dict[str, float] = {}
    rest = 0.0
    for op in FileLatency(log=log)(network, budget):
        if op.own:
            times[op.layer] = times.get(op.layer, 0.0) + 1000 * op.ms
        else:
            rest += 1000 * op.ms
    return {**times, REST: rest}
