"""Counting real models with the real TensorFlow Lite 2.5."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.counter import ModelCounts, count, read_counts
from ghostdepth_export.pi4.counter.counts import run_model
from ghostdepth_export.pi4.counter.graph import probe
from ghostdepth_export.pi4.counter.plugin import COUNTER

from tests.arm64.conftest import need
from tests.conftest import benchmark

RELEASED = ("ghostdepth-s-fp32.tflite", "ghostdepth-s-int8.tflite")


@pytest.fixture(scope="session")
def ready(bullseye_root: Path) -> Path:
    """The root, where the counter's programs are there too."""
    need("gcc", "gcc")
    need("setarch", "util-linux")
    return bullseye_root


@pytest.fixture(scope="session")
def counted(ready: Path, exported: Path) -> Callable[[str], ModelCounts]:
    """Counts a released model once for all tests."""
    kept: dict[str, ModelCounts] = {}

    def get(name: str) -> ModelCounts:
        if name not in kept:
            kept[name] = count(exported / name, ready)
        return kept[name]

    return get


@pytest.fixture(scope="session")
def baseline() -> ModuleType:
    return benchmark("baseline", "instructions")


@pytest.mark.parametrize("name", RELEASED)
def test_two_counts_agree(
    ready: Path, exported: Path, counted: Callable[[str], ModelCounts], name: str
) -> None:
    totals = [counted(name).total, count(exported / name, ready).total]
    figures = np.array([total.values() for total in totals])
    spread = np.ptp(figures, axis=0) / figures[0]
    # ruy looks at the clock now and then, which costs 63 instructions.
    assert spread[0] < 1e-5
    assert (spread < 1e-3).all(), figures


def test_the_section_is_the_difference_of_two_whole_runs(
    ready: Path, exported: Path, counted: Callable[[str], ModelCounts]
) -> None:
    """The second way to count: a run with one more invocation, less a run without it."""
    name = RELEASED[1]
    model = exported / name
    longer, shorter = (
        run_model(model, ready, COUNTER, warm_ups).listing.whole for warm_ups in (3, 2)
    )
    difference = np.array((longer - shorter).values())
    section = np.array(counted(name).total.values())
    error = np.abs(difference / section - 1)
    assert (error[:4] < 1e-3).all(), (difference, section)
    # Around the section other memory is touched than around an invocation inside the run. Which
    # lines are streamed also depends on where the buffers of that invocation begin.
    assert (error[4:7] < 1e-2).all(), (difference, section)


def test_ops_do_the_work_of_their_names(counted: Callable[[str], ModelCounts]) -> None:
    model = counted(RELEASED[0])
    assert model.runtime.startswith("2.5.0")
    enlargement = model.ops[-1]
    assert (enlargement.name, enlargement.shape) == ("RESIZE_BILINEAR", "1x480x1x640")
    pixels = 480 * 640
    # 16 bytes a store at the most, and as many lines as the output has go to DRAM at some time.
    assert enlargement.counts.stores >= pixels / 4
    assert enlargement.counts.instructions > 4 * pixels
    dram = enlargement.counts.l2_misses + enlargement.counts.writebacks
    assert 1 <= dram / (pixels * 4 / 64) <= 3
    for op in model.ops:
        if op.name == "CONCATENATION":
            size = np.prod([int(n) for n in op.shape.split("x")])
            # It copies: 16 bytes a store, at most 64 with DC ZVA.
            assert op.counts.stores >= size * 4 / 64
    assert model.outside.instructions < 0.001 * model.total.instructions


def with_one_more_op(data: bytes) -> bytes:
    """EXP after the last op."""
    from ghostdepth_export.convert.flatbuffer import op_name, pack, unpack
    from ghostdepth_export.convert.tflite_schema import schema

    model = unpack(data)
    graph = model.subgraphs[0]
    exp = next(op for op in graph.operators if op_name(model, op) == "EXP")
    last = graph.tensors[graph.outputs[0]]
    extra = schema.TensorT()
    extra.shape, extra.type, extra.name = last.shape, last.type, b"extra"
    op = schema.OperatorT()
    op.opcodeIndex = exp.opcodeIndex
    op.inputs, op.outputs = list(graph.outputs), [len(graph.tensors)]
    graph.tensors.append(extra)
    graph.operators.append(op)
    graph.outputs = op.outputs
    return pack(model)


def test_the_check_refuses_one_more_op_by_name(
    ready: Path,
    exported: Path,
    counted: Callable[[str], ModelCounts],
    baseline: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = RELEASED[1]
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    data = (exported / name).read_bytes()
    (before / name).write_bytes(data)
    (after / name).write_bytes(with_one_more_op(data))
    written = tmp_path / "baseline.json"
    options = ["--baseline", str(written)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "count", lambda file, _: counted(file.name))
        assert baseline.main([*options, "--models", str(before)]) == 0
        assert baseline.main([*options, "--models", str(before), "--check"]) == 0
    ops = len(read_counts(written)[0].ops)
    capsys.readouterr()
    assert baseline.main([*options, "--models", str(after), "--check"]) == 1
    head, *lines = capsys.readouterr().out.splitlines()
    assert "FAILED" in head
    assert len(lines) == 1
    assert f"added op {ops} EXP 1x480x1x640 (extra)" in lines[0]


def test_the_released_models_are_those_of_the_baseline(
    exported: Path,
    counted: Callable[[str], ModelCounts],
    baseline: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(baseline, "count", lambda file, _: counted(file.name))
    code = baseline.main(["--check", "--models", str(exported)])
    assert code == 0, capsys.readouterr().out


def test_a_model_of_one_op_is_counted(ready: Path, tmp_path: Path) -> None:
    """Few ops give no hint which call is an op's; the probe does."""
    from ghostdepth_export.convert.flatbuffer import pack, unpack

    model = unpack(probe())
    graph = model.subgraphs[0]
    del graph.operators[1:], graph.tensors[3:]
    graph.outputs = [2]
    path = tmp_path / "one.tflite"
    path.write_bytes(pack(model))
    (op,) = count(path, ready).ops
    assert op.name == "RELU"


def test_what_the_runtime_refuses_is_told_in_one_line(ready: Path, tmp_path: Path) -> None:
    from ghostdepth_export.convert.flatbuffer import pack, unpack

    model = unpack(probe())
    model.subgraphs[0].tensors[0].type = 4  # strings have no RELU
    path = tmp_path / "strings.tflite"
    path.write_bytes(pack(model))
    with pytest.raises(UserError, match="TensorFlow Lite in the emulated Pi refuses it: "):
        count(path, ready)


def test_the_command_prints_and_writes_counts(ready: Path, exported: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from ghostdepth.commands import main; main()", "count"]
    written = tmp_path / "counts.json"
    options = [str(exported / RELEASED[1]), "--json", str(written), "--top", "3"]
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "counts on an emulated Cortex-A72, TensorFlow Lite 2.5.0, one thread"
    )
    assert "these are not times" in lines[0]
    (model,) = read_counts(written)
    total = f"{model.total.instructions:,}"
    assert any(line.split()[:2] == ["total", total] for line in lines)
    longest = max(model.ops, key=lambda op: op.counts.instructions)
    assert any(f"{longest.index} {longest.name} {longest.shape}" in line for line in lines)
