"""LiteRT and ONNX Runtime: how work is shared, structures, stored counts, and the command."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.counter import ModelCounts, OpCounts, little_delegated
from ghostdepth_export.pi4.counter.graph import onnx_probe, probe
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency import BOARDS, OpWork, read_work, shipped
from ghostdepth_export.pi4.latency.boards import A76
from ghostdepth_export.pi4.latency.prediction import milliseconds
from ghostdepth_export.pi4.latency.roofline import op_limit
from ghostdepth_export.pi4.latency.runtimes import (
    predict_counts,
    read_stored,
    read_structure,
    runtime_coefficients,
    share,
    write_stored,
)
from ghostdepth_export.pi4.latency.runtimes import prediction as prediction_module
from ghostdepth_export.pi4.latency.runtimes.operators import match_work
from ghostdepth_export.pi4.latency.tables import warnings
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import benchmark
from tests.device.onnx_files import onnx_bytes
from tests.export.conftest import Command
from tests.export.pi4.synthetic_counts import counts, library_counts

ROOT = Path(__file__).resolve().parents[3]
RELEASED = ROOT / "device/bench_depth/models"


def op(
    name: str, cycles: int = 1_000_000, shape: str = "1x8x4x4", tasks: int | None = None
) -> OpCounts:
    return OpCounts(0, name, "", shape, counts(cycles), tasks)


# ------------------------------------------------------------------ threads


@given(st.integers(1, 5000), st.integers(1, 4))
def test_the_busiest_of_xnnpacks_threads_has_the_rounded_up_part_of_the_tiles(
    tasks: int, threads: int
) -> None:
    split = share(op("Add (ND)", tasks=tasks), "litert", threads)
    assert split is not None
    assert split.threads == min(tasks, threads)
    assert tasks / split.speed_up == pytest.approx(math.ceil(tasks / split.threads))


def test_what_litert_keeps_runs_on_one_thread() -> None:
    split = share(op("QUANTIZE"), "litert", 4)
    assert split is not None
    assert split.threads == 1


@pytest.mark.parametrize(
    ("of", "threads"),
    [
        (op("Conv", 16_000), 1),
        (op("Conv", 40_000), 3),
        (op("QLinearConv", 5_000_000), 4),
        (op("Resize", shape="1x1x480x640"), 1),
        (op("Resize", shape="1x2x480x640"), 2),
        (op("Add", 1_500_000, "1x128x160x3"), 1),
        (op("Add", 1_500_000, "1x160x224x3"), 3),
        (op("Sigmoid", shape="1x1x480x640"), 4),
        (op("Cast", 5_000_000, "1x480x640x3"), 1),
        (op("Transpose", 5_000_000), 1),
        (op("DepthToSpace", 5_000_000), 1),
    ],
)
def test_onnx_runtime_shares_by_work_channels_or_not_at_all(of: OpCounts, threads: int) -> None:
    split = share(of, "onnxruntime", 4)
    assert split is not None
    assert split.threads == split.speed_up == threads
    alone = share(of, "onnxruntime", 1)
    assert alone is not None
    assert alone.threads == 1


@pytest.mark.parametrize(
    ("shape", "threads"),
    [("1x128x160x3", 1), ("1x160x224x3", 2), ("1x480x640x1", 4), ("1x1x480x640", 1)],
)
def test_onnx_runtime_resizes_nhwc_tensors_by_their_size(shape: str, threads: int) -> None:
    model = library_counts("onnxruntime", op("QLinearConv"), op("Resize", shape=shape))
    _, resized = predict_counts(model, runtime_coefficients("onnxruntime")).ops
    assert resized.threads == threads


def test_an_op_without_a_rule_takes_the_time_of_one_thread_and_is_named() -> None:
    model = library_counts("onnxruntime", op("Einsum", 3_000_000))
    found = predict_counts(model, runtime_coefficients("onnxruntime"))
    assert share(model.ops[0], "onnxruntime", 4) is None
    assert list(found.unsplit) == ["Einsum"]
    assert found.ms == pytest.approx(runtime_coefficients("onnxruntime").cycle.value * 3)


def test_the_sum_is_that_of_one_formula_over_all_ops() -> None:
    known = runtime_coefficients("litert", "rpi4-1800")
    model = library_counts(
        "litert", op("A", 6_000_000, tasks=6), op("B", 900_000, tasks=1), op("C", 7)
    )
    found = predict_counts(model, known, threads=4)
    cycles = 6_000_000 / 3 + 900_000 + 7
    assert found.ms == pytest.approx(known.cycle.value * cycles / 1e6 + known.wake.value)
    assert (found.label, found.runtime, found.clock_mhz) == ("LiteRT", "9.9", 1800)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_every_board_is_less_certain_than_the_pi_4(runtime: str) -> None:
    base = runtime_coefficients(runtime)
    assert base.errors[0].error > 0
    assert (base.cycle, base.line) == (shipped().cycle, shipped().line)
    assert base.near > 0
    assert runtime_coefficients(runtime, "rpi5").near < base.near
    for board in BOARDS:
        assert runtime_coefficients(runtime, board).errors[0].error >= base.errors[0].error


def test_the_committed_cost_of_a_line_is_fitted_to_what_the_split_allows() -> None:
    pytest.importorskip("scipy")
    fitted, split = benchmark("runtimes", "latency"), benchmark("boards", "latency")
    rows = fitted.read_rows()
    assert all((row.split == "held out") == split.is_held_out(row.network) for row in rows)
    seen = fitted.fitted_rows(rows)
    assert {(row.library, row.split, row.other_kernels) for row in seen} == {
        ("litert", "fitted", False)
    }
    for runtime in ("litert", "onnxruntime"):
        assert runtime_coefficients(runtime).near == pytest.approx(fitted.near(seen), abs=5e-4)
    for row in rows[::7]:
        others = [each for each in seen if each.family != row.family]
        left_out = row.library == "litert" and row.split == "fitted" and not row.other_kernels
        expected = fitted.near(others if left_out else seen)
        assert fitted.near_without(rows, row) == pytest.approx(expected)


def test_eight_bit_ops_of_a_cortex_a76_count_as_uncalibrated() -> None:
    model = library_counts("litert", op("Convolution (NHWC, QC8) IGEMM", 6_000_000, tasks=1))
    known = runtime_coefficients("litert", "rpi5")
    assert list(known.calibrated & {model.ops[0].name})
    assert not predict_counts(model, known).uncalibrated
    found = predict_counts(dataclasses.replace(model, cpu=A76), known)
    assert list(found.uncalibrated) == [model.ops[0].name]
    assert found.high == pytest.approx(
        found.ms * (1 + known.error(found.ms)) + found.ms * known.uncalibrated_error
    )


def test_the_band_on_a_raspberry_pi_5_holds_every_published_time_of_eight_bits() -> None:
    fitted = benchmark("runtimes", "latency")
    rows = [row for row in fitted.read_rows() if row.core == A76]
    known = runtime_coefficients("litert", "rpi5")
    for row in rows:
        ms = sum(milliseconds(row.costs, known))
        assert ms * (1 - known.error(ms)) < row.ms
        assert row.ms < ms * (1 + known.error(ms) + known.uncalibrated_error)
    assert {row.network for row in rows} >= {"efficientdet-lite0", "efficientdet-lite2"}


def test_lines_that_are_streamed_count_as_written_only() -> None:
    plain = op("A", 6_000_000, tasks=4)
    counts = dataclasses.replace(
        plain.counts,
        l1d_misses=1000,
        l2_misses=500,
        writebacks=300,
        l1d_streamed=200,
        l2_streamed=90,
    )
    known = runtime_coefficients("litert")
    figures = [
        predict_counts(library_counts("litert", dataclasses.replace(plain, counts=each)), known).ms
        for each in (counts, plain.counts)
    ]
    expected = known.line.value * (500 - 90 + 300) + known.near * (1000 - 200)
    assert figures[0] - figures[1] == pytest.approx(expected / 1e6)


def test_onnx_runtimes_band_holds_every_published_time() -> None:
    fitted = benchmark("runtimes", "latency")
    for row in fitted.read_rows():
        if row.library == "onnxruntime":
            known = runtime_coefficients(row.library, row.board)
            ms, error = sum(milliseconds(row.costs, known)), known.error(row.ms)
            assert ms * (1 - error) < row.ms < ms * (1 + error + known.uncalibrated_error)


# ------------------------------------------------------------------ structures and stored counts


def convolution(path: Path, seed: int, channels: int = 4, opset: int = 13) -> Path:
    """An .onnx file of one convolution with random weights."""
    from onnx import helper

    weights = np.random.default_rng(seed).normal(size=(channels, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    shapes = {"x": [1, 3, 8, 8]}, {"y": [1, channels, 8, 8]}
    path.write_bytes(onnx_bytes(nodes, *shapes, {"w": weights}, opset=opset))
    return path


def test_other_weights_are_the_same_structure_and_other_shapes_or_opsets_another(
    tmp_path: Path,
) -> None:
    first, second, wider, newer = (
        read_structure(convolution(tmp_path / f"{seed}.onnx", seed, channels, opset))
        for seed, channels, opset in ((1, 4, 13), (2, 4, 13), (3, 5, 13), (4, 4, 99))
    )
    assert first == second
    assert len({first.key, wider.key, newer.key}) == 3
    assert not first.eight_bit
    (tmp_path / "p.tflite").write_bytes(probe())
    assert read_structure(tmp_path / "p.tflite").key != first.key
    assert read_structure(RELEASED / "ghostdepth-s-int8.tflite").eight_bit


def test_stored_counts_come_back_as_they_were(tmp_path: Path) -> None:
    model = library_counts(
        "litert", op("A", 6, "", tasks=3), op("B", 5, "1x2"), op("A", 4, "", tasks=1)
    )
    key = ("abc", "litert", CPU)
    write_stored(tmp_path / "counts.json", {key: model})
    (found,) = read_stored(tmp_path / "counts.json").items()
    assert found[0] == key
    assert [(o.name, o.shape, o.tasks, o.counts) for o in found[1].ops] == [
        (o.name, o.shape, o.tasks, o.counts) for o in model.ops
    ]
    assert found[1].total == model.total


def test_the_released_files_are_stored_and_are_those_of_the_table() -> None:
    stored = read_stored()
    with (ROOT / "benchmarks/instructions/runtimes.csv").open() as file:
        rows = {(row["file"], row["runtime"]): row for row in csv.DictReader(file)}
    for path in RELEASED.glob("*.tflite"):
        model = stored[read_structure(path).key, "litert", CPU]
        row = rows[path.name, "litert"]
        assert int(row["instructions"]) == model.total.instructions
        assert int(row["l2_misses"]) == model.total.l2_misses


# ------------------------------------------------------------------ the command


@pytest.fixture(autouse=True)
def _no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UserError("qemu-aarch64 is missing")

    monkeypatch.setattr(prediction_module, "find_qemu", missing)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_released_model_is_predicted_by_name_without_qemu(runtime: str, command: Command) -> None:
    done = command("latency", "ghostdepth-s", "--runtime", runtime, "--top", 3)
    label = {"litert": "LiteRT 2.3", "onnxruntime": "ONNX Runtime 1."}[runtime]
    assert done.out.startswith(f"predicted for Raspberry Pi 4, {label}")
    assert "ghostdepth-s-int8." in done.out


def test_predicting_a_released_model_imports_neither_tensorflow_nor_torch() -> None:
    code = (
        "import sys\n"
        "from ghostdepth_export.pi4.latency.runtimes import predict_runtime_latencies\n"
        "print(*(each.file for each in predict_runtime_latencies(['ghostdepth-s'], 'litert')))\n"
        "print(sorted({'torch', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["ghostdepth-s-int8.tflite", "[]"]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_how_many_ops_are_on_one_thread_is_told_where_there_are_several(
    threads: int, command: Command
) -> None:
    words = ("ghostdepth-s", "--runtime", "litert", "--threads", threads)
    done = command("latency", *words)
    heads = done.out.partition("by type of op")[2].partition("%")[0]
    assert ("thread" in heads) == (threads > 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["m.onnx", "--runtime", "onnxruntime"], "without QEMU only the released models"),
        (["m.onnx", "--runtime", "litert"], "LiteRT runs .tflite files; for this one"),
        (["m.onnx"], "TensorFlow Lite runs .tflite files; for this one --runtime onnxruntime"),
        (["p.tflite", "--runtime", "onnxruntime"], "for this one --runtime 2.5 or litert"),
        (
            ["m.onnx", "--runtime", "onnxruntime", "--html", "x.html"],
            "not known in ONNX Runtime; choose --runtime 2.5 or litert",
        ),
        (["p.tflite", "--runtime", "litert", "--calibrate"], "leave out --runtime litert"),
        (["p.tflite", "--runtime", "litert", "--coefficients", "b.json"], "litert name a board"),
        (
            ["p.tflite", "--runtime", "ncnn"],
            "--runtime 'ncnn': no emulated Pi has it; the runtimes are 2.5, litert, onnx",
        ),
        (["p.tflite", "--runtime", "lite-rt"], "2.5, litert, onnxruntime; did you mean litert?"),
        (["p.tflite", "--runtime", "litert", "--board", "rpi6"], "the boards are rpi4"),
        (["ghostdepth-q", "--runtime", "onnxruntime"], "there is no model 'ghostdepth-q'"),
    ],
)
def test_what_is_not_possible_is_one_line_that_says_what_works(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.tflite").write_bytes(probe())
    Path("m.onnx").write_bytes(onnx_probe())
    done = command("latency", *arguments, code=2)
    assert says in " ".join(done.err.split())
    assert done.err.count("\n") == 1


# ------------------------------------------------------------------ the limit of the chip


def released_counts(name: str) -> tuple[ModelCounts, list[OpWork]]:
    path = RELEASED / name
    return read_stored()[read_structure(path).key, "litert", CPU], read_work(path)


@pytest.mark.parametrize("name", ["ghostdepth-s-int8.tflite", "ghostdepth-nano-int8.tflite"])
def test_every_operator_of_a_released_file_is_an_op_of_it_and_takes_no_less_than_its_limit(
    name: str,
) -> None:
    model, work = released_counts(name)
    found = match_work(model, work)
    assert {each.name for each, of in zip(model.ops, found, strict=True) if of is None} == {
        "Clamp (NC)"
    }
    for each, of in zip(model.ops, found, strict=True):
        if of is None:
            continue
        assert each.name.endswith("DWConv") == (of.name == "DEPTHWISE_CONV_2D")
        limit = op_limit(of, each.counts, CPU, packs=False)
        assert 0 < limit.least <= limit.cycles, (each, of)
    products = [of for of in work if of.macs]
    assert sum(of.macs for of in found if of) == sum(of.macs for of in products)


def test_operators_in_another_order_than_the_files_ops_are_not_matched() -> None:
    model, work = released_counts("ghostdepth-s-int8.tflite")
    depthwise = next(i for i, each in enumerate(work) if each.name == "DEPTHWISE_CONV_2D")
    for other in (
        work[:depthwise] + work[depthwise + 1 :],
        [*work[:depthwise], work[depthwise + 1], work[depthwise], *work[depthwise + 2 :]],
        [*work, work[depthwise]],
    ):
        assert set(match_work(model, other)) == {None}


@given(st.lists(st.sampled_from(["ADD", "MUL", "CONCATENATION", "RESHAPE"]), max_size=12))
def test_concatenation_is_an_operator_for_each_input_and_a_reshape_none(names: list[str]) -> None:
    shapes = ((1, 4), (1, 8), (1, 16))
    work = [OpWork(name, "FLOAT32", (1, 28), shapes) for name in names]
    operators = {"ADD": ["Add (ND)"], "MUL": ["Multiply (ND)"], "CONCATENATION": ["Copy (NC)"] * 3}
    ran = [op(each, tasks=1) for name in names for each in [*operators.get(name, []), "Clamp (NC)"]]
    found = match_work(library_counts("litert", *ran), work)
    copies = [of.output for of in found if of and of.name == "CONCATENATION"]
    assert copies == list(shapes) * names.count("CONCATENATION")
    assert [of is None for of in found] == [each.name == "Clamp (NC)" for each in ran]


def test_the_page_of_litert_holds_every_op_against_the_limit(
    tmp_path: Path, command: Command
) -> None:
    page = tmp_path / "page.html"
    done = command("latency", "ghostdepth-nano", "--runtime", "litert", "--html", page)
    assert " limit " in done.out and " why" in done.out
    text = page.read_text()
    assert "LiteRT 2.3" in text and "im2col" not in text.partition("<dl")[0]
    # What is below half of its limit has a reason; Clamp, whose limit is not known, a dash.
    rows = re.findall(r"<tr><th scope=.row.>(.*?)</tr>", text, re.DOTALL)
    assert len(rows) > len(released_counts("ghostdepth-nano-int8.tflite")[0].ops)
    for row in rows:
        *_, limit, why = re.findall(r"<td>(.*?)</td>", row)
        assert (limit == "-") == ("Clamp" in row)
        assert limit == "-" or int(limit[:-1]) >= 50 or why, row


# ------------------------------------------------------------------ a delegate that takes a part


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_ops_that_xnnpack_leaves_are_named_where_they_take_more_than_a_quarter(
    kept: int, taken: int
) -> None:
    model = library_counts("litert", op("GATHER", kept), op("Add (ND)", taken, tasks=4))
    assert [each.name for each in model.kept] == ["GATHER"]
    line = little_delegated({"GATHER": kept}, kept + taken, "instructions")
    assert (line is not None) == (kept / (kept + taken) > 0.25)
    assert line is None or ("GATHER" in line and "float32 or int8" in line)


def test_the_prediction_warns_of_ops_that_xnnpack_leaves() -> None:
    model = library_counts("litert", op("GATHER", 10**8), op("Add (ND)", 10**6, tasks=4))
    found = warnings(predict_counts(model, runtime_coefficients("litert")))
    assert "of the latency is in ops that XNNPACK does not take (GATHER)" in found[0]


@pytest.mark.parametrize("library", ["2.5", "onnxruntime"])
def test_a_runtime_without_xnnpack_leaves_nothing(library: str) -> None:
    model = library_counts(library, op("Conv", 10**8))
    assert model.kept == []
    assert little_delegated({}, model.total.instructions, "instructions") is None
