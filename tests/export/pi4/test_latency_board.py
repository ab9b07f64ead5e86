"""Calibrating predictions with what was measured on a board."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.machine.board import Health
from bench_depth.results.records import Results, RuntimeRecord, save
from ghostdepth_export.convert.flatbuffer import pack, set_metadata, unpack
from ghostdepth_export.pi4.counter import ModelCounts
from ghostdepth_export.pi4.counter.graph import probe, read_ops
from ghostdepth_export.pi4.latency import (
    Coefficients,
    ErrorOf,
    predict_latency,
    read_coefficients,
    shipped,
)
from ghostdepth_export.pi4.latency.calibration import calibrate as calibrate_module
from ghostdepth_export.pi4.latency.calibration.measured import Measurement, read_measurements
from ghostdepth_export.pi4.latency.calibration.refit import ENOUGH_MODELS, CountedModel, refit

from tests.export.conftest import Command
from tests.export.pi4.synthetic_counts import convolution, counts, model_counts, plain
from tests.export.results_files import PI, results_of

# ------------------------------------------------------------------ the fit


def a_board(cycle: float, line: float, wake: float, clock: float) -> Coefficients:
    """The shipped coefficients times these, at another clock."""
    start = shipped()
    changed = {}
    for name, factor in (("cycle", cycle), ("line", line), ("wake", wake)):
        old = getattr(start, name)
        value = old.value * factor
        changed[name] = dataclasses.replace(old, value=value, low=value, high=value)
    return dataclasses.replace(start, clock_mhz=clock, **changed)


def some_models(number: int) -> dict[str, CountedModel]:
    """Models of every mix of arithmetic, memory and small ops, by a name in place of a sha256."""
    random = np.random.default_rng(3)
    made = {}
    for index in range(number):
        # From tiny ops, which waking threads costs most, to large ones.
        cycles, lines = 10 ** random.uniform((4.0, 2.0), (6.5, 4.8))
        work = [convolution(64)] * 30 + [plain("PAD")]
        each = counts(int(cycles), int(lines))
        made[f"m{index}"] = CountedModel(model_counts([(op.name, each) for op in work]), work)
    return made


def measured_on(
    board: Coefficients,
    models: dict[str, CountedModel],
    clocks: tuple[float, ...],
    noise: float = 0.0,
) -> list[Measurement]:
    random = np.random.default_rng(4)
    return [
        Measurement(
            "my Pi",
            Path(f"{name}.tflite"),
            name,
            threads,
            clock,
            predict_latency(of.counts, of.work, board, threads, clock).ms * random.normal(1, noise),
            (),
        )
        for index, (name, of) in enumerate(models.items())
        for threads in (1, 4)
        for clock in [clocks[index % len(clocks)]]
    ]


def values(board: Coefficients, clock: float) -> list[float]:
    return [
        board.cycle.value * board.clock_mhz / clock,
        board.line.value,
        board.wake.value,
    ]


@pytest.mark.parametrize("clocks", [(1500.0,), (1800.0, 600.0)])
def test_the_coefficients_of_a_known_board_are_found_again(clocks: tuple[float, ...]) -> None:
    board, models = a_board(1.15, 1.4, 0.6, 1500), some_models(12)
    found = refit(measured_on(board, models, clocks), models, shipped())
    assert found.coefficients.clock_mhz == clocks[0]
    assert values(found.coefficients, 1500) == pytest.approx(values(board, 1500), rel=0.05)
    assert np.abs(found.errors(found.before)).mean() > 0.1
    assert np.abs(found.errors(found.after)).max() < 0.01
    # What is written predicts what was reported.
    last = found.measurements[-1]
    of = models[last.sha256]
    again = predict_latency(of.counts, of.work, found.coefficients, last.threads, last.clock_mhz)
    assert again.ms == pytest.approx(found.after[-1])


def test_noise_in_the_measurements_stays_within_the_stated_intervals() -> None:
    board, models = a_board(1.05, 1.2, 0.8, 1500), some_models(12)
    found = refit(measured_on(board, models, (1500.0,), 0.03), models, shipped()).coefficients
    for name in ("cycle", "line", "wake"):
        new = getattr(found, name)
        assert new.low < getattr(board, name).value < new.high
    assert "measurements of my Pi" in found.cycle.provenance


def test_one_measurement_moves_the_coefficients_towards_it_but_not_all_the_way() -> None:
    models = some_models(1)
    slow = a_board(1.5, 1.5, 1.5, 1500)
    found = refit(measured_on(slow, models, (1500.0,))[:1], models, shipped())
    factors = np.array(values(found.coefficients, 1500)) / values(shipped(), 1500)
    assert all(factor > 0.999 for factor in factors)
    before, after = found.errors(found.before)[0], found.errors(found.after)[0]
    assert before < after < 0
    # Nothing is known of this board's errors, and nothing is left to predict it from.
    assert found.coefficients.errors == shipped().errors
    assert found.left_out == pytest.approx(found.before)


def test_the_fit_is_the_least_of_its_sum_of_squares() -> None:
    from scipy.optimize import minimize

    board, models = a_board(1.2, 0.9, 1.5, 1500), some_models(2)
    rows = measured_on(board, models, (1500.0,), 0.05)
    start = np.array(values(shipped(), 1500))

    def cost(changes: np.ndarray) -> float:
        cycle, line, wake = 1 + changes
        trial = a_board(cycle, line, wake, 1500)
        off = [
            predict_latency(of.counts, of.work, trial, row.threads).ms / row.ms - 1
            for row in rows
            for of in [models[row.sha256]]
        ]
        return float(np.sum(np.square(off)) / 0.05**2 + np.sum((changes / (0.1, 0.3, 0.5)) ** 2))

    least = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-4})
    found = refit(rows, models, shipped()).coefficients
    assert values(found, 1500) == pytest.approx((1 + least.x) * start, rel=1e-3)


def test_enough_models_state_the_boards_own_errors_and_types() -> None:
    board = a_board(1.1, 1.1, 1.1, 1500)
    few = some_models(ENOUGH_MODELS - 1)
    enough = some_models(ENOUGH_MODELS)
    kept = refit(measured_on(board, few, (1500.0,)), few, shipped()).coefficients
    own = refit(measured_on(board, enough, (1500.0,)), enough, shipped()).coefficients
    assert (kept.errors, kept.calibrated) == (shipped().errors, shipped().calibrated)
    assert own.errors == (ErrorOf(None, 0.05),)
    assert own.calibrated == shipped().calibrated | {"CONV_2D", "PAD"}


# ------------------------------------------------------------------ results files

THROTTLED, LOW_VOLTAGE = Health(1000, 82.0, 0x4), Health(1500, 50.0, 0x1)

Change = Callable[[Results], Results]
Write = Callable[..., Path]


def results_with_sha256(model: Path, ms: float = 12.0, **changes: Any) -> Results:
    identity = {"file": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    return results_of(ms=ms, **identity | changes)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(probe())
    return path


@pytest.fixture
def write(model: Path) -> Write:
    def make(name: str = "results.json", **changes: Any) -> Path:
        path = model.with_name(name)
        save(results_with_sha256(model, **changes), path)
        return path

    return make


def test_a_measurement_is_read_with_its_clock_threads_and_model(write: Write, model: Path) -> None:
    path = write(threads=2, before=Health(600, 40.0, 0), warnings=["governor", "noisy"])
    ((found,), left_out) = read_measurements([path], None)
    assert (found.model, found.threads, found.clock_mhz) == (model, 2, 1500)
    assert (found.ms, found.board, found.doubts) == (12.0, PI.model, ("noisy",))
    assert left_out == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"board": dataclasses.replace(PI, emulated=True)}, "was measured on an emulator"),
        ({"board": dataclasses.replace(PI, cpu="Cortex-A76")}, "measured on Cortex-A76; the"),
        ({"board": dataclasses.replace(PI, cpu=None)}, "measured on an unknown processor"),
        ({"after": THROTTLED}, r"lowered its clock while m\.tflite ran \(throttled\)"),
        ({"after": LOW_VOLTAGE}, "the supply's voltage was too low"),
        ({"threads": 8}, "ran with 8 threads on 4 cores"),
        ({"sha256": "ab" * 32}, r"m\.tflite is not the file that .* measured \(sha256\)"),
        ({"file": "other.tflite"}, r"other\.tflite, which .* measured, is missing; .*--models"),
        (
            {"runtime": RuntimeRecord("ai_edge_litert", "2.3.0", True)},
            "no measurement to calibrate with.*it ran in ai_edge_litert 2.3.0, not in TensorFlow",
        ),
        ({"runtime": RuntimeRecord("tensorflow", "2.5.3", True)}, "it ran with XNNPACK"),
        ({"file": "m.onnx"}, r"m\.onnx is left out: only \.tflite files can be counted"),
    ],
)
def test_what_says_nothing_about_a_board_is_refused_with_the_reason(
    write: Write, changes: dict[str, Any], message: str
) -> None:
    path = write(**changes)
    with pytest.raises(UserError, match=message) as caught:
        read_measurements([path], None)
    assert str(path.name) in str(caught.value)


def test_more_threads_than_the_process_was_allowed_cores_are_refused(
    model: Path, tmp_path: Path
) -> None:
    results = results_with_sha256(model)
    context = dataclasses.replace(results.context, affinity=[2, 3])
    save(dataclasses.replace(results, context=context), tmp_path / "results.json")
    with pytest.raises(UserError, match="ran with 4 threads on 2 cores"):
        read_measurements([tmp_path / "results.json"], None)


def test_results_of_two_boards_are_refused(write: Write) -> None:
    files = [write("a.json"), write("b.json", board=dataclasses.replace(PI, model="CM4"))]
    with pytest.raises(UserError, match=r"of 2 boards \(CM4, Raspberry Pi 4 Model B\)"):
        read_measurements(files, None)


def test_a_clock_that_the_board_does_not_tell_has_to_be_said(write: Write) -> None:
    quiet = dataclasses.replace(PI, max_clock_mhz=None)
    unknown = Health(None, None, None)
    path = write(board=quiet, before=unknown, after=unknown)
    with pytest.raises(UserError, match="does not state the CPU clock; give it with --clock"):
        read_measurements([path], None)
    ((found,), _) = read_measurements([path], None, 1800)
    assert found.clock_mhz == 1800


def test_models_are_looked_for_where_they_are_said_to_be(write: Write, model: Path) -> None:
    path = write()
    moved = model.parent / "elsewhere" / model.name
    moved.parent.mkdir()
    model.rename(moved)
    ((found,), _) = read_measurements([path], moved.parent)
    assert found.model == moved


# ------------------------------------------------------------------ the verb


def test_the_verb_calibrates_and_what_it_writes_predicts_better(
    model: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    paths, files = [], []
    real = a_board(1.2, 1.2, 1.2, 1500)

    def count(path: Path, root: Path, *_: object) -> ModelCounts:
        each = counts(1_000_000 * len(path.stem), 40_000 // len(path.stem))
        return model_counts([(op.name, each) for op in read_ops(path)], path.name)

    for number in range(1, ENOUGH_MODELS + 1):
        path = model.with_name(f"{'m' * number}.tflite")
        content = unpack(probe())
        set_metadata(content, b"number", bytes([number]))
        path.write_bytes(pack(content))
        work = [plain(op.name) for op in read_ops(path)]
        ms = predict_latency(count(path, path), work, real).ms
        files.append(model.with_name(f"{number}.json"))
        save(results_with_sha256(path, ms), files[-1])
        paths.append(path)
    monkeypatch.setattr(calibrate_module, "count", count)
    monkeypatch.setattr(calibrate_module, "find_qemu", lambda: None)
    monkeypatch.setattr("ghostdepth_export.pi4.emulator.build_root", lambda *_: Path("root"))
    board = model.with_name("board.json")
    done = command("latency", "--calibrate", *files, "--out", board)
    assert all(f"counting {path.name}" in done.err for path in paths)
    assert "Raspberry Pi 4 Model B at 1500 MHz" in done.out
    assert "mean error: 16.7% before" in done.out
    assert f"latency --coefficients {board}" in " ".join(done.out.split())
    written = read_coefficients(board)
    off = predict_latency(count(paths[0], paths[0]), work, written).ms / (
        predict_latency(count(paths[0], paths[0]), work, real).ms
    )
    assert off == pytest.approx(1, abs=0.02)


def test_a_throttled_result_ends_the_verb_with_one_line(write: Write, command: Command) -> None:
    board = write().with_name("board.json")
    path = write(after=THROTTLED)
    done = command("latency", "--calibrate", path, "--out", board, code=2)
    assert done.err.startswith(f"ghostdepth: {path}: the board lowered its clock")
    assert done.err.count("\n") == 1
    assert not board.exists()
