"""A TFLite interpreter made of ctypes: real C structures and functions, known times, no graph."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from bench_depth.timing.profiling import tflite as layout


class FakeClock:
    """Nanoseconds; stands still but for `spend`. It does not begin at 0, as no clock does."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now

    def spend(self, ns: int) -> None:
        self.now += ns


class FakeInterpreter:
    """One graph of ops that take known times; `graphs` times shown to a delegate.

    Args:
        clock: What the ops' time passes on.
        times_ns: Of each op.
        order: In which the ops are executed; as they are numbered, unless given.
        graphs: How many graphs there are; all look like the first.
    """

    def __init__(
        self,
        clock: FakeClock,
        times_ns: Sequence[int],
        order: Sequence[int] | None = None,
        graphs: int = 1,
    ) -> None:
        self.clock, self.times_ns, self.graphs = clock, list(times_ns), graphs
        self.order = list(range(len(self.times_ns)) if order is None else order)
        self.fails: int | None = None
        self._interpreter = self
        self._kept: list[Any] = []
        self.said = [
            {"op_name": f"KIND_{i % 2}", "inputs": np.array([i]), "outputs": np.array([i + 1])}
            for i in range(len(self.times_ns))
        ]
        self.nodes = [
            layout._Node(ctypes.pointer(_ints([i])), ctypes.pointer(_ints([i + 1])))
            for i in range(len(self.times_ns))
        ]
        self.registrations = [
            layout._Registration(invoke=self._function(i)) for i in range(len(self.times_ns))
        ]
        self.context = layout._Context(
            tensors_size=len(self.times_ns) + 1,
            get_execution_plan=layout._GetPlan(self._plan),
            get_node_and_registration=layout._GetNode(self._node),
        )

    def _function(self, op: int) -> int:
        def run(context: int, node: int) -> int:
            self.clock.spend(self.times_ns[op])
            return 1 if op == self.fails else 0

        function = layout._Invoke(run)
        self._kept.append(function)
        return int(ctypes.cast(function, ctypes.c_void_p).value or 0)

    def _plan(self, context: int, target: Any) -> int:
        plan = _ints(self.order)
        self._kept.append(plan)
        target[0] = ctypes.cast(ctypes.pointer(plan), layout._IntArrayPointer)
        return 0

    def _node(self, context: int, index: int, node: Any, registration: Any) -> int:
        node[0] = ctypes.pointer(self.nodes[index])
        registration[0] = ctypes.pointer(self.registrations[index])
        return 0

    def ModifyGraphWithDelegate(self, address: int) -> None:  # noqa: N802
        delegate = layout._Delegate.from_address(address)
        for _ in range(self.graphs):
            if delegate.prepare(ctypes.addressof(self.context), address) != 0:
                raise RuntimeError("a delegate failed")

    def allocate_tensors(self) -> None:
        pass

    def get_tensor_details(self) -> list[dict[str, Any]]:
        count = len(self.times_ns) + 1
        return [{"index": i, "name": f"t{i}", "shape": np.array([1, i])} for i in range(count)]

    def _get_ops_details(self) -> list[dict[str, Any]]:
        return self.said

    def invoke(self) -> None:
        for index in self.order:
            function = layout._Invoke(self.registrations[index].invoke)
            if function(ctypes.addressof(self.context), ctypes.addressof(self.nodes[index])):
                raise RuntimeError(f"op {index} failed")


def _ints(values: Sequence[int]) -> Any:
    count = max(len(values), 1)

    class Array(ctypes.Structure):
        _fields_ = (("size", ctypes.c_int), ("data", ctypes.c_int * count))

    made = Array(len(values), (ctypes.c_int * count)(*values))
    # As `_IntArray`, whose last member has no fixed size in C.
    keep = ctypes.cast(ctypes.pointer(made), layout._IntArrayPointer).contents
    _KEPT.append(made)
    return keep


_KEPT: list[Any] = []
