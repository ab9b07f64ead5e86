"""Counting, as far as nothing has to be emulated: refusals, checks, records."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.released import ReleasedFile
from ghostdepth import model_files
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    InstructionCounts,
    by_type,
    choose_runtime,
    read_counts,
    write_counts,
)
from ghostdepth_export.pi4.counter import counts as counts_module
from ghostdepth_export.pi4.counter import plugin as plugin_module
from ghostdepth_export.pi4.counter.counts import checked, regions_of
from ghostdepth_export.pi4.counter.graph import (
    PROBE_PATTERN,
    GraphOp,
    check_plain,
    onnx_probe,
    probe,
    read_ops,
)
from ghostdepth_export.pi4.counter.listing import NOTHING, Listing, Section, read_listing
from ghostdepth_export.pi4.counter.plugin import (
    COUNTER,
    THREADS,
    GuestError,
    Plugin,
    Qemu,
    build_plugin,
    find_qemu,
    run_counted,
)

from tests.export.pi4.synthetic_counts import instruction_counts

# ------------------------------------------------------------------ models that are refused

Change = Callable[[Any], None]


def _custom(model: Any) -> None:
    from ghostdepth_export.convert.tflite_schema import schema

    code = model.operatorCodes[0]
    code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, b"Blur"


def _too_new(model: Any) -> None:
    from ghostdepth_export.convert.tflite_schema import schema

    code = model.operatorCodes[0]
    code.builtinCode = schema.BuiltinOperator.GELU
    code.deprecatedBuiltinCode = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES


def _dynamic(model: Any) -> None:
    model.subgraphs[0].tensors[1].shapeSignature = [1, -1]


def _two_graphs(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


def _refused_resize(model: Any) -> None:
    from ghostdepth_export.convert.tflite_schema import schema

    options = schema.ResizeBilinearOptionsT()
    options.alignCorners = options.halfPixelCenters = True
    code = schema.BuiltinOperator.RESIZE_BILINEAR
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = code
    model.subgraphs[0].operators[0].builtinOptions = options
    model.subgraphs[0].operators[0].builtinOptionsType = schema.BuiltinOptions.ResizeBilinearOptions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_refused_resize, "RESIZE_BILINEAR has both align_corners and half_pixel_centers"),
        (_custom, "the op CUSTOM Blur is not in TensorFlow Lite 2.5"),
        (_too_new, "it needs TensorFlow Lite 2.9.0, but the counter runs 2.5"),
        (_dynamic, r"its input has no fixed shape \(1x-1\); export it with one"),
        (_two_graphs, "it has several graphs"),
    ],
)
def test_a_model_that_cannot_be_counted_is_refused(
    tmp_path: Path, change: Change, message: str
) -> None:
    model = unpack(probe())
    change(model)
    path = tmp_path / "model.tflite"
    path.write_bytes(pack(model))
    with pytest.raises(UserError, match=message) as caught:
        read_ops(path)
    assert caught.value.exit_code == MODEL_FAILED
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    with pytest.raises(UserError, match=r"cannot read .*model\.tflite: No such file"):
        read_ops(path)
    path.write_bytes(b"not a model at all")
    with pytest.raises(UserError, match=r"it is not a \.tflite file"):
        read_ops(path)
    path.write_bytes(probe()[:-200])
    with pytest.raises(UserError, match=r"cannot count .*model\.tflite"):
        read_ops(path)


def test_the_ops_of_a_model_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe())
    shapes = [op.shape for op in read_ops(path)]
    assert [shape == "1x4096" for shape in shapes] == list(PROBE_PATTERN)
    assert {op.name for op in read_ops(path)} == {"RELU"}


# ------------------------------------------------------------------ programs that are missing


def only(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Leaves nothing on PATH but these shell scripts, `_` read as `-`."""
    for name, body in scripts.items():
        script = folder / name.replace("_", "-")
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_qemu_without_plugins_is_reported_with_the_package_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path, monkeypatch, qemu_aarch64="echo qemu-aarch64 version 6.1.0")
    with pytest.raises(UserError, match=r"QEMU 6\.1\.0.* without plugins; .* qemu-user has"):
        find_qemu()


def test_a_qemu_that_is_too_new_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = (
        "Could not load plugin x.so: plugin requires API version 1, but this QEMU supports only a "
        "minimum version of 2"
    )
    monkeypatch.setattr(plugin_module, "build_plugin", lambda plugin: Path("x.so"))
    setarch = shutil.which("setarch")
    only(
        tmp_path, monkeypatch, setarch=f'exec {setarch} "$@"', qemu=f"echo '{refusal}' >&2; exit 1"
    )
    with pytest.raises(UserError, match=r"^QEMU 9\.1\.0 lacks version 1 of the plugin interface"):
        run_counted(Qemu(str(tmp_path / "qemu"), "9.1.0"), Path("p"), [], COUNTER, folder=tmp_path)


def test_a_missing_compiler_is_reported_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "cache"))
    only(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"gcc is not installed.*apt install gcc$"):
        build_plugin(COUNTER)


def test_a_failing_compiler_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "cache"))
    only(tmp_path, monkeypatch, gcc="echo 'fatal error: stdint.h: No such file' >&2; exit 1")
    with pytest.raises(UserError, match=r"cannot compile counter\.c: fatal error: stdint\.h"):
        build_plugin(COUNTER)
    assert not list((tmp_path / "cache").rglob("*.so"))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("plugin", [COUNTER, THREADS])
def test_a_plugin_compiles_without_a_warning(
    plugin: Plugin[Any], tmp_path: Path, monkeypatch: Any
) -> None:
    real = shutil.which("gcc")
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "cache"))
    wrapper = tmp_path / "bin"
    wrapper.mkdir()
    (wrapper / "gcc").write_text(
        f'#!/bin/sh\nexec {real} -Wall -Wextra -Wno-unused-parameter -Werror "$@"\n'
    )
    (wrapper / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper}:/usr/bin:/bin")
    built = build_plugin(plugin)
    assert built.exists()
    assert build_plugin(plugin) == built


# ------------------------------------------------------------------ contradictions

SMALL, LARGE = (
    InstructionCounts(300, *[0] * 8),
    InstructionCounts(5000, *[0] * 8),
)
OPS = [GraphOp("CONV_2D", "a", "1x2"), GraphOp("ADD", "b", "1x2")]


def listing(**changes: Any) -> Listing[InstructionCounts]:
    of_probe = Section([LARGE if large else SMALL for large in PROBE_PATTERN], NOTHING)
    section = Section([LARGE, SMALL], LARGE + LARGE)
    return dataclasses.replace(Listing([1], [of_probe, section], LARGE, 1, 0), **changes)


def take(what: Listing[InstructionCounts]) -> list[tuple[GraphOp, InstructionCounts]]:
    return regions_of(Path("m.tflite"), OPS, [], checked(Path("m.tflite"), what))


def test_counts_without_contradiction_are_taken() -> None:
    assert take(listing()) == list(zip(OPS, [LARGE, SMALL], strict=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (listing(candidates=[0]), "the runtime's call of an op was not found"),
        (listing(threads=2), "2 threads ran instead of one"),
        (listing(strays=3), "the addresses of 3 zeroed cache lines are not known"),
        (
            listing(sections=[listing().sections[0], Section([LARGE], LARGE)]),
            "1 ops were called, but the graph has 2",
        ),
        (
            listing(sections=[listing().sections[0], Section([LARGE, SMALL], LARGE, 4)]),
            "4 ops were called inside others",
        ),
        (
            listing(
                sections=[Section([SMALL] * len(PROBE_PATTERN), NOTHING), listing().sections[1]]
            ),
            "the counts of the probe do not match the sizes of its ops",
        ),
    ],
)
def test_a_contradiction_is_not_guessed_away(
    wrong: Listing[InstructionCounts], message: str
) -> None:
    with pytest.raises(UserError, match=f"^cannot count m.tflite: {message}$"):
        take(wrong)


def test_operators_of_a_delegate_stand_where_it_ran() -> None:
    """LiteRT ran a delegate, an op of its own, and a delegate."""
    section = Section([LARGE] * 3, LARGE, inner=[[SMALL, LARGE], [], [SMALL]])
    path, kept = Path("m.tflite"), OPS[:1]
    first, second = [("Add", 4), ("Mul", 20)], [("Exp", 1)]
    regions = regions_of(path, kept, [first, second], section)
    assert [(op.name, op.tasks, counts) for op, counts in regions] == [
        ("Add", 4, SMALL),
        ("Mul", 20, LARGE),
        ("CONV_2D", None, LARGE),
        ("Exp", 1, SMALL),
    ]
    with pytest.raises(UserError, match=r"delegates called \[2, 1\] operators, but have \[2\]"):
        regions_of(path, kept, [first], section)
    with pytest.raises(UserError, match="1 ops were called, but the graph has 2"):
        regions_of(path, OPS, [first, second], section)


def test_a_probe_that_is_delegated_shows_its_pattern_in_the_delegate() -> None:
    inner = [LARGE if large else SMALL for large in PROBE_PATTERN]
    good = listing(sections=[Section([LARGE], LARGE, inner=[inner]), listing().sections[1]])
    assert checked(Path("m.tflite"), good) is good.sections[1]
    inner[0] = LARGE
    with pytest.raises(UserError, match="do not match the sizes"):
        checked(Path("m.tflite"), good)


# ------------------------------------------------------------------ runtimes and their files


@pytest.mark.parametrize(
    ("name", "runtime", "chosen"),
    [
        ("m.tflite", None, "2.5"),
        ("m.onnx", None, "onnxruntime"),
        ("m.tflite", "litert", "litert"),
    ],
)
def test_a_runtime_is_chosen_by_name_or_suffix(name: str, runtime: str, chosen: str) -> None:
    assert choose_runtime(Path(name), runtime).name == chosen


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ghostdepth-s", "ghostdepth-s-int8.onnx"),
        ("ghostdepth-s-fp32", "ghostdepth-s-fp32.onnx"),
    ],
)
def test_of_a_released_model_the_file_of_the_runtime_is_meant(
    name: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReleasedFile, "path", None)
    with pytest.raises(UserError, match=f"{file} is not here; take it from"):
        model_files.count(name, runtime="onnxruntime")


@pytest.mark.parametrize("runtime", [None, "litert"])
def test_a_file_of_neither_kind_is_reported(runtime: str | None) -> None:
    with pytest.raises(UserError, match=r"it is no \.tflite or \.onnx file"):
        choose_runtime(Path("m.pt"), runtime)


@pytest.mark.parametrize(
    ("runtime", "raised", "told"),
    [
        (
            "onnxruntime",
            "[ONNXRuntimeError] : 1 : FAIL : Load model from model.onnx failed:/a/b.h:46 void "
            "f(const g<h>&) ONNX Runtime only *guarantees* support. Opset 99 is under development "
            "and support for this is limited. Current official support for domain ai.onnx is till "
            "opset 28.",
            "ONNX Runtime in the emulated Pi refuses it: it is ONNX with opset 99 of ai.onnx, and "
            "this onnxruntime reads up to opset 28; export it with an older opset",
        ),
        (
            "litert",
            "RuntimeError: no registration for Magic",
            "LiteRT in the emulated Pi refuses it: RuntimeError: no registration for Magic; export "
            "it for that runtime",
        ),
    ],
)
def test_why_a_runtime_refuses_a_file_is_one_line_that_says_what_to_do(
    runtime: str, raised: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise GuestError(raised)

    monkeypatch.setattr(counts_module, "find_qemu", lambda: Qemu("qemu", "7"))
    monkeypatch.setattr(counts_module, "run_counted", refuse)
    path = tmp_path / f"m{RUNTIMES[runtime].suffix}"
    path.write_bytes(onnx_probe() if path.suffix == ".onnx" else probe())
    with pytest.raises(UserError) as caught:
        counts_module.run_model(path, tmp_path, COUNTER, runtime=runtime)
    assert told in str(caught.value)
    assert "b.h:46" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_onnx_files_that_cannot_be_fed_are_refused(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_probe())
    check_plain(path)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"its input has no fixed shape \(-1x4\); export it with"):
        check_plain(path)
    path.write_bytes(b"\x08")
    with pytest.raises(UserError, match="damaged or truncated"):
        check_plain(path)


def test_a_listing_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    with pytest.raises(UserError, match="the emulated program was killed"):
        read_listing(path, InstructionCounts)
    whole = (
        "learned 2\nop 0 10 3 2 50 1 1 0 0 0\nnested 0\nsection 15 4 3 60 1 1 0 0 0\n"
        "all 100 9 9 9 9 9 9 9 9\nthreads 1\nstrays 0\n"
    )
    path.write_text(whole)
    read = read_listing(path, InstructionCounts)
    assert read.sections == [
        Section(
            [InstructionCounts(10, 3, 2, 50, 1, 1, 0, 0, 0)],
            InstructionCounts(15, 4, 3, 60, 1, 1, 0, 0, 0),
            inner=[[]],
        )
    ]
    assert (read.candidates, read.whole.instructions, read.threads) == ([2], 100, 1)
    path.write_text(whole.removesuffix("strays 0\n"))
    with pytest.raises(UserError, match="the emulated program was killed"):
        read_listing(path, InstructionCounts)


# ------------------------------------------------------------------ records


def test_counts_survive_their_file_with_one_op_a_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    models = [
        instruction_counts(("ADD", 5), ("MUL", 7)),
        instruction_counts(("ADD", 6), file="n.tflite"),
    ]
    write_counts(path, models)
    assert read_counts(path) == models
    assert sum('"MUL"' in line for line in path.read_text().splitlines()) == 1
    assert '"output":"{t}1"' in path.read_text()


@pytest.mark.parametrize("text", ['{"schema": "other/1"}', '{"models": []}', "[]"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "counts.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"counts\.json"):
        read_counts(path)


def test_types_come_with_the_most_instructions_first() -> None:
    types = by_type(instruction_counts(("ADD", 5), ("MUL", 7), ("ADD", 6)).ops)
    assert [(name, number, counts.instructions) for name, (number, counts) in types.items()] == [
        ("ADD", 2, 11),
        ("MUL", 1, 7),
    ]
