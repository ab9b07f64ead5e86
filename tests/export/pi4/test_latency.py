"""Predicting, as far as nothing has to be emulated."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.released import find_model
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.host.screen import Screen
from ghostdepth_export.pi4.counter.graph import PROBE_PATTERN, probe
from ghostdepth_export.pi4.latency import (
    Coefficients,
    ErrorOf,
    OpWork,
    predict_latency,
    read_coefficients,
    read_work,
    shipped,
    threads_used,
    write_coefficients,
)
from ghostdepth_export.pi4.latency.tables import show, warnings
from ghostdepth_export.pi4.latency.threads import busiest_cycles

from tests.export.conftest import Command
from tests.export.pi4.synthetic_counts import (
    convolution,
    count_without_qemu,
    counts,
    model_counts,
    plain,
)

REPOSITORY = Path(__file__).resolve().parents[3]


def board(**changes: Any) -> Coefficients:
    """The shipped one with easy numbers: 1 ms per million cycles, 20 per million lines."""
    start = shipped()
    easy = {
        name: dataclasses.replace(getattr(start, name), value=value, low=value, high=value)
        for name, value in (("cycle", 1.0), ("line", 20.0), ("wake", 0.5))
    }
    return dataclasses.replace(start, **easy, **changes)


# ------------------------------------------------------------------ time


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("clock", [1500.0, 1800.0])
def test_the_sum_is_that_of_one_formula_over_all_ops(threads: int, clock: float) -> None:
    random = np.random.default_rng(0)
    cycles, lines = random.integers(0, 5_000_000, 9), random.integers(0, 200_000, 9)
    work = [convolution(depth) for depth in (1, 16, 200)] + [plain("ADD")] * 3
    work += [plain("SOFTMAX")] * 3
    counted = model_counts(
        [(op.name, counts(int(c), int(d))) for op, c, d in zip(work, cycles, lines, strict=True)]
    )
    known = board()
    shared = np.array([threads_used(op, threads) for op in work])
    busiest = [busiest_cycles(op, int(c), threads) for op, c in zip(work, cycles, strict=True)]
    ms = (
        1.0 * sum(busiest) / 1e6 * known.clock_mhz / clock
        + 20.0 * lines.sum() / 1e6
        + 0.5 * (shared > 1).sum()
    )
    assert predict_latency(counted, work, known, threads, clock).ms == pytest.approx(ms)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_tables_of_a_prediction_fit_into_80_columns(threads: int) -> None:
    name, million = "RESIZE_NEAREST_NEIGHBOR", 1_000_000
    counted = model_counts([(name, counts(n * million, n * million)) for n in range(1, 200)])
    prediction = predict_latency(counted, [plain(name)] * 199, board(), threads)
    screen = Screen(file=io.StringIO(), width=80, color_system=None)
    show(prediction, 30, screen)
    lines = screen.file.getvalue().splitlines()
    of_ops = [line for line in lines if re.match(rf"\d+ {name}", line)]
    assert len(of_ops) == 31
    heads = [n for n, line in enumerate(lines) if "issue" in line.split() and "memory" in line]
    assert [lines[n + 1] for n in heads] == [of_ops[0], of_ops[1]]
    assert max(map(len, lines)) <= 80


def test_another_clock_leaves_the_memorys_part() -> None:
    counted = model_counts([("ADD", counts(3_000_000, 100_000))])
    slow, fast = (predict_latency(counted, [plain("ADD")], board(), 4, mhz) for mhz in (750, 1500))
    assert slow.ops[0].compute_ms == pytest.approx(2 * fast.ops[0].compute_ms)
    assert slow.ops[0].memory_ms == fast.ops[0].memory_ms == pytest.approx(2.0)


def test_what_is_between_the_ops_is_in_the_sum() -> None:
    counted = model_counts([("ADD", counts(3_000_000))])
    counted = dataclasses.replace(counted, outside=counts(1_000_000))
    prediction = predict_latency(counted, [plain("ADD")], board())
    assert prediction.outside_ms == pytest.approx(1.0)
    assert prediction.ms == pytest.approx(4.0)


def test_an_op_is_bound_by_what_takes_most_of_its_time() -> None:
    counted = model_counts([("ADD", counts(3_000_000, 1000)), ("ADD", counts(1000, 100_000))])
    ops = predict_latency(counted, [plain("ADD")] * 2, board()).ops
    assert [op.bound for op in ops] == ["issue", "memory"]


def test_the_band_is_the_error_of_the_calibration_by_length() -> None:
    known = board(errors=(ErrorOf(6.0, 0.5), ErrorOf(None, 0.1)))
    for ms, error in ((4, 0.5), (20, 0.1)):
        counted = model_counts([("ADD", counts(ms * 1_000_000))])
        prediction = predict_latency(counted, [plain("ADD")], known)
        assert (prediction.low, prediction.high) == pytest.approx(
            (ms * (1 - error), ms * (1 + error))
        )


def test_ops_outside_the_calibration_widen_the_band_upwards_only() -> None:
    known = board(errors=(ErrorOf(None, 0.1),), uncalibrated_error=0.3)
    names = ["ADD", "RESIZE_BILINEAR", "CONCATENATION"]
    counted = model_counts([(name, counts(10_000_000)) for name in names])
    prediction = predict_latency(counted, [plain(name) for name in names], known)
    assert prediction.uncalibrated == {"RESIZE_BILINEAR": 10.0, "CONCATENATION": 10.0}
    assert (prediction.low, prediction.high) == pytest.approx((27.0, 33.0 + 0.3 * 20))


def test_an_op_whose_split_was_not_checked_is_outside_and_named() -> None:
    known = board(errors=(ErrorOf(None, 0.1),), uncalibrated_error=0.3)
    counted = model_counts([("CONV_2D", counts(8_000_000)), ("ADD", counts(2_000_000))])
    work = [dataclasses.replace(convolution(64), dtype="INT16", weights="INT8"), plain("ADD")]
    prediction = predict_latency(counted, work, known, threads=4)
    assert prediction.ms == pytest.approx(10.0)
    assert prediction.high == pytest.approx(11.0 + 0.3 * 8)
    assert prediction.unsplit == {"CONV_2D INT16 x INT8": 8.0}
    first, second = warnings(prediction)
    assert "80% of the latency is in ops that are outside the rules" in first
    assert "CONV_2D" in second


# ------------------------------------------------------------------ work


@pytest.mark.parametrize(("name", "weights"), [("ghostdepth-nano", 9), ("ghostdepth-s", 16)])
def test_the_macs_of_a_released_file_are_those_of_its_network(name: str, weights: int) -> None:
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.models.summary import layer_costs

    rows = layer_costs(load_checkpoint(REPOSITORY / "models" / name).network)
    # For 2x2 positions at once a head multiplies by (3 + 1)^2 weights each instead of 3^2.
    expected = sum(row.macs * weights // 9 if row.name == "head" else row.macs for row in rows)
    assert sum(op.macs for op in read_work(find_model(name))) == expected


def test_macs_of_a_transposed_convolution_are_those_of_what_it_reads() -> None:
    weights, picture = (7, 3, 3, 5), (1, 4, 6, 5)
    op = OpWork("TRANSPOSE_CONV", "FLOAT32", (1, 8, 12, 7), ((4,), weights, picture))
    assert op.macs == 4 * 6 * 5 * 7 * 3 * 3


def test_ops_come_in_the_order_of_the_counter(tmp_path: Path) -> None:
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe())
    work = read_work(path)
    assert [op.output == (1, 4096) for op in work] == list(PROBE_PATTERN)
    assert {(op.name, op.dtype, op.inputs == (op.output,)) for op in work} == {
        ("RELU", "FLOAT32", True)
    }


# ------------------------------------------------------------------ coefficients


def test_coefficients_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    write_coefficients(path, board())
    assert read_coefficients(path) == board()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "other/1"}, r"holds no coefficients .* but other/1"),
        ({"cycle": {"value": 1.0}}, "an incomplete set of coefficients.*missing"),
        ({"clock_mhz": 0}, "clock_mhz must be above 0"),
        ({"errors": [{"up_to_ms": 6.0, "error": 0.1}]}, "errors must end with"),
        ({"colour": "blue"}, "an incomplete set of coefficients.*colour"),
    ],
)
def test_a_file_of_coefficients_that_is_wrong_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "board.json"
    write_coefficients(path, board())
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match=message):
        read_coefficients(path)


@pytest.mark.parametrize("value", [-1.0, 9.0])
def test_a_coefficient_that_is_negative_or_outside_its_interval_is_refused(
    tmp_path: Path, value: float
) -> None:
    path = tmp_path / "board.json"
    write_coefficients(path, board())
    content = json.loads(path.read_text())
    content["line"].update(value=value, low=-2.0, high=3.0)
    path.write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=r"board\.json holds an incomplete set of coefficients: line"
    ):
        read_coefficients(path)


# ------------------------------------------------------------------ the verb


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(probe())
    return path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--threads", "5"], "--threads 5: a Raspberry Pi has 1..4"),
        (["--threads", "0"], "--threads 0: a Raspberry Pi has 1..4"),
        (["--clock", "1.5"], "--clock 1.5 is impossible; give 300 to 3200 MHz"),
        (["--coefficients", "none.json"], "cannot read none.json"),
    ],
)
def test_what_no_prediction_exists_for_is_refused_at_once(
    model: Path, options: list[str], says: str, command: Command
) -> None:
    done = command("latency", model, *options, code=2)
    assert done.err.startswith(f"ghostdepth: {says}")
    assert done.err.count("\n") == 1


def test_a_later_file_that_cannot_be_counted_stops_before_the_first_is(
    model: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    def change(name: str, edit: Any) -> Path:
        content = unpack(probe())
        edit(content)
        path = model.parent / name
        path.write_bytes(pack(content))
        return path

    dynamic = change(
        "dynamic.tflite", lambda m: setattr(m.subgraphs[0].tensors[1], "shapeSignature", [1, -1])
    )
    text = model.parent / "text.tflite"
    text.write_text("not a model at all")
    count_without_qemu(monkeypatch, counts(1))
    for path, code, says in (
        (dynamic, MODEL_FAILED, "its input has no fixed shape"),
        (text, BAD_INPUT, "not a .tflite file"),
    ):
        done = command("latency", model, path, code=code)
        assert says in done.err
        assert str(path) in done.err
        assert done.out == ""


def test_a_missing_qemu_is_told_with_its_package(
    model: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("PATH", str(model.parent))
    done = command("latency", model, code=2)
    assert re.search(r"^ghostdepth: qemu-aarch64 is not installed; .*qemu-user$", done.err)


def test_models_are_printed_one_by_one_and_side_by_side(
    model: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    count_without_qemu(monkeypatch, counts(1_000_000, 10_000))
    other = model.with_name("other.tflite")
    other.write_bytes(probe())
    report = model.with_name("predictions.json")
    done = command("latency", model, other, "--threads", 1, "--json", report)
    assert done.out.startswith(
        "predicted for Raspberry Pi 4, TensorFlow Lite 2.5, from instruction counts: nothing"
    )
    known = shipped()
    ms = len(PROBE_PATTERN) * (known.cycle.value + known.line.value / 100)
    assert done.out.count(f"1 thread, 1500 MHz: {ms:.1f} ms (") == 2
    assert "side by side" in done.out
    rare = "are rare in the calibration networks or have another data type there (RELU)"
    assert f"100% of the latency is in ops that {rare}" in " ".join(done.out.split())
    first, second = json.loads(report.read_text())["predictions"]
    assert (first["file"], second["file"]) == ("m.tflite", "other.tflite")
    assert first["ms"] == pytest.approx(ms)
    assert first["low"] < first["ms"] < first["high"]
    assert sum(op["ms"] for op in first["ops"]) == pytest.approx(ms)
    assert {op["bound"] for op in first["ops"]} == {"issue"}


def test_a_boards_own_coefficients_are_used(
    model: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    count_without_qemu(monkeypatch, counts(1_000_000))
    path = model.with_name("board.json")
    write_coefficients(path, board(board="my Pi"))
    done = command("latency", model, "--coefficients", path)
    assert done.out.startswith("predicted for my Pi")
    assert f"1500 MHz: {len(PROBE_PATTERN)}.0 ms" in done.out


def test_predict_runs_a_model_and_names_latency_for_a_model_file(model: Path) -> None:
    words = [sys.executable, "-m", "ghostdepth", "predict", model, "--model", model]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "`ghostdepth latency` predicts its milliseconds" in done.stderr
