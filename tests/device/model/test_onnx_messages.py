from __future__ import annotations

from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.model.runtimes.onnx import OnnxRuntime, _one_line, why_refused

from tests.device.conftest import OnnxMaker

PLACE = "/onnxruntime_src/onnxruntime/core/graph/model.cc:256 "
SIGNATURES = (
    "onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&) ",
    "onnxruntime::common::Status onnxruntime::(anonymous namespace)::Load(int (*)(char)) const ",
    "void onnxruntime::Run()::<lambda(const std::map<int, int>&)>::operator()(int) const ",
    "T onnxruntime::Get(int) [with T = std::vector<int>] ",
)
PREFIX = "[ONNXRuntimeError] : 1 : FAIL : Load model from /a b/m.onnx failed:"


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("reason", ["Unknown op (X) in node", "x (1) is not y"])
def test_the_reason_is_reported_without_the_signature(signature: str, reason: str) -> None:
    assert _one_line(RuntimeError(PREFIX + PLACE + signature + reason + "\n")) == reason


def test_two_places_are_both_left_out() -> None:
    text = f"Exception: {PLACE}{SIGNATURES[0]}first {PLACE}{SIGNATURES[1]}second."
    assert _one_line(RuntimeError(text)) == "Exception: first second"


def test_a_signature_that_is_cut_is_kept() -> None:
    assert _one_line(RuntimeError(PLACE + "f(int, ")) == "f(int,"


def test_a_long_message_is_cut_in_its_middle() -> None:
    found = _one_line(RuntimeError("In Node " + "x" * 5000 + " Error No Op registered for Y"))
    assert found.startswith("In Node x")
    assert found.endswith("Error No Op registered for Y")
    assert len(found) < 500


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "Unsupported model IR version: 99, max supported IR version: 14",
            "it is ONNX format 99, and this onnxruntime reads up to format 14; export it",
        ),
        (
            "ONNX Runtime only *guarantees* support. Opset 40 is under development and support for "
            "this is limited. Current official support for domain ai.onnx is till opset 28.",
            "it is ONNX with opset 40 of ai.onnx, and this onnxruntime reads up to opset 28; ",
        ),
    ],
)
def test_what_is_too_new_is_reported_with_both_versions(reason: str, told: str) -> None:
    found = why_refused(RuntimeError(PREFIX + PLACE + SIGNATURES[0] + reason))
    assert found.startswith(told)
    assert found.endswith("or update onnxruntime")


def test_the_runtime_itself_prints_no_names(
    make_onnx: OnnxMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    path = make_onnx(tmp_path / "m.onnx")
    model = onnx.load(path)
    # A name that turns the terminal red, in a warning about another shape than there will be.
    output = model.graph.output[0]
    for node in model.graph.node:
        node.output[:] = ["\x1b[31mred" if name == output.name else name for name in node.output]
    output.name = "\x1b[31mred"
    output.type.tensor_type.shape.dim.add().dim_value = 7
    onnx.save(model, path)
    OnnxRuntime().load(path, 1)
    assert capfd.readouterr().err == ""


def test_the_library_says_nothing_itself_about_a_tensor_that_is_too_large(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    integer, make = onnx.TensorProto.INT64, onnx.helper
    ends = [make.make_tensor_value_info(name, integer, [1]) for name in ("x", "y")]
    large = onnx.TensorProto(name="w", data_type=integer, dims=[2**62])
    node = make.make_node("Add", ["x", "w"], ["y"])
    graph = make.make_graph([node], "g", ends[:1], ends[1:], [large])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"cannot load .*m\.onnx: .*Invalid TensorProto"):
        OnnxRuntime().load(path, 1)
    assert capfd.readouterr() == ("", "")
