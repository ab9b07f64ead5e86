"""Times each op of a TFLite graph, in every version from 2.5 to LiteRT 2.

No version has a profiler that is accessible from Python. But a delegate, which any program may pass
to an interpreter, receives each op's registration, which holds the address of the function that
runs the op. The delegate here claims no op; it replaces that function by one that reads the time,
calls the original and reads the time again. A single run then times all ops.

The C structures below are the first members of those in TensorFlow's lite/c/common.h, whose offsets
have not changed since 2.3. What is read from them is compared with the interpreter's description of
its graph before anything is changed.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import read_contract
from bench_depth.model.runtimes.tflite import DELEGATE, TfliteRuntime
from bench_depth.model.tensors import carry_state
from bench_depth.timing.measure import Clock
from bench_depth.timing.profiling.ops import Op, Profile, average

WARM_UP = 3
MIN_RUNS = 10
_OK, _ERROR = 0, 1
# Allows graphs with tensors whose size is known only at run time.
_ALLOW_DYNAMIC_TENSORS = 1

_Invoke = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class _IntArray(ctypes.Structure):
    _fields_ = (("size", ctypes.c_int), ("first", ctypes.c_int))

    def values(self) -> list[int]:
        start = ctypes.addressof(self) + _IntArray.first.offset
        return list((ctypes.c_int * self.size).from_address(start))


_IntArrayPointer = ctypes.POINTER(_IntArray)


class _Node(ctypes.Structure):
    _fields_ = (("inputs", _IntArrayPointer), ("outputs", _IntArrayPointer))


class _Registration(ctypes.Structure):
    _fields_ = (
        ("init", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
        ("prepare", ctypes.c_void_p),
        ("invoke", ctypes.c_void_p),
    )


_GetPlan = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_IntArrayPointer))
_GetNode = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Node)),
    ctypes.POINTER(ctypes.POINTER(_Registration)),
)


class _Context(ctypes.Structure):
    _fields_ = (
        ("tensors_size", ctypes.c_size_t),
        ("get_execution_plan", _GetPlan),
        ("tensors", ctypes.c_void_p),
        ("impl", ctypes.c_void_p),
        ("resize_tensor", ctypes.c_void_p),
        ("report_error", ctypes.c_void_p),
        ("add_tensors", ctypes.c_void_p),
        ("get_node_and_registration", _GetNode),
    )


_Prepare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class _Delegate(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("prepare", _Prepare),
        ("copy_from_buffer", ctypes.c_void_p),
        ("copy_to_buffer", ctypes.c_void_p),
        ("free_buffer", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
        # In later versions; 2.5 does not look at it.
        ("opaque_delegate_builder", ctypes.c_void_p),
    )


class Calls:
    """Times an interpreter's calls of its ops.

    Args:
        interpreter: Interpreter with allocated tensors; must not be used after this object is gone.
        clock: Returns a monotonic time in nanoseconds.

    Attributes:
        nodes: Indices of the ops in the order of execution.
        spent_ns: Time of each op in the last run, nanoseconds.

    Raises:
        ValueError: The interpreter has an unknown memory layout.
    """

    def __init__(self, interpreter: Any, clock: Clock = time.perf_counter_ns) -> None:
        self.nodes: list[int] = []
        self.spent_ns: list[int] = []
        self._clock = clock
        self._registrations: list[_Registration] = []
        self._originals: list[Any] = []
        self._timed: list[Any] = []
        self._error: Optional[str] = None
        self._details = interpreter._get_ops_details()
        self._tensors = len(interpreter.get_tensor_details())
        self._delegate = _Delegate(prepare=_Prepare(self._prepare), flags=_ALLOW_DYNAMIC_TENSORS)
        try:
            address = ctypes.addressof(self._delegate)
            interpreter._interpreter.ModifyGraphWithDelegate(address)
        except (RuntimeError, ValueError) as error:
            raise ValueError(self._error or str(error)) from error
        if self._error is not None or not self.nodes:
            raise ValueError(self._error or "it reports no ops")
        interpreter.allocate_tensors()

    def time_ops(self, enabled: bool) -> None:
        """Enables or disables the timing of each op in the following runs."""
        for registration, timed, original in zip(self._registrations, self._timed, self._originals):
            function = timed if enabled else original
            registration.invoke = ctypes.cast(function, ctypes.c_void_p).value

    def _prepare(self, context: int, delegate: int) -> int:
        if self.nodes:
            return _OK  # The subgraph of a branch or loop is timed as part of the op that runs it.
        try:
            self._find_ops(context)
        except ValueError as error:
            self._error = str(error)
            return _ERROR
        return _OK

    def _find_ops(self, address: int) -> None:
        context = _Context.from_address(address)
        # XNNPACK may have added tensors.
        if not self._tensors <= context.tensors_size <= 2 * self._tensors + 1000:
            raise ValueError("its graph has another number of tensors than it reports")
        plan = _IntArrayPointer()
        if context.get_execution_plan(address, ctypes.byref(plan)) != _OK:
            raise ValueError("it does not report the order of its ops")
        nodes = plan.contents.values()
        for index in nodes:
            self._registrations.append(self._registration(context, address, index))
        for position, registration in enumerate(self._registrations):
            original = _Invoke(registration.invoke)
            self._originals.append(original)
            self._timed.append(_Invoke(self._timing(position, original)))
        self.nodes, self.spent_ns = nodes, [0] * len(nodes)

    def _registration(self, context: _Context, address: int, index: int) -> _Registration:
        node, registration = ctypes.POINTER(_Node)(), ctypes.POINTER(_Registration)()
        found = context.get_node_and_registration(
            address, index, ctypes.byref(node), ctypes.byref(registration)
        )
        if found != _OK or not 0 <= index < len(self._details):
            raise ValueError(f"it has no op {index}")
        for name, array in (("inputs", node.contents.inputs), ("outputs", node.contents.outputs)):
            if array.contents.values() != list(self._details[index][name]):
                raise ValueError(f"op {index} has other {name} than it reports")
        if not registration.contents.invoke:
            raise ValueError(f"op {index} is not run by a function")
        return registration.contents

    def _timing(self, position: int, original: Any) -> Callable[[int, int], int]:
        clock = self._clock

        def timed(context: int, node: int) -> int:
            begin = clock()
            status: int = original(context, node)
            self.spent_ns[position] = clock() - begin
            return status

        return timed


def profile_tflite(
    runtime: TfliteRuntime,
    path: Path,
    threads: int,
    picture: NDArray[Any],
    seconds: float,
) -> Profile:
    """Times the ops of a .tflite file as it is run and, if XNNPACK runs some, also without XNNPACK.

    Raises:
        UserError: The file cannot be loaded or run, or this runtime's ops cannot be timed.
    """
    found = _profile(runtime, path, threads, picture, seconds, delegates=True)
    if not found.delegated:
        return found
    plain = _profile(runtime, path, threads, picture, seconds, delegates=False)
    return Profile(**{**vars(found), "plain": plain})


def _profile(
    runtime: TfliteRuntime,
    path: Path,
    threads: int,
    picture: NDArray[Any],
    seconds: float,
    delegates: bool,
) -> Profile:
    model = runtime.load(path, threads, delegates=delegates)
    carry_state(path, model, read_contract(path))
    model.resize_input(picture.shape)
    # With and without XNNPACK share the time.
    seconds = seconds / 2 if model.xnnpack or not delegates else seconds
    interpreter = model.interpreter
    try:
        calls = Calls(interpreter)
    except (AttributeError, ValueError) as error:
        raise UserError(
            f"the ops of {path} cannot be timed in {model.name} {model.version}: {error}",
            MODEL_FAILED,
        ) from error
    model.set_input(picture)
    times, totals, untimed = run_in_turn(calls, model.invoke, seconds)
    found = average("calls", _ops(interpreter, calls.nodes), times, totals, untimed)
    claimed = len([op for op in interpreter._get_ops_details() if op["op_name"] != DELEGATE])
    kept = len([op for op in found.ops if op.kind != "XNNPACK"])
    return Profile(**{**vars(found), "delegated": claimed - kept})


def run_in_turn(
    calls: Calls,
    invoke: Callable[[], None],
    seconds: float,
    clock: Clock = time.perf_counter_ns,
) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """Runs a graph in turns with and without the timing of its ops.

    Args:
        calls: Timer of the graph's ops.
        invoke: Runs the graph once.
        seconds: Duration, seconds; at least `MIN_RUNS` of each are made, after `WARM_UP` that are
            not counted.
        clock: Returns a monotonic time in nanoseconds.

    Returns:
        Times in nanoseconds: of each op in each timed run (runs x ops), of the timed runs as a
        whole, and of the untimed runs.
    """
    times: list[NDArray[np.int64]] = []
    totals: list[int] = []
    untimed: list[int] = []
    end = clock() + math.ceil(seconds * 1e9)
    while clock() < end or len(totals) < WARM_UP + MIN_RUNS:
        for timing, spent in ((False, untimed), (True, totals)):
            calls.time_ops(timing)
            begin = clock()
            invoke()
            spent.append(clock() - begin)
        times.append(np.array(calls.spent_ns, np.int64))
    return np.stack(times[WARM_UP:]), totals[WARM_UP:], untimed[WARM_UP:]


def _ops(interpreter: Any, nodes: list[int]) -> list[Op]:
    details = interpreter._get_ops_details()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    found = []
    for index in nodes:
        kind = details[index]["op_name"]
        output = next((int(i) for i in details[index]["outputs"] if int(i) in tensors), None)
        name = "" if output is None else str(tensors[output]["name"])
        shape = "" if output is None else "x".join(map(str, tensors[output]["shape"]))
        found.append(Op(index, "XNNPACK" if kind == DELEGATE else str(kind), name, shape))
    return found
