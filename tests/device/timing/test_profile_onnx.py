from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.model.runtimes.onnx import OnnxRuntime
from bench_depth.timing.profiling import onnx as module
from bench_depth.timing.profiling.onnx import profile_onnx, read_trace
from bench_depth.timing.profiling.ops import Op

from tests.device.conftest import HEIGHT, WIDTH

PICTURE = np.full((1, HEIGHT, WIDTH, 3), 7, np.float32)


def run(begin: int, end: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": begin, "dur": end - begin, "args": {}}


def node(begin: int, end: int, name: str, kind: str, index: int = 0) -> dict[str, Any]:
    shape = [{"float": [1, 2, 3]}, {"int64": [4]}]
    args = {"op_name": kind, "node_index": str(index), "output_type_shape": shape}
    name = f"{name}_kernel_time"
    return {"cat": "Node", "name": name, "ts": begin, "dur": end - begin, "ph": "X", "args": args}


def test_nodes_are_distinguished_by_run() -> None:
    events = [
        {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 5, "args": {}},
        # Written when they end: the run last.
        *(node(11, 14, "a", "Conv", 3), node(14, 15, "b", "Add", 4), run(10, 20)),
        *(node(31, 35, "a", "Conv", 3), node(36, 38, "b", "Add", 4), run(30, 40)),
    ]
    ops, times, totals = read_trace(json.dumps(events))
    assert ops == [Op(3, "Conv", "a", "1x2x3"), Op(4, "Add", "b", "1x2x3")]
    assert times.tolist() == [[3000, 1000], [4000, 2000]]
    assert totals == [10_000, 10_000]


def test_what_a_branch_or_loop_runs_is_within_its_time() -> None:
    nodes = [
        node(1, 9, "outer", "If", 0),
        node(2, 8, "loop", "Loop", 0),
        node(3, 4, "x", "Conv", 0),
        node(4, 5, "x", "Conv", 0),
        node(9, 10, "after", "Relu", 1),
    ]
    ops, times, _ = read_trace(json.dumps([*nodes[::-1], run(0, 12)]))
    assert [op.name for op in ops] == ["outer", "after"]
    assert times.tolist() == [[8000, 1000]]


def test_a_node_too_short_for_the_clock_is_kept() -> None:
    events = [run(0, 9), node(1, 1, "short", "Reshape"), node(1, 5, "long", "Conv", 1)]
    ops, times, _ = read_trace(json.dumps(events))
    assert {op.name: int(times[0, i]) for i, op in enumerate(ops)} == {"short": 0, "long": 4000}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[{",
        "7",
        "[]",
        "[7]",
        json.dumps([run(0, 9)]),
        json.dumps([{"cat": "Node", "name": "a_kernel_time"}]),
        json.dumps([node(1, 2, "before", "Conv"), run(5, 9)]),
        json.dumps([run(0, 9), {**node(1, 2, "a", "Conv"), "args": None}]),
    ],
)
def test_what_is_no_trace_of_a_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_trace(text)


def test_onnx_runtimes_nodes_are_those_of_the_file(make_onnx, tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx")
    found = profile_onnx(OnnxRuntime(), path, 1, PICTURE, 0)
    assert [op.kind for op in found.ops] == ["ReduceMean", "Mul", "Add"]
    assert {op.shape for op in found.ops} == {f"1x{HEIGHT}x{WIDTH}x1"}
    assert found.method == "onnxruntime"
    assert found.total_ms > 0
    assert found.untimed_ms > 0
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_a_profile_that_is_not_understood_is_one_line(
    make_onnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise ValueError("no node of a run is in it")

    monkeypatch.setattr(module, "read_trace", refuse)
    with pytest.raises(UserError, match=r"onnxruntime \d.*cannot be read: no node"):
        profile_onnx(OnnxRuntime(), make_onnx(tmp_path / "m.onnx"), 1, PICTURE, 0)
