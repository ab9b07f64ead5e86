from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.flatbuffer import MIN_RUNTIME_NAME, op_name, pack, unpack
from ghostdepth_export.convert.lowering import lower
from ghostdepth_export.convert.op_versions import (
    OP_RUNTIMES,
    check_runtime,
    minimum_runtime,
    ops_of,
    parse_version,
    refused_at_prepare,
    require_release,
)
from ghostdepth_export.convert.tflite import convert
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.ship.bundle import find_target
from ghostdepth_export.ship.bundle.models import check_tflite
from torch import nn


@pytest.fixture(scope="module")
def conv_file() -> bytes:
    return convert(lower(nn.Conv2d(4, 4, 1), (1, 4, 5, 7)))


def with_version(data: bytes, version: int) -> bytes:
    """The file with its one op at another version, and metadata that lies about it."""
    model = unpack(data)
    model.operatorCodes[0].version = version
    return pack(model)


def test_the_ops_of_a_file_are_read_with_their_versions(conv_file: bytes) -> None:
    assert ops_of(conv_file) == {("CONV_2D", 1)}


def test_operator_codes_that_no_op_uses_do_not_count(conv_file: bytes) -> None:
    model = unpack(conv_file)
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = 150, 127, 2
    model.operatorCodes.append(code)
    assert ops_of(pack(model)) == {("CONV_2D", 1)}


@pytest.mark.parametrize(
    ("version", "runtime"), [(1, "1.5.0"), (3, "1.14.0"), (5, "2.4.0"), (6, "2.9.0"), (8, "2.15.0")]
)
def test_the_minimum_runtime_follows_the_version(
    conv_file: bytes, version: int, runtime: str
) -> None:
    assert minimum_runtime(with_version(conv_file, version)) == runtime


@pytest.mark.parametrize("variant", ["fp32", "fp16", "dynamic", "int8"])
def test_our_table_agrees_with_tensorflow_about_its_own_files(exported: Path, variant: str) -> None:
    data = (exported / f"toy-{variant}.tflite").read_bytes()
    model = unpack(data)
    (entry,) = [m for m in model.metadata if m.name == MIN_RUNTIME_NAME]
    theirs = bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
    # The newest op decides.
    assert ("RESIZE_BILINEAR", 3) in ops_of(data)
    assert minimum_runtime(data) == theirs


def test_a_too_new_op_is_refused_with_its_name_and_version(conv_file: bytes) -> None:
    with pytest.raises(
        UserError, match=r"m\.tflite needs CONV_2D version 6.* TFLite 2\.9"
    ) as caught:
        check_runtime(Path("m.tflite"), "2.5", with_version(conv_file, 6))
    assert caught.value.exit_code == 1


def test_a_file_is_read_where_no_bytes_are_given(conv_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(with_version(conv_file, 5))
    check_runtime(path, "2.5")
    with pytest.raises(UserError, match="CONV_2D version 5"):
        check_runtime(path, "2.3")


def test_the_very_runtime_that_brought_an_op_accepts_it(conv_file: bytes) -> None:
    check_runtime(Path("m.tflite"), "2.9", with_version(conv_file, 6))


def test_an_unknown_version_is_refused_rather_than_promised(conv_file: bytes) -> None:
    with pytest.raises(UserError, match="CONV_2D version 99"):
        minimum_runtime(with_version(conv_file, 99))


def test_a_custom_op_is_refused_by_its_name(conv_file: bytes) -> None:
    model = unpack(conv_file)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"Wobble"
    with pytest.raises(UserError, match="CUSTOM Wobble"):
        check_runtime(Path("m.tflite"), "2.5", pack(model))


def test_an_op_of_a_later_schema_has_at_least_a_number(conv_file: bytes) -> None:
    model = unpack(conv_file)
    model.operatorCodes[0].builtinCode = 9999
    assert op_name(model, model.subgraphs[0].operators[0]) == "builtin 9999"


@pytest.mark.parametrize("text", ["", "two", "2.x", "2.5.0.1", "-2", "2..5", "2." + 5000 * "9"])
def test_what_is_not_a_version_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a runtime version"):
        parse_version(text)


@pytest.mark.parametrize("text", ["9", "0", "1.4", "1.16", "2.99", "3.0"])
def test_a_release_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="there is no such TensorFlow Lite"):
        require_release(text)


@pytest.mark.parametrize("text", ["1.5", "1.15", "2", "2.5", "2.14.1"])
def test_a_release_is_accepted(text: str) -> None:
    require_release(text)


def test_versions_compare_as_numbers() -> None:
    assert parse_version("2.10") > parse_version("2.9.1") > parse_version("2.9")


def test_the_table_knows_the_traps_of_runtime_2_5() -> None:
    assert OP_RUNTIMES["CONV_2D", 6] == "2.9.0"
    assert OP_RUNTIMES["RELU_0_TO_1", 1] == "2.10.0"
    assert OP_RUNTIMES["TRANSPOSE", 7] == "2.14.4"
    assert ("BROADCAST_TO", 1) not in OP_RUNTIMES
    assert OP_RUNTIMES["BROADCAST_TO", 2] == "2.5.0"


def test_every_op_of_the_table_is_in_the_schema() -> None:
    assert {name for name, _ in OP_RUNTIMES} <= set(vars(schema.BuiltinOperator))


def test_what_tflite_2_5_does_not_prepare_is_refused_for_it_only(tmp_path: Path) -> None:
    model = unpack(convert(lower(nn.Upsample((10, 14), mode="bilinear"), (1, 4, 5, 7))))
    (options,) = (
        op.builtinOptions
        for op in model.subgraphs[0].operators
        if op_name(model, op) == "RESIZE_BILINEAR"
    )
    path = tmp_path / "resize.tflite"
    for align, half in itertools.product((False, True), repeat=2):
        options.alignCorners, options.halfPixelCenters = align, half
        path.write_bytes(pack(model))
        assert (refused_at_prepare(path.read_bytes()) is not None) == (align and half)
    check_tflite(path, find_target("rpi4-trixie"))
    with pytest.raises(UserError, match=r"RESIZE_BILINEAR has both .* TFLite 2\.5 refuses"):
        check_tflite(path, find_target("rpi4-bullseye"))
