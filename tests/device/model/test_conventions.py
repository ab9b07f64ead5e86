"""One network in the conventions of several model families gives the same depth."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.evaluation import evaluate, predict
from bench_depth.core.dataset import list_pairs, read_depth, read_rgb
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.metrics import depth_metrics, depth_of_relative_inverse, mean_metrics
from bench_depth.model.description import Description
from bench_depth.model.postprocess import FARTHEST_M, to_depth
from bench_depth.model.preprocess import PADDING, to_input
from bench_depth.model.runtimes import LoadedModel, choose
from bench_depth.model.signature import Signature, check_signature

from tests.device.conftest import HEIGHT, WIDTH
from tests.device.model.conventions import (
    IMAGENET,
    Convention,
    described,
    metres,
    write_onnx,
    write_tflite,
)

pytestmark = pytest.mark.model_files
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
HALF = ((0.5,) * 3, (0.5,) * 3)
INPUTS = {
    "raw": Convention(),
    "NCHW 0..1": Convention("NCHW", low=0, high=1),
    "NHWC -1..1": Convention(low=-1, high=1),
    "NCHW ImageNet": Convention("NCHW", "RGB", 0, 1, *IMAGENET),
    "BGR ImageNet of 0..255": Convention(
        "NHWC", "BGR", 0, 255, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    ),
    "BGR 0..1": Convention("NCHW", "BGR", 0, 1),
    "mean and deviation of 0.5": Convention("NCHW", "RGB", 0, 1, *HALF),
}
OUTPUTS = {
    "NCHW": Convention(output_layout="NCHW"),
    "NHCW": Convention(output_layout="NHCW"),
    "1HW": Convention(output_layout="1HW"),
    "HW": Convention(output_layout="HW"),
    "log-depth": Convention(quantity="log-depth"),
    "1/m": Convention(quantity="inverse-depth"),
    "scaled and shifted": Convention(scale=4, offset=-1),
}


def load(path: Path, said: Description | None, **options: Any) -> tuple[LoadedModel, Signature]:
    model = choose(path).load(path, 1)
    return model, check_signature(path, model, None, said, **options)


def depth(model: LoadedModel, signature: Signature) -> np.ndarray:
    model.set_input(to_input(PHOTO, signature))
    model.invoke()
    return to_depth(model.output(), signature)


@pytest.mark.parametrize("write", [write_onnx, write_tflite])
@pytest.mark.parametrize("name", [*INPUTS, *OUTPUTS])
def test_every_convention_gives_the_depth_that_numpy_gives(
    name: str, write: Any, tmp_path: Path
) -> None:
    if write is write_onnx:
        pytest.importorskip("onnxruntime")
    convention = {**INPUTS, **OUTPUTS}[name]
    path = write(tmp_path / ("m.onnx" if write is write_onnx else "m.tflite"), convention)
    found = depth(*load(path, described(convention)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, metres(PHOTO), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "uint8", "int8"])
def test_onnx_inputs_of_other_types_take_pixels(dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    low, high = (-128, 127) if dtype == "int8" else (0, 255)
    convention = Convention("NCHW", low=low, high=high, dtype=dtype)
    path = write_onnx(tmp_path / "m.onnx", convention)
    rtol = 2e-3 if dtype == "float16" else 1e-5
    for said in (None, described(convention)):
        np.testing.assert_allclose(depth(*load(path, said)), metres(PHOTO), rtol=rtol)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_onnx_outputs_of_other_types_are_metres(dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = write_onnx(tmp_path / "m.onnx", Convention(output_dtype=dtype))
    np.testing.assert_allclose(depth(*load(path, None)), metres(PHOTO), rtol=1e-3)


def test_integers_without_a_scale_stand_for_themselves(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = write_onnx(tmp_path / "m.onnx", Convention(scale=1000, output_dtype="uint16"))
    found = depth(*load(path, Description(unit="mm")))
    np.testing.assert_allclose(found, metres(PHOTO), atol=1.001e-3)


QUANTISED = {
    "uint8 0..1": Convention(low=0, high=1, dtype="uint8", output_dtype="uint8"),
    "int8 -1..1": Convention(low=-1, high=1, dtype="int8", output_dtype="int8"),
    "int8 ImageNet": Convention("NHWC", "RGB", 0, 1, *IMAGENET, "int8", output_dtype="int8"),
    "uint8 millimetres": Convention(dtype="uint8", scale=1000, output_dtype="uint8"),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_a_quantized_model_is_fed_and_read_by_its_own_scales(name: str, tmp_path: Path) -> None:
    convention = QUANTISED[name]
    path = write_tflite(tmp_path / "m.tflite", convention)
    model, signature = load(path, described(convention))
    assert model.outputs[0].scales[0] > 0
    # Half a step of the output, and of the input on every channel, and the rounding between.
    np.testing.assert_allclose(depth(model, signature), metres(PHOTO), atol=0.03)


def test_a_quantized_input_of_which_nothing_is_said_takes_pixels(tmp_path: Path) -> None:
    path = write_tflite(tmp_path / "m.tflite", QUANTISED["int8 -1..1"])
    np.testing.assert_allclose(depth(*load(path, None)), metres(PHOTO), atol=0.03)


@pytest.mark.parametrize("write", [write_onnx, write_tflite])
def test_an_open_size_is_fixed_by_the_description(write: Any, tmp_path: Path) -> None:
    if write is write_onnx:
        pytest.importorskip("onnxruntime")
    path = tmp_path / ("m.onnx" if write is write_onnx else "m.tflite")
    write(path, Convention("NCHW", height=None, width=None, output_layout="1HW"))
    for name in ("input_size", "open_size"):
        model, signature = load(path, Description(**{name: (WIDTH, HEIGHT)}))
        assert (signature.height, signature.width) == (HEIGHT, WIDTH)
        np.testing.assert_allclose(depth(model, signature), metres(PHOTO), rtol=1e-5)


def test_a_layout_that_is_wholly_open_is_taken_from_the_description(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    convention = Convention("NCHW", height=None, width=None, open_channels=True)
    path = write_onnx(tmp_path / "m.onnx", convention)
    size = {"input_size": (WIDTH, HEIGHT)}
    for said in (Description(input_layout="NCHW", **size), Description(open_layout="NCHW", **size)):
        np.testing.assert_allclose(depth(*load(path, said)), metres(PHOTO), rtol=1e-5)


@pytest.mark.parametrize("write", [write_onnx, write_tflite])
@pytest.mark.parametrize("by", ["name", "index"])
def test_one_of_several_outputs_is_chosen(write: Any, by: str, tmp_path: Path) -> None:
    if write is write_onnx:
        pytest.importorskip("onnxruntime")
    path = tmp_path / ("m.onnx" if write is write_onnx else "m.tflite")
    write(path, Convention(others=2))
    model = choose(path).load(path, 1)
    for index, spec in enumerate(model.outputs):
        said = Description(output=spec.name if by == "name" else str(index))
        signature = check_signature(path, model, None, said)
        assert signature.output == index
    # One of the three is the depth, the others are its negative.
    results = []
    for index in range(3):
        results.append(depth(*load(path, Description(output=str(index)))).mean())
    assert sum(value > 0 for value in results) == 1


def test_the_same_network_in_two_conventions_has_the_same_metrics(
    dataset: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    means = []
    for convention in (
        Convention(dtype="uint8"),
        Convention("NCHW", "BGR", 0, 1, *(part[::-1] for part in IMAGENET), output_layout="1HW"),
    ):
        path = write_onnx(tmp_path / "m.onnx", convention)
        accuracy = evaluate(
            *load(path, described(convention)), list_pairs(dataset), data="d", median_ms=1
        )
        assert accuracy.align == "none"
        means.append(accuracy.mean.to_dict())
    # A share moves by whole pixels.
    assert means[0] == pytest.approx(means[1], rel=1e-5, abs=1e-4)


def test_a_letterboxed_photo_comes_back_at_its_own_place(tmp_path: Path) -> None:
    path = write_tflite(tmp_path / "m.tflite", Convention())
    photo = cv2.resize(PHOTO[:12, :9], (90, 120))
    model, signature = load(path, Description(resize="letterbox"))
    # The photo is 0.75 as wide as high: in 64x48 it becomes 36x48, 14 from the left.
    boxed = cv2.copyMakeBorder(
        cv2.resize(photo, (36, 48)), 0, 0, 14, 14, cv2.BORDER_CONSTANT, value=(PADDING,) * 3
    )
    np.testing.assert_array_equal(to_input(photo, signature)[0], boxed.astype(np.float32))
    expected = cv2.resize(metres(boxed)[:, 14:50].astype(np.float32), (90, 120))
    np.testing.assert_allclose(predict(model, signature, photo), expected, rtol=1e-5)


def test_integers_are_rounded_and_stay_in_their_range() -> None:
    signature = Signature(1, 1, "int8", values=((0.5, 1.0, 2.0), (-100.0, -100.4, -100.6)))
    photo = np.array([[[255, 255, 10]]], np.uint8)
    assert to_input(photo, signature).ravel().tolist() == [28, 127, -81]
    assert to_input(photo * 0, signature).ravel().tolist() == [-100, -100, -101]


def test_inverse_depth_of_zero_is_as_far_as_a_depth_map_can_hold() -> None:
    signature = Signature(1, 2, "uint8", quantity="inverse-depth")
    found = to_depth(np.array([[0.0, 0.5]], np.float32), signature)
    np.testing.assert_allclose(found, [[FARTHEST_M, 2.0]])
    in_mm = dataclasses.replace(signature, unit="mm")
    found = to_depth(np.array([[-1.0, 0.0005]], np.float32), in_mm)
    np.testing.assert_allclose(found, [[FARTHEST_M, 2.0]])


def test_relative_inverse_depth_is_fitted_to_the_ground_truth(
    dataset: Path, tmp_path: Path
) -> None:
    convention = Convention(quantity="inverse-depth", scale=123, offset=-40)
    path = write_tflite(tmp_path / "m.tflite", convention)
    model, signature = load(path, Description(quantity="inverse-depth"))
    pairs = list_pairs(dataset)
    out = tmp_path / "predictions"
    accuracy = evaluate(model, signature, pairs, data="d", median_ms=1, predictions=out)
    assert accuracy.align == "inverse-affine"
    rows = []
    for pair in pairs:
        photo, truth = read_rgb(pair.rgb), read_depth(pair.depth)
        inverse = cv2.resize(
            (1 / metres(cv2.resize(photo, (64, 48)))).astype(np.float32), (128, 96)
        )
        aligned = depth_of_relative_inverse(inverse, truth)
        assert aligned is not None
        rows.append(depth_metrics(aligned, truth))
        np.testing.assert_allclose(read_depth(out / f"{pair.name}.png"), aligned, atol=1.5)
    found, wanted = accuracy.mean.to_dict(), mean_metrics(rows).to_dict()
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_relative_depth_is_scaled_to_the_ground_truth(
    dataset: Path, tmp_path: Path, scale: float
) -> None:
    metric = write_tflite(tmp_path / "m.tflite", Convention())
    relative = write_tflite(tmp_path / "r.tflite", Convention(scale=scale))
    pairs = list_pairs(dataset)
    expected = evaluate(*load(metric, None), pairs, data="d", median_ms=1, align="median")
    found = evaluate(*load(relative, Description(unit="relative")), pairs, data="d", median_ms=1)
    assert found.align == "median"
    assert found.mean.to_dict() == pytest.approx(expected.mean.to_dict(), rel=1e-3)


def test_an_image_without_ground_truth_is_left_out_of_a_relative_model_too(
    dataset: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(dataset / "depth" / "b.png"), np.zeros((96, 128), np.uint16))
    path = write_tflite(tmp_path / "m.tflite", Convention())
    for quantity in ("depth", "inverse-depth"):
        model, signature = load(path, Description(quantity=quantity, unit="relative"))
        out = tmp_path / quantity
        accuracy = evaluate(
            model, signature, list_pairs(dataset), data="d", median_ms=1, predictions=out
        )
        assert accuracy.left_out == ["b"]
        assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png", "d.png"]


def test_other_alignments_of_relative_inverse_depth_are_refused(
    dataset: Path, tmp_path: Path
) -> None:
    path = write_tflite(tmp_path / "m.tflite", Convention())
    model, signature = load(path, Description(quantity="inverse-depth"))
    with pytest.raises(UserError, match="median alignment does not fit"):
        evaluate(model, signature, list_pairs(dataset), data="d", median_ms=1, align="median")


def test_log_depth_that_overflows_is_refused_as_infinite(dataset: Path, tmp_path: Path) -> None:
    path = write_tflite(tmp_path / "m.tflite", Convention(scale=1000))
    model, signature = load(path, Description(quantity="log-depth"))
    with pytest.raises(UserError, match="NaN or infinity") as caught:
        evaluate(model, signature, list_pairs(dataset), data="d", median_ms=1)
    assert caught.value.exit_code == MODEL_FAILED


def test_what_is_no_map_when_it_runs_is_refused() -> None:
    for shape in [(1, 2, 3, 4), (2, 3, 4), (3,), (1, 1, 1, 2, 3)]:
        with pytest.raises(UserError, match="the model gave"):
            to_depth(np.zeros(shape, np.float32), Signature(1, 1, "uint8"))
