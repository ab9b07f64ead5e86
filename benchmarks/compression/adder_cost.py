"""What an adder convolution would cost in a .tflite file, beside the convolution it replaces.

TFLite has no op for it. Three compositions of ops that it has, each followed by batch norm's
factor and shift and a ReLU, run in turn with CONV_2D (float32, and int8 of the same layer), one
thread. The layers have sizes of pointwise ones of ghostnet-s. Times are those of the
fastest call: what else runs on the machine only adds. Writes `adder_cost.json`.

    python benchmarks/compression/adder_cost.py [--rounds 30]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.files import write_json
from bench_depth.machine.board import read_board
from ghostdepth_export.convert.op_versions import minimum_runtime
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.host.quiet import native_quiet
from numpy.typing import NDArray

RESULTS = Path(__file__).with_suffix(".json")
Array = NDArray[np.float32]
# Height, width, channels in and out.
LAYERS = ((64, 80, 16, 8), (32, 40, 24, 36), (16, 20, 40, 60), (8, 10, 80, 92), (4, 5, 160, 480))
CALLS_A_ROUND = 20


def convolution(x: Any, filters: Array, factor: Array, shift: Array) -> Any:
    """CONV_2D with batch norm folded: what an adder competes with."""
    kernel = (filters * factor[:, None]).T[None, None]
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), shift))


def broadcast(x: Any, filters: Array, factor: Array, shift: Array) -> Any:
    """SUB of every pixel and every filter, ABS, SUM."""
    _, h, w, c = x.shape
    distance = tf.reduce_sum(tf.abs(tf.reshape(x, (h * w, 1, c)) - filters[None]), -1)
    return tf.reshape(tf.nn.relu(shift - distance * factor), (1, h, w, -1))


def depthwise(x: Any, filters: Array, factor: Array, shift: Array) -> Any:
    """|x - f| = 2 relu(x - f) - x + f, the ReLU by a depthwise convolution with many outputs."""
    _, h, w, c = x.shape
    ones = np.ones((1, 1, c, len(filters)), np.float32)
    y = tf.nn.depthwise_conv2d(x, ones, (1, 1, 1, 1), "VALID")
    y = tf.nn.relu(tf.nn.bias_add(y, -filters.T.reshape(-1)))
    above = tf.reduce_sum(tf.reshape(y, (h * w, c, len(filters))), 1)
    total = tf.reshape(tf.reduce_sum(x, -1), (h * w, 1))
    distance = 2 * above - total + filters.sum(1)
    return tf.reshape(tf.nn.relu(shift - distance * factor), (1, h, w, -1))


def filterwise(x: Any, filters: Array, factor: Array, shift: Array) -> Any:
    """SUB, ABS and a summing convolution for each filter: nothing larger than the input."""
    ones = np.ones((1, 1, filters.shape[1], 1), np.float32)
    sums = [tf.nn.conv2d(tf.abs(x - one[None, None, None]), ones, 1, "VALID") for one in filters]
    return tf.nn.relu(shift - tf.concat(sums, -1) * factor)


COMPOSITIONS = (broadcast, depthwise, filterwise)


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    rows = [measure(layer, options.rounds) for layer in LAYERS]
    for row in rows:
        ratios = ", ".join(f"{c['composition']} {c['ratio']:.1f}" for c in row["compositions"])
        print(f"{row['layer']}: {ratios}; int8 convolution {row['conv_int8_ratio']:.2f}")
    machine = asdict(read_board())
    write_json(RESULTS, {"date": time.strftime("%Y-%m-%d"), "machine": machine, "rows": rows})


def measure(layer: tuple[int, int, int, int], rounds: int) -> dict[str, Any]:
    """One layer: sizes, the oldest runtime, and milliseconds of every contender."""
    h, w, c, out = layer
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, h, w, c)).astype(np.float32)
    filters = rng.normal(size=(out, c)).astype(np.float32)
    factor, shift = np.full(out, 1 / c, np.float32), np.ones(out, np.float32)
    files = {f.__name__: build(f, x, filters, factor, shift) for f in (convolution, *COMPOSITIONS)}
    files["int8"] = build(convolution, x, filters, factor, shift, int8=True)
    expected = np.maximum(0, shift - np.abs(x[:, :, :, None] - filters).sum(-1) * factor)
    contenders = {name: contender(data, x) for name, data in files.items()}
    for kind in COMPOSITIONS:
        np.testing.assert_allclose(contenders[kind.__name__][1], expected, atol=1e-5)
    times: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(rounds):
        for name, (run, _output) in contenders.items():
            times[name].append(run())
    ms = {name: min(figures) for name, figures in times.items()}
    return {
        "layer": f"{h}x{w}, {c} -> {out}",
        "conv_ms": ms["convolution"],
        "conv_int8_ratio": ms["int8"] / ms["convolution"],
        "compositions": [
            {
                "composition": kind.__name__,
                "ms": ms[kind.__name__],
                "ratio": ms[kind.__name__] / ms["convolution"],
                "minimum_runtime": minimum_runtime(files[kind.__name__]),
                **tensors(files[kind.__name__]),
            }
            for kind in COMPOSITIONS
        ],
    }


def build(function: Callable[..., Any], x: Array, *weights: Array, int8: bool = False) -> bytes:
    """A .tflite file of one layer."""
    module = tf.Module()
    module.layer = tf.function(
        lambda value: function(value, *weights),
        input_signature=[tf.TensorSpec(x.shape, tf.float32)],
        autograph=False,
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.layer.get_concrete_function()], module
    )
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x] for _ in range(2))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with native_quiet():
        return bytes(converter.convert())


def interpreter(data: bytes) -> Any:
    """The file, ready to run on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    with native_quiet():
        result = Interpreter(model_content=data, num_threads=1)
        result.allocate_tensors()
    return result


def contender(data: bytes, x: Array) -> tuple[Callable[[], float], Array]:
    """A function that gives the milliseconds of its fastest call, and the output for `x`."""
    runner = interpreter(data)
    (source,), (target,) = runner.get_input_details(), runner.get_output_details()
    runner.set_tensor(source["index"], x.astype(source["dtype"]))
    runner.invoke()

    def run() -> float:
        fastest = float("inf")
        for _ in range(CALLS_A_ROUND):
            started = time.perf_counter()
            runner.invoke()
            fastest = min(fastest, time.perf_counter() - started)
        return fastest * 1e3

    return run, runner.get_tensor(target["index"])


def tensors(data: bytes) -> dict[str, int]:
    """How many ops the file has, and the bytes of its largest intermediate tensor."""
    from ghostdepth_export.convert.flatbuffer import unpack

    (graph,) = unpack(data).subgraphs
    made = [graph.tensors[index] for op in graph.operators for index in op.outputs]
    return {
        "ops": len(graph.operators),
        "largest_tensor_bytes": max(4 * int(np.prod(tensor.shape)) for tensor in made),
    }


if __name__ == "__main__":
    main()
