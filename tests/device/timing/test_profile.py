from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_depth.benchmark import bench as bench_module
from bench_depth.benchmark.bench import bench
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import Signature
from bench_depth.report.html.page import render as render_page
from bench_depth.report.table import WIDTH, render
from bench_depth.results import records as results
from bench_depth.results.records import Results
from bench_depth.timing.measure import TimingPlan
from bench_depth.timing.profiling import by_kind, costliest
from bench_depth.timing.profiling import run as run_module
from bench_depth.timing.profiling.ops import Op, Profile, average
from bench_depth.timing.session import Job

from tests.device.conftest import HEIGHT
from tests.device.conftest import WIDTH as PIXELS

QUICK = TimingPlan(warmup=0, min_runs=2, min_time=0)
OPS = [
    Op(0, "CONV_2D", "first", "1x8x8x4"),
    Op(1, "ADD", "sum", "1x8x8x4"),
    Op(2, "CONV_2D", "a;very/long;name" * 5, "1x480x640x1"),
]


def profile_of(ms: list[float]) -> Profile:
    times = np.array([ms, ms]) * 1e6
    return average("calls", OPS, times, [sum(ms) * 1e6] * 2, [sum(ms) * 1e6] * 2)


def test_the_middle_half_of_each_ops_times_counts() -> None:
    rng = np.random.default_rng(0)
    times = rng.uniform(1e6, 2e6, (40, 3))
    # Other programs break into some runs, into another op each time.
    for run in range(12):
        times[run, run % 3] += 5e6
    found = average("calls", OPS, times, list(times.sum(1)), [3e6, 4e6, 90e6, 1e6])
    trimmed = pytest.importorskip("scipy.stats").trim_mean(times / 1e6, 0.25, axis=0)
    assert [op.ms for op in found.ops] == pytest.approx(list(trimmed))
    assert max(op.ms for op in found.ops) < 2
    assert found.untimed_ms == 3.5
    assert found.runs == 40


def test_the_error_is_how_far_the_mean_lies_off_in_repetitions() -> None:
    rng = np.random.default_rng(0)
    ops = [Op(i, "ADD", "", "") for i in range(2000)]
    times = rng.normal(1e6, 1e5, (64, len(ops)))
    found = average("calls", ops, times, [1.0], [1.0])
    spread = np.std([op.ms for op in found.ops])
    # The interquartile mean is a little better than the median, whose error is given.
    assert spread < np.mean([op.error_ms for op in found.ops]) < 1.2 * spread


def test_one_run_and_ops_that_take_no_time_make_a_profile() -> None:
    found = average("calls", OPS, np.zeros((1, 3)), [5.0], [5.0])
    assert [(op.ms, op.error_ms, op.share) for op in found.ops] == [(0, 0, 0)] * 3


def test_kinds_and_ops_are_sorted_by_their_time() -> None:
    found = profile_of([1.0, 5.0, 2.0])
    assert [(g.kind, g.count, g.ms) for g in by_kind(found)] == [("ADD", 1, 5), ("CONV_2D", 2, 3)]
    assert sum(group.share for group in by_kind(found)) == pytest.approx(1)
    assert [op.index for op in costliest(found, 2)] == [1, 2]


def with_profile(measured: Results, found: Profile) -> Results:
    record = dataclasses.replace(measured.models[0], profile=found)
    return dataclasses.replace(measured, models=[record])


def test_the_results_file_holds_the_profile(measured: Results, tmp_path: Path) -> None:
    plain = profile_of([1.0, 5.0, 2.0])
    both = with_profile(measured, dataclasses.replace(plain, delegated=3, plain=plain))
    results.save(both, tmp_path / "r.json")
    assert results.load(tmp_path / "r.json") == both


def test_the_table_holds_kinds_and_the_longest_ops_in_80_columns(measured: Results) -> None:
    text = render(with_profile(measured, profile_of([1.0, 5.0, 2.0])))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "ops      3 ops: 8.00 ms, 2 runs" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["CONV_2D", "2", "3.000", "37.5", "%"] in rows
    assert rows.index(["ADD", "1", "5.000", "62.5", "%"]) > 0
    assert ["1", "ADD", "sum", "1x8x8x4", "5.000", "0.000", "62.5", "%"] in rows


def test_with_xnnpack_the_table_tells_the_ops_without_it(measured: Results) -> None:
    plain = profile_of([1.0, 5.0, 2.0])
    one = [Op(3, "XNNPACK", "depth", "1x480x640x1")]
    run = average("calls", one, np.full((2, 1), 4e6), [4e6] * 2, [4e6] * 2)
    found = dataclasses.replace(run, delegated=3, plain=plain)
    text = " ".join(render(with_profile(measured, found)).split())
    assert "XNNPACK runs 3 of 3 ops: 4.00 ms" in text
    assert "3 ops without XNNPACK: 8.00 ms" in text
    assert "longest ops without XNNPACK output ms +- fraction 1 ADD sum" in text
    page = render_page(with_profile(measured, found), {})
    assert page.index("XNNPACK runs 3 of 3 ops") < page.index("3 ops without XNNPACK")


def test_where_xnnpack_takes_little_the_longest_ops_are_those_as_run(measured: Results) -> None:
    ops = [*OPS, Op(3, "XNNPACK", "depth", "1x480x640x1")]
    run = average("calls", ops, np.array([[1e6, 2e6, 3e6, 4e6]]), [1e7], [1e7])
    found = dataclasses.replace(run, delegated=1, plain=profile_of([1.0, 5.0, 2.0]))
    text = " ".join(render(with_profile(measured, found)).split())
    assert "longest ops output ms +- fraction 3 XNNPACK depth" in text


def test_the_page_draws_kinds_as_bars_and_escapes_names(measured: Results) -> None:
    found = profile_of([1.0, 4.0, 1.0])
    found.ops[0] = dataclasses.replace(found.ops[0], name="<script>", kind="<b>")
    page = render_page(with_profile(measured, found), {})
    assert "Profile: latency by kind of op" in page
    assert page.count('<td class="bar">') == 3
    assert 'style="width:100.0%"' in page
    assert 'style="width:25.0%"' in page
    assert "<script>" not in page
    assert "<b>" not in page


def job(path: Path) -> Job:
    return Job(path, choose(path), None, False, 1, path.name)


SIGNATURE = Signature(HEIGHT, PIXELS, "float32")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_process_of_its_own_profiles_a_model(
    suffix: str, tiny_tflite: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tiny_tflite
    if suffix == ".onnx":
        path = request.getfixturevalue("make_onnx")(tmp_path / "m.onnx")
    found = run_module.profile(job(path), SIGNATURE, 0.01)
    assert len((found.plain or found).ops) == 3


def test_a_model_that_leaves_its_size_open_is_profiled_at_the_one_it_is_given(
    make_tflite, tmp_path: Path
) -> None:
    path = make_tflite(tmp_path / "m.tflite", shapes=((1, None, None, 3),))
    found = run_module.profile(job(path), SIGNATURE, 0.01)
    assert (found.plain or found).ops[-1].shape == f"1x{HEIGHT}x{PIXELS}x1"


def test_an_error_of_that_process_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\0\0\0\0TFL3 and no more")
    with pytest.raises(UserError, match=r"^\S*m\.tflite is damaged or truncated") as error:
        run_module.profile(job(path), SIGNATURE, 0.01)
    assert error.value.exit_code == MODEL_FAILED


def test_a_crash_of_that_process_is_one_line(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    monkeypatch.setattr(run_module, "_CODE", code)
    with pytest.raises(UserError, match=r"crashed \(segmentation fault\) while its ops were timed"):
        run_module.profile(job(tiny_tflite), SIGNATURE, 0.01)


def test_a_hang_of_that_process_is_ended(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(run_module, "HANG", 0.2)
    with pytest.raises(UserError, match="hung while its ops were timed"):
        run_module.profile(job(tiny_tflite), SIGNATURE, 0.01)


def measure(
    models: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    profile: Callable[..., Profile],
    kept: list[Results],
    said: list[str],
) -> Results:
    monkeypatch.setattr(bench_module, "profile", profile)
    options = BenchOptions(plan=QUICK, threads=[1], profile_seconds=0.5, interleave=False)
    return bench(models, options, Hooks(said.append, kept.append))


def test_ops_are_timed_after_the_latency_of_every_model(
    make_tflite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [make_tflite(tmp_path / name) for name in ("a.tflite", "b.tflite")]
    kept: list[Results] = []
    asked: list[tuple[str, int, int, float]] = []

    def profile(job: Job, signature: Signature, seconds: float) -> Profile:
        asked.append((job.path.name, len(kept[-1].models), signature.height, seconds))
        assert all(record.total is not None for record in kept[-1].models)
        return profile_of([1.0, len(asked), 2.0])

    measured = measure(models, monkeypatch, profile, kept, [])
    assert asked == [("a.tflite", 2, HEIGHT, 0.5), ("b.tflite", 2, HEIGHT, 0.5)]
    second = [record.profile.ops[1].ms for record in measured.models if record.profile]
    assert second == [1.0, 2.0]
    assert kept[-1] == measured


def test_where_ops_cannot_be_timed_the_rest_is_kept(
    make_tflite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [make_tflite(tmp_path / name) for name in ("a.tflite", "b.tflite")]
    said: list[str] = []

    def profile(job: Job, signature: Signature, seconds: float) -> Profile:
        if job.path.name == "a.tflite":
            raise UserError("the runtime crashed", MODEL_FAILED)
        return profile_of([1.0, 1.0, 2.0])

    first, second = measure(models, monkeypatch, profile, [], said).models
    assert first.profile is None
    assert "no-profile" in first.warnings
    assert first.invoke.statistics.runs == 2
    assert second.profile is not None
    assert "no-profile" not in second.warnings
    assert "a.tflite: the runtime crashed; there is no profile of it" in said


def test_ctrl_c_while_ops_are_timed_keeps_the_latency(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Results] = []

    def profile(job: Job, signature: Signature, seconds: float) -> Profile:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([tiny_tflite], monkeypatch, profile, kept, [])
    assert kept[-1].models[0].total is not None


def test_seconds_below_zero_are_refused(tiny_tflite: Path) -> None:
    with pytest.raises(UserError, match="--profile -1 is impossible"):
        bench([tiny_tflite], BenchOptions(profile_seconds=-1), Hooks(lambda line: None))


def test_profile_alone_takes_five_seconds() -> None:
    from bench_depth.commands.arguments import parser

    def seconds(*words: str) -> float:
        found: float = parser().parse_args(["--model", "m.onnx", *words]).profile
        return found

    assert (seconds(), seconds("--profile"), seconds("--profile", "2")) == (0, 5, 2)
