from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.runtimes import choose
from bench_depth.model.runtimes.tflite import TfliteRuntime
from bench_depth.timing.profiling.ops import Op, Profile
from bench_depth.timing.profiling.tflite import (
    MIN_RUNS,
    WARM_UP,
    Calls,
    _ops,
    profile_tflite,
    run_in_turn,
)

from tests.device.conftest import HEIGHT, WIDTH, converted, remembered
from tests.device.timing.fake_tflite import FakeClock, FakeInterpreter

pytestmark = pytest.mark.model_files
RUNTIMES = ("tflite_runtime", "ai_edge_litert", "tensorflow")
PICTURE = np.random.default_rng(0).uniform(0, 255, (1, HEIGHT, WIDTH, 3)).astype(np.float32)
SHAPE = f"1x{HEIGHT}x{WIDTH}x"


def test_each_op_gets_the_time_that_it_took() -> None:
    clock = FakeClock()
    fake = FakeInterpreter(clock, [300, 20, 7000])
    times, totals, untimed = run_in_turn(Calls(fake, clock), fake.invoke, 0, clock)
    assert times.tolist() == [[300, 20, 7000]] * MIN_RUNS
    assert totals == untimed == [7320] * MIN_RUNS


def test_times_belong_to_the_ops_in_the_order_in_which_they_are_executed() -> None:
    clock = FakeClock()
    fake = FakeInterpreter(clock, [300, 20, 7000, 1], order=[3, 0, 2])
    calls = Calls(fake, clock)
    calls.time_ops(True)
    fake.invoke()
    assert calls.nodes == [3, 0, 2]
    assert calls.spent_ns == [1, 300, 7000]
    assert _ops(fake, calls.nodes)[0] == Op(3, "KIND_1", "t4", "1x4")


def test_it_runs_for_the_seconds_that_it_is_given() -> None:
    clock = FakeClock()
    fake = FakeInterpreter(clock, [10_000_000])
    _, totals, untimed = run_in_turn(Calls(fake, clock), fake.invoke, 2, clock)
    assert len(totals) == len(untimed) == 100 - WARM_UP


def test_an_op_that_fails_still_fails() -> None:
    fake = FakeInterpreter(FakeClock(), [1, 2])
    calls = Calls(fake)
    calls.time_ops(True)
    fake.fails = 1
    with pytest.raises(RuntimeError, match="op 1 failed"):
        fake.invoke()


def test_without_timing_the_runtimes_own_functions_run() -> None:
    fake = FakeInterpreter(FakeClock(), [1, 2])
    before = [registration.invoke for registration in fake.registrations]
    calls = Calls(fake)
    calls.time_ops(True)
    assert {registration.invoke for registration in fake.registrations}.isdisjoint(before)
    calls.time_ops(False)
    assert [registration.invoke for registration in fake.registrations] == before


def test_the_ops_of_a_branchs_graph_are_its_ops_own() -> None:
    calls = Calls(FakeInterpreter(FakeClock(), [1, 2], graphs=3))
    assert calls.nodes == [0, 1]


def other_outputs(fake: FakeInterpreter) -> None:
    fake.said[1]["outputs"] = np.array([7])


def no_function(fake: FakeInterpreter) -> None:
    fake.registrations[1].invoke = None


def other_tensors(fake: FakeInterpreter) -> None:
    fake.context.tensors_size = 0x7F001234


def unknown_op(fake: FakeInterpreter) -> None:
    del fake.said[1]


def no_plan(fake: FakeInterpreter) -> None:
    fake.order = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_outputs, "op 1 has other outputs than it reports"),
        (no_function, "op 1 is not run by a function"),
        (other_tensors, "another number of tensors"),
        (unknown_op, "it has no op 1"),
        (no_plan, "it reports no ops"),
    ],
)
def test_an_interpreter_of_another_build_is_refused_unchanged(
    change: Callable[[FakeInterpreter], None], message: str
) -> None:
    fake = FakeInterpreter(FakeClock(), [1, 2])
    change(fake)
    before = [registration.invoke for registration in fake.registrations]
    with pytest.raises(ValueError, match=message):
        Calls(fake)
    assert [registration.invoke for registration in fake.registrations] == before


def write(path: Path, name: str) -> Path:
    path.write_bytes(remembered(("profile", name), lambda: _convert(name)))
    return path


def _convert(name: str) -> bytes:
    import tensorflow as tf

    bodies: dict[str, Callable[[Any], Any]] = {
        "one": tf.exp,
        "split": lambda x: sum(t * (i + 1.0) for i, t in enumerate(tf.split(x, 3, -1))),
        "branch": lambda x: tf.cond(
            tf.reduce_sum(x) > 0.0, lambda: tf.sin(tf.exp(x * 1e-3)), lambda: tf.cos(x)
        ),
    }

    class Body(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(PICTURE.shape, tf.float32)])
        def run(self, x: Any) -> Any:
            return bodies[name](x)

    return converted(Body())


def profiled(path: Path, name: str) -> Profile:
    """Without XNNPACK, whether the runtime has it or not."""
    pytest.importorskip(name)
    runtime = choose(path, name)
    assert isinstance(runtime, TfliteRuntime)
    found = profile_tflite(runtime, path, 1, PICTURE, 0)
    for view in filter(None, (found, found.plain)):
        assert view.sum_ms > 0
        assert view.untimed_ms > 0
        assert sum(op.share for op in view.ops) == pytest.approx(1)
    if found.plain is not None:
        own = [op for op in found.ops if op.kind != "XNNPACK"]
        assert found.delegated + len(own) == len(found.plain.ops)
        assert "XNNPACK" not in {op.kind for op in found.plain.ops}
    return found.plain or found


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtimes_ops_are_those_of_the_file(name: str, tiny_tflite: Path) -> None:
    ops = profiled(tiny_tflite, name).ops
    assert [op.kind for op in ops] in (["MEAN", "MUL", "ADD"], ["MEAN", "DIV", "ADD"])
    assert [op.index for op in ops] == [0, 1, 2]
    assert {op.shape for op in ops} == {SHAPE + "1"}
    assert all(op.name and op.ms > 0 for op in ops)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_model_of_one_op(name: str, tmp_path: Path) -> None:
    (op,) = profiled(write(tmp_path / "one.tflite", "one"), name).ops
    assert (op.kind, op.shape, op.share) == ("EXP", SHAPE + "3", 1)


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_op_with_several_outputs_is_one_op(name: str, tmp_path: Path) -> None:
    ops = profiled(write(tmp_path / "split.tflite", "split"), name).ops
    kinds = [op.kind for op in ops]
    assert [op.shape for op in ops if op.kind.startswith("SPLIT")] == [SHAPE + "1"]
    assert kinds.count("MUL") >= 2


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_branch_is_one_op(name: str, tmp_path: Path) -> None:
    ops = profiled(write(tmp_path / "branch.tflite", "branch"), name).ops
    assert [op.kind for op in ops].count("IF") == 1
    assert {"SIN", "COS", "EXP"}.isdisjoint(op.kind for op in ops)


@pytest.mark.parametrize("name", RUNTIMES)
def test_timing_the_ops_does_not_change_what_they_compute(name: str, tiny_tflite: Path) -> None:
    pytest.importorskip(name)
    runtime = choose(tiny_tflite, name)
    assert isinstance(runtime, TfliteRuntime)
    bare, model = runtime.load(tiny_tflite, 1), runtime.load(tiny_tflite, 1)
    calls = Calls(model.interpreter)
    for each in (bare, model):
        each.set_input(PICTURE)
    bare.invoke()
    times, totals, _ = run_in_turn(calls, model.invoke, 0)
    np.testing.assert_array_equal(model.output(), bare.output())
    assert times.min() > 0
    assert (times.sum(1) <= totals).all()


def test_a_runtime_whose_ops_cannot_be_reached_is_named_with_its_version(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("it reports no ops")

    monkeypatch.setattr("bench_depth.timing.profiling.tflite.Calls", refuse)
    runtime = choose(tiny_tflite)
    assert isinstance(runtime, TfliteRuntime)
    with pytest.raises(
        UserError, match=rf"cannot be timed in {runtime.name} \d.*reports no ops"
    ) as e:
        profile_tflite(runtime, tiny_tflite, 1, PICTURE, 0)
    assert e.value.exit_code == MODEL_FAILED


def test_the_structures_are_those_of_a_64_bit_machine() -> None:
    # TensorFlow's lite/c/common.h, counted by hand.
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        pytest.skip("pointers of another size")
    from bench_depth.timing.profiling import tflite

    assert tflite._IntArray.first.offset == 4
    assert tflite._Registration.invoke.offset == 24
    assert tflite._Context.get_node_and_registration.offset == 56
    assert tflite._Delegate.flags.offset == 40
