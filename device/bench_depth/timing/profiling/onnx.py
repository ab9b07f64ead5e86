"""Times each node of an ONNX graph by ONNX Runtime's own profiler."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.json_text import loads
from bench_depth.core.temporary import fresh_folder
from bench_depth.model.contract import read_contract
from bench_depth.model.runtimes.onnx import OnnxRuntime
from bench_depth.model.tensors import carry_state
from bench_depth.timing.profiling.ops import Op, Profile, average

_WARM_UP = 3
_MIN_RUNS = 10
# Each node of each run adds some 800 bytes to the profiler's file, which a Pi has to read.
_MAX_RUNS = 50
_NODE_END = "_kernel_time"
# Nodes that run subgraphs: their times include those of the subgraphs' nodes.
_NESTING = ("If", "Loop", "Scan")


def profile_onnx(
    runtime: OnnxRuntime, path: Path, threads: int, picture: NDArray[Any], seconds: float
) -> Profile:
    """Times the nodes of an .onnx file in the graph that ONNX Runtime has optimised.

    Raises:
        UserError: The file cannot be loaded or run, or the profiler's file cannot be read.
    """
    with fresh_folder("bench-depth-trace-") as folder:
        model = runtime.load(path, threads, trace=folder / "trace")
        carry_state(path, model, read_contract(path))
        model.set_input(picture)
        _run(model.invoke, seconds * 2 / 3, _MIN_RUNS + _WARM_UP)
        text = Path(model.session.end_profiling()).read_text(errors="replace")
        # The session no longer profiles.
        untimed = _run(model.invoke, seconds / 3, _MIN_RUNS)
    try:
        ops, times, totals = read_trace(text)
    except ValueError as error:
        raise UserError(
            f"the profile that {model.name} {model.version} wrote of {path} cannot be read: "
            f"{error}; update onnxruntime",
            MODEL_FAILED,
        ) from error
    return average("onnxruntime", ops, times[_WARM_UP:], totals[_WARM_UP:], untimed)


def _run(invoke: Callable[[], None], seconds: float, min_runs: int) -> list[int]:
    times: list[int] = []
    end = time.perf_counter() + seconds
    while len(times) < min_runs or (time.perf_counter() < end and len(times) < _MAX_RUNS):
        begin = time.perf_counter_ns()
        invoke()
        times.append(time.perf_counter_ns() - begin)
    return times


@dataclass(frozen=True)
class _Event:
    """One op of a trace with its begin and end in microseconds."""

    op: Op
    begin: int
    end: int

    def holds(self, other: _Event) -> bool:
        return self is not other and self.begin <= other.begin and other.end <= self.end


def read_trace(text: str) -> tuple[list[Op], NDArray[np.int64], list[int]]:
    """Parses a file of ONNX Runtime's profiler.

    Returns:
        The nodes in the order of execution, their times (runs x nodes) and the times of whole runs,
        both in nanoseconds.

    Raises:
        ValueError: The text is not such a file, or contains no complete run.
    """
    try:
        events = loads(text)
        runs = sorted(map(_event, _named(events, "Session", "model_run")), key=_begin)
        nodes = sorted(map(_event, _named(events, "Node", _NODE_END)), key=_begin)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it is not a list of events ({error!r})") from error
    begins = [run.begin for run in runs]
    times: list[dict[Op, int]] = [{} for _ in runs]
    for node in _outermost(nodes):
        number = bisect.bisect_right(begins, node.begin) - 1
        if number >= 0:
            spent = times[number]
            spent[node.op] = spent.get(node.op, 0) + node.end - node.begin
    ops = list(dict.fromkeys(op for run in times for op in run))
    if not ops:
        raise ValueError("it contains no node of a run")
    rows = [[run.get(op, 0) * 1000 for op in ops] for run in times]
    return ops, np.array(rows, np.int64), [(run.end - run.begin) * 1000 for run in runs]


def _named(events: Sequence[Any], category: str, end: str) -> list[Any]:
    return [e for e in events if e.get("cat") == category and e["name"].endswith(end)]


def _event(event: Any) -> _Event:
    begin, details = int(event["ts"]), event["args"]
    name = event["name"][: -len(_NODE_END)]
    op = Op(int(details.get("node_index", 0)), details.get("op_name", ""), name, _shape(details))
    return _Event(op, begin, begin + int(event["dur"]))


def _shape(details: Any) -> str:
    """Shape of the first output in `[{"float": [1, 48, 64, 1]}]`; older versions have none."""
    for output in details.get("output_type_shape") or ():
        for sizes in output.values():
            return "x".join(map(str, sizes))
    return ""


def _begin(event: _Event) -> tuple[int, int]:
    return event.begin, -event.end


def _outermost(nodes: Sequence[_Event]) -> list[_Event]:
    """The nodes that no other node runs; `nodes` are sorted."""
    outer: list[_Event] = []
    parent: Optional[_Event] = None
    for node in nodes:
        if parent is not None and parent.holds(node):
            continue
        outer.append(node)
        if node.op.kind in _NESTING:
            parent = node
    return outer
