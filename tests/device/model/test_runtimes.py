from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.postprocess import to_depth
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import Signature, check_signature

from tests.device.conftest import HEIGHT, WIDTH, tiny_depth

PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
HERE = {
    "tflite_runtime": ".tflite",
    "ai_edge_litert": ".tflite",
    "tensorflow": ".tflite",
    "onnxruntime": ".onnx",
}
# Wheels of TensorFlow Lite 2.5 have XNNPACK off.
XNNPACK = {"tflite_runtime": False, "onnxruntime": None}


@pytest.mark.parametrize("name", HERE)
def test_every_runtime_gives_the_depth_that_numpy_gives(
    name: str, tiny_tflite: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip(name)
    path = tiny_tflite
    if HERE[name] == ".onnx":
        path = request.getfixturevalue("make_onnx")(tmp_path / "m.onnx")
    model = choose(path, name).load(path, 1)
    signature = check_signature(path, model, None)
    model.set_input(to_input(PHOTO, signature))
    model.invoke()
    depth = to_depth(model.output(), signature)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, tiny_depth(PHOTO[np.newaxis]), rtol=1e-5)
    assert model.name == name
    assert model.version[0].isdigit()
    assert str(model.inputs[0]) == f"1x{HEIGHT}x{WIDTH}x3 float32"
    assert str(model.outputs[0]) == f"1x{HEIGHT}x{WIDTH}x1 float32"
    assert model.xnnpack is XNNPACK.get(name, True)
    if model.xnnpack:
        assert model.xnnpack_ops is not None
        assert 0 < model.xnnpack_ops[0] <= model.xnnpack_ops[1]


def test_a_uint8_model_takes_raw_pixels(make_tflite, tmp_path: Path) -> None:
    path = make_tflite(tmp_path / "m.tflite", dtype="uint8")
    model = choose(path).load(path, 1)
    signature = check_signature(path, model, None)
    assert signature == Signature(HEIGHT, WIDTH, "uint8")
    model.set_input(to_input(PHOTO, signature))
    model.invoke()
    np.testing.assert_allclose(
        to_depth(model.output(), signature), tiny_depth(PHOTO[np.newaxis]), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("file", "name", "package"),
    [
        ("m.tflite", None, "ai-edge-litert"),
        ("m.tflite", "tflite_runtime", "tflite-runtime"),
        ("m.onnx", None, "onnxruntime"),
    ],
)
def test_a_missing_runtime_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, file: str, name: str | None, package: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=f"pip install {package}$") as caught:
        choose(Path(file), name)
    assert caught.value.exit_code == MODEL_FAILED


def test_on_a_32_bit_system_it_is_said_what_to_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(struct, "calcsize", lambda _: 4)
    for file in ("m.tflite", "m.onnx"):
        with pytest.raises(UserError, match="32-bit") as caught:
            choose(Path(file))
        assert str(caught.value).endswith("; flash Raspberry Pi OS Lite (64-bit)")
        assert "pip install" not in str(caught.value)
        assert caught.value.exit_code == MODEL_FAILED


@pytest.mark.parametrize(
    ("file", "name", "message"),
    [
        ("m.tflite", "caffe", "unknown runtime 'caffe'"),
        ("m.tflite", "onnxruntime", "onnxruntime cannot run"),
        ("m.pt", None, "must end in .onnx or .tflite"),
        ("m.JPG", None, "for the depth of a photo: bench-depth depth"),
        ("\udcffm.onnx", None, r"b'\\xffm.onnx' is not UTF-8; rename the file"),
        ("\udcff/m.tflite", None, "is not UTF-8; rename the file"),
    ],
)
def test_a_runtime_that_cannot_fit_is_a_usage_error(
    file: str, name: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        choose(Path(file), name)
    assert caught.value.exit_code == BAD_INPUT


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_truncated_file_is_refused(
    tiny_tflite: Path, make_onnx, tmp_path: Path, part: float, suffix: str
) -> None:
    whole = tiny_tflite if suffix == ".tflite" else make_onnx(tmp_path / "whole.onnx")
    data = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(UserError, match="cut") as caught:
        choose(path).load(path, 1)
    assert caught.value.exit_code == MODEL_FAILED


def test_a_photo_of_another_size_is_resized_bilinearly() -> None:
    signature = Signature(2, 2, "uint8")
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[:2, :2] = 200
    # Halving bilinearly is the mean of each 2x2 block.
    assert to_input(photo, signature)[0, :, :, 0].tolist() == [[200, 0], [0, 0]]


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="HxWx3 uint8"):
        to_input(np.zeros((4, 4), np.uint8), Signature(2, 2, "uint8"))
