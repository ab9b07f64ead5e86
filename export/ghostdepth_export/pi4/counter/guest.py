"""Runs in the emulated Pi, under the plugin: invokes two graphs and marks what is to be counted.

guest.py RUNTIME PROBE PROBE_OPS MODEL WARM_UPS THREADS

Prints JSON: the runtime's version; `kept`, the ops that the runtime runs by itself, as names,
outputs and shapes (null for TensorFlow Lite 2.5, which runs those of the file); `delegated`, the
operators of each part of the graph that another library takes, with the number of tasks that four
threads share. Only what Python 3.9, numpy and the
runtime have may be used here.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# As in ops.h.
_GETPRIORITY, _MARK = 141, 0x67686F73
_LEARN, _LEARNED, _BEGIN, _END = range(4)
# Work is cut into tasks by the number of threads.
_THREADS = 4
_libc = ctypes.CDLL(None)
_Invoke = Callable[[], Any]


def _mark(command: int, *arguments: int) -> None:
    words = (0, _MARK, command, *arguments)
    _libc.syscall(ctypes.c_long(_GETPRIORITY), *map(ctypes.c_long, words))


def _counted(invoke: _Invoke) -> None:
    _mark(_BEGIN)
    invoke()
    _mark(_END)


def _learn(invoke: _Invoke, ops: int, library: str) -> None:
    """Has the plugin find the call that this invocation makes once for every op."""
    invoke()
    _mark(_LEARN)
    invoke()
    _mark(_LEARNED, ops, *_addresses(library))


def _addresses(library: str) -> tuple[int, int]:
    """Where a library is in memory: first address, end."""
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0] for line in maps if library in line]
    return int(ranges[0].split("-")[0], 16), int(ranges[-1].split("-")[1], 16)


def _random(shape: Any, dtype: Any) -> Any:
    """The same integers, 0..255, on every call."""
    return np.random.RandomState(0).randint(0, 256, shape).astype(dtype)


class _Tflite:
    """TensorFlow Lite 2.5, which applies no delegate."""

    library = "_interpreter_wrapper"

    def __init__(self) -> None:
        import tflite_runtime
        from tflite_runtime.interpreter import Interpreter

        self.version, self.interpreter = tflite_runtime.__version__, Interpreter

    def load(self, path: str, **options: Any) -> Any:
        """An interpreter with filled inputs, of one thread unless options say otherwise."""
        interpreter = self.interpreter(path, **{"num_threads": 1, **options})
        interpreter.allocate_tensors()
        for entry in interpreter.get_input_details():
            interpreter.set_tensor(entry["index"], _random(entry["shape"], entry["dtype"]))
        return interpreter

    def learn(self, probe: str, ops: int) -> _Invoke:
        """Teaches the plugin how ops are called; returns the probe's invocation."""
        invoke: _Invoke = self.load(probe).invoke
        _learn(invoke, ops, self.library)
        return invoke

    def model(self, path: str, threads: int) -> tuple[_Invoke, dict[str, Any]]:
        """A model's invocation on so many threads, and its ops."""
        return self.load(path, num_threads=threads).invoke, {"kept": None, "delegated": []}


class _LiteRt(_Tflite):
    """LiteRT, which gives XNNPACK all the ops that it takes."""

    library = "libpywrap_litert_common"

    def __init__(self) -> None:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.version, self.interpreter = ai_edge_litert.__version__, Interpreter
        self.plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

    def learn(self, probe: str, ops: int) -> _Invoke:
        """First the call of LiteRT's own ops, then that of XNNPACK's operators."""
        _learn(self.load(probe, experimental_op_resolver_type=self.plain).invoke, ops, self.library)
        return super().learn(probe, ops)

    def model(self, path: str, threads: int) -> tuple[_Invoke, dict[str, Any]]:
        """See `_Tflite.model`."""
        from xnnpack import operators_of  # type: ignore[import-not-found]

        # Its threads end with it, before anything is counted.
        delegated = operators_of(self.load(path, num_threads=_THREADS).invoke, self.library)
        gc.collect()
        interpreter = self.load(path, num_threads=threads)
        return interpreter.invoke, {"kept": self.kept(interpreter), "delegated": delegated}

    @staticmethod
    def kept(interpreter: Any) -> list[tuple[str, str, str]]:
        """The ops that no delegate computes, in the order of execution."""
        nodes = [
            {
                "name": node["op_name"],
                **{k: [int(t) for t in node[k]] for k in ("inputs", "outputs")},
            }
            for node in interpreter._get_ops_details()
        ]
        taken = [node for node in nodes if node["name"] == "DELEGATE"]
        given = {tensor for node in taken for tensor in node["inputs"]}
        maker = {t: i for i, node in enumerate(nodes) if node not in taken for t in node["outputs"]}
        covered, wanted = set(), [tensor for node in taken for tensor in node["outputs"]]
        while wanted:
            index = maker.get(wanted.pop())
            if index is not None and index not in covered:
                covered.add(index)
                wanted += [tensor for tensor in nodes[index]["inputs"] if tensor not in given]
        tensors = {entry["index"]: entry for entry in interpreter.get_tensor_details()}
        outputs = [
            (node["name"], tensors[node["outputs"][0]])
            for index, node in enumerate(nodes)
            if index not in covered and node not in taken
        ]
        return [(name, t["name"], "x".join(map(str, t["shape"]))) for name, t in outputs]


class _OnnxRuntime:
    """ONNX Runtime with the graph that its own optimisations make."""

    library = "onnxruntime_pybind11_state"

    def __init__(self) -> None:
        import onnxruntime

        self.version, self.module = onnxruntime.__version__, onnxruntime

    def load(self, path: str, **options: Any) -> Any:
        """A session, of one thread unless options say otherwise."""
        settings = self.module.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 4
        for name, value in options.items():
            setattr(settings, name, value)
        return self.module.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def invocation(self, session: Any) -> _Invoke:
        """Runs a session; the outputs stay its own."""
        binding = session.io_binding()
        for entry in session.get_inputs():
            name = entry.type[len("tensor(") : -1]
            kind = {"float": "float32", "double": "float64"}.get(name, name)
            binding.bind_cpu_input(entry.name, _random(entry.shape, kind))
        for entry in session.get_outputs():
            binding.bind_output(entry.name)
        return lambda: session.run_with_iobinding(binding)

    def learn(self, probe: str, ops: int) -> _Invoke:
        """See `_Tflite.learn`; the equal ops of the probe would be optimised to one."""
        plain = self.module.GraphOptimizationLevel.ORT_DISABLE_ALL
        invoke = self.invocation(self.load(probe, graph_optimization_level=plain))
        _learn(invoke, ops, self.library)
        return invoke

    def model(self, path: str, threads: int) -> tuple[_Invoke, dict[str, Any]]:
        """See `_Tflite.model`."""
        traced = self.load(path, enable_profiling=True)
        self.invocation(traced)()
        with open(traced.end_profiling()) as trace:
            events = [event for event in json.load(trace) if event["name"].endswith("_kernel_time")]
        kept = []
        for event in sorted(events, key=lambda event: event["ts"]):
            shapes = event["args"].get("output_type_shape") or [{"": []}]
            (shape,) = shapes[0].values()
            name = event["name"][: -len("_kernel_time")]
            kept.append((event["args"]["op_name"], name, "x".join(map(str, shape))))
        session = self.load(path, intra_op_num_threads=threads)
        return self.invocation(session), {"kept": kept, "delegated": []}


_RUNTIMES = {"2.5": _Tflite, "litert": _LiteRt, "onnxruntime": _OnnxRuntime}


def main(
    name: str, probe_path: str, probe_ops: str, model_path: str, warm_ups: str, threads: str
) -> None:
    """Learns from the probe how ops are called, proves it, then has the model counted."""
    runtime: Any = _RUNTIMES[name]()
    # First, because after the first mark everything is counted, which is slow.
    model, ops = runtime.model(model_path, int(threads))
    _counted(runtime.learn(probe_path, int(probe_ops)))
    for _ in range(int(warm_ups)):
        model()
    _counted(model)
    print(json.dumps({"version": runtime.version, **ops}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # ONNX Runtime's own classes share no base.
        sys.exit(" ".join(str(error).split()))
