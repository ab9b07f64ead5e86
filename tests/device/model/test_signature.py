"""What is refused, and in which words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import Description, from_values
from bench_depth.model.postprocess import to_depth
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtime import TensorSpec
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature

from tests.device.conftest import HEIGHT, WIDTH, remembered
from tests.device.model.conventions import Convention, write_onnx, write_tflite

pytestmark = pytest.mark.model_files


def refusal(
    path: Path, said: Description | None, contract: ModelContract | None = None
) -> UserError:
    with pytest.raises(UserError) as caught:
        check_signature(path, choose(path).load(path, 1), contract, said)
    assert "\n" not in str(caught.value)
    return caught.value


def flags(**said: Any) -> Description:
    return from_values(said, "the flags say")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"shapes": ((1, 48, 64, 1),)}, "takes 1x48x64x1 float32; expected one picture"),
        ({"shapes": ((48, 64, 3),)}, "takes 48x64x3 float32; expected one picture"),
        ({"shapes": ((2, 48, 64, 3),)}, "takes 2x48x64x3 float32; expected one picture"),
        ({"dtype": "int32"}, "takes 1x48x64x3 int32; expected one picture"),
        ({"dtype": "complex64"}, "takes 1x48x64x3 complex64; expected one picture"),
        ({"shapes": ((1, 48, 64, 3),) * 2}, "takes 2 inputs"),
        ({"shapes": ((1, None, None, 3),)}, r"takes 1x\?x\?x3 float32; expected .*--input-size"),
        ({"shapes": ((1, 3, 9, 3),)}, "takes 1x3x9x3 float32; expected .*--layout"),
        ({"outputs": 2}, "gives 2 outputs .*choose with --output; expected one depth map"),
    ],
)
def test_what_is_not_understood_is_named(
    make_tflite: Any, tmp_path: Path, change: dict[str, Any], found: str
) -> None:
    error = refusal(make_tflite(tmp_path / "m.tflite", **change), None)
    assert re.search(found, str(error))
    assert error.exit_code == MODEL_FAILED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_height": 480}, "as its contract says"),
        ({"output_width": 32}, "as its contract says"),
        ({"output_layout": "NHCW"}, "expected 1x48x1x64 float32, as its contract says"),
        ({"output_layout": "NCHW"}, "output_layout 'NCHW' in its contract; expected NHWC or NHCW"),
        ({"input_color": "BGR"}, "input_color 'BGR'"),
        ({"input_range": (-1, 1)}, "input_range"),
        ({"output_quantity": "inverse_depth"}, "output_quantity"),
        ({"output_unit": "mm"}, "output_unit"),
    ],
)
def test_a_contract_that_does_not_hold_is_refused(
    tiny_tflite: Path, contract: ModelContract, change: dict[str, Any], message: str
) -> None:
    error = refusal(tiny_tflite, None, dataclasses.replace(contract, **change))
    assert message in str(error)
    assert error.exit_code == MODEL_FAILED


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"input_color": "BGR"}, "the flags say input_color BGR, the contract in .* says RGB"),
        ({"input_range": [0, 1]}, "input_range 0, 1, the contract in .* says 0, 255"),
        ({"input_mean": [1, 1, 1], "input_std": [1, 1, 1]}, "input_mean 1, 1, 1, .* says none"),
        ({"quantity": "log-depth"}, "the flags say quantity log-depth, .* says depth"),
        ({"unit": "mm"}, "the flags say unit mm, the contract in .* says m"),
        ({"output_scale": 2}, "output_scale 2.*, the contract in .* says 1"),
        ({"input_layout": "NCHW"}, "the flags say NCHW, but .* takes 1x48x64x3 float32"),
    ],
)
def test_what_contradicts_a_contract_is_refused(
    tiny_tflite: Path, contract: ModelContract, said: dict[str, Any], message: str
) -> None:
    error = refusal(tiny_tflite, flags(**said), contract)
    assert re.search(message, str(error))
    assert error.exit_code == BAD_INPUT


def test_what_agrees_with_a_contract_is_taken(tiny_tflite: Path, contract: ModelContract) -> None:
    said = flags(
        input_layout="NHWC",
        input_color="RGB",
        input_range=[0, 255],
        input_size=[WIDTH, HEIGHT],
        unit="m",
        resize="letterbox",
    )
    model = choose(tiny_tflite).load(tiny_tflite, 1)
    assert check_signature(tiny_tflite, model, contract, said).resize == "letterbox"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"input_layout": "NCHW"}, "the flags say NCHW, but .* takes 1x48x64x3 float32"),
        ({"input_size": [48, 64]}, "the flags say 48x64, but .* takes 1x48x64x3 float32"),
        ({"output": "depth"}, "the flags say output depth, but .* gives 1 outputs"),
        ({"output": "1"}, "the flags say output 1, but .* gives 1 outputs"),
    ],
)
def test_what_contradicts_the_tensors_is_refused(
    tiny_tflite: Path, said: dict[str, Any], message: str
) -> None:
    error = refusal(tiny_tflite, flags(**said))
    assert re.search(message, str(error))
    assert error.exit_code == BAD_INPUT


@pytest.mark.parametrize(
    ("low", "high"), [(0, 255), (-1, 1), (-2, 2.6)], ids=["pixels", "negative", "normalised"]
)
def test_a_range_that_a_quantized_input_does_not_hold_is_refused(
    tmp_path: Path, low: float, high: float
) -> None:
    convention = Convention(low=0, high=1, dtype="uint8", output_dtype="uint8")
    path = write_tflite(tmp_path / "m.tflite", convention)
    error = refusal(path, flags(input_range=[low, high]))
    assert re.search("the flags say values of .* takes 1x48x64x3 uint8 for 0 to 1", str(error))
    assert error.exit_code == BAD_INPUT


def test_plain_integers_do_not_hold_fractions(make_tflite: Any, tmp_path: Path) -> None:
    path = make_tflite(tmp_path / "m.tflite", dtype="uint8")
    error = refusal(path, flags(input_range=[0, 1]))
    assert "values of 0 to 1, but" in str(error)


def test_a_preset_gives_way_to_the_file(tiny_tflite: Path) -> None:
    said = Description(open_layout="NCHW", open_size=(10, 10))
    model = choose(tiny_tflite).load(tiny_tflite, 1)
    signature = check_signature(tiny_tflite, model, None, said)
    assert (signature.layout, signature.height, signature.width) == ("NHWC", HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"outputs": 2}, None), ({"shapes": ((1, 48, 1, 3),)}, None), ({"outputs": 2}, "unknown")],
)
def test_an_output_that_is_not_understood_can_still_be_timed(
    make_tflite: Any, tmp_path: Path, change: dict[str, Any], said: str | None
) -> None:
    path = make_tflite(tmp_path / "m.tflite", **change)
    model = choose(path).load(path, 1)
    if said is not None:  # But a wrong name is wrong all the same.
        with pytest.raises(UserError, match="output unknown"):
            check_signature(path, model, None, Description(output=said), need_depth=False)
        return
    signature = check_signature(path, model, None, need_depth=False)
    assert signature.output is None
    model.set_input(to_input(np.zeros((9, 9, 3), np.uint8), signature))
    model.invoke()
    np.testing.assert_array_equal(to_depth(model.output(), signature), model.output())


def _patched(path: Path, key: str, edit: Callable[[Any, Any, Any], None]) -> Path:
    """A quantized model file of which `edit` has changed the input or the output tensor."""

    def make() -> bytes:
        import flatbuffers
        from tensorflow.lite.python import schema_py_generated as schema

        whole = write_tflite(path, Convention(low=0, high=1, dtype="uint8", output_dtype="uint8"))
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(whole.read_bytes(), 0))
        graph = model.subgraphs[0]
        edit(graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]], schema)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    path.write_bytes(remembered(("patched", key), make))
    return path


def _shape(*shape: int) -> Callable[[Any, Any, Any], None]:
    def edit(picture: Any, depth: Any, schema: Any) -> None:
        picture.shape, picture.shapeSignature = np.array(shape, np.int32), None

    return edit


def _output_shape(picture: Any, depth: Any, schema: Any) -> None:
    depth.shape, depth.shapeSignature = np.array([1, 60000, 60000, 1], np.int32), None


def _scale(value: float) -> Callable[[Any, Any, Any], None]:
    def edit(picture: Any, depth: Any, schema: Any) -> None:
        picture.quantization.scale = np.array([value], np.float32)

    return edit


def _type(number: int) -> Callable[[Any, Any, Any], None]:
    def edit(picture: Any, depth: Any, schema: Any) -> None:
        picture.type = number

    return edit


ABSURD = {
    "no height": (_shape(1, 0, 64, 3), "1x0x64x3 uint8, with an axis of size 0"),
    "negative": (_shape(1, -5, 64, 3), "m.tflite"),
    "huge": (_shape(1, 60000, 60000, 3), "1x60000x60000x3 uint8, 10.8 GB"),
    "overflowing": (_shape(1, 2**31 - 1, 2**31 - 1, 3), "GB"),
    "rank 7": (_shape(1, 1, 1, 1, 48, 64, 3), "m.tflite"),
    "huge output": (_output_shape, "1x60000x60000x1 uint8, 3.6 GB"),
    "scale 0": (_scale(0), "a scale of 0 for"),
    "scale NaN": (_scale(float("nan")), "a scale of nan for"),
    "negative scale": (_scale(-1), "a scale of -1 for"),
    "string": (_type(5), "m.tflite"),
    "complex": (_type(8), "m.tflite"),
}


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_tflite_file_is_refused_before_it_is_allocated(name: str, tmp_path: Path) -> None:
    edit, message = ABSURD[name]
    path = _patched(tmp_path / "m.tflite", name, edit)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        check_signature(path, choose(path).load(path, 1), None)
    assert caught.value.exit_code == MODEL_FAILED


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [(0, 64, "with an axis of size 0"), (60000, 60000, "43.2 GB"), (2**62, 2**62, "GB")],
)
def test_an_absurd_onnx_file_is_refused(
    tmp_path: Path, height: int, width: int, message: str
) -> None:
    pytest.importorskip("onnxruntime")
    path = write_onnx(tmp_path / "m.onnx", Convention(height=height, width=width))
    error = refusal(path, None)
    assert message in str(error)
    assert error.exit_code == MODEL_FAILED


def test_a_size_that_makes_a_huge_input_is_refused(make_tflite: Any, tmp_path: Path) -> None:
    path = make_tflite(tmp_path / "m.tflite", shapes=((1, None, None, 3),))
    error = refusal(path, flags(input_size=[16384, 16384]))
    assert "3.22 GB" in str(error)


class _Stub:
    """A model of which only the tensors are looked at."""

    def __init__(self, picture: TensorSpec, depth: TensorSpec) -> None:
        self.inputs, self.outputs = [picture], [depth]

    def use_output(self, index: int) -> None:
        pass


@pytest.mark.parametrize("dtype", ["string", "bfloat16", "complex64", "int64", "bool"])
def test_types_that_are_no_pixels_or_no_depth_are_refused(dtype: str) -> None:
    good, bad = TensorSpec((1, 8, 8, 3), "uint8"), TensorSpec((1, 8, 8, 3), dtype)
    with pytest.raises(UserError, match=f"takes 1x8x8x3 {dtype}; expected"):
        check_signature(Path("m"), _Stub(bad, good), None)  # type: ignore[arg-type]
    bad = TensorSpec((1, 8, 8, 1), dtype)
    with pytest.raises(UserError, match=f"gives 1x8x8x1 {dtype}; expected"):
        check_signature(Path("m"), _Stub(good, bad), None)  # type: ignore[arg-type]


def test_an_output_whose_size_depends_on_the_picture_can_be_timed() -> None:
    picture, boxes = TensorSpec((1, 8, 8, 3), "uint8"), TensorSpec((1, 0, 4), "float32")
    stub: Any = _Stub(picture, boxes)
    assert check_signature(Path("m"), stub, None, need_depth=False).output is None


def test_a_model_without_an_output_is_refused() -> None:
    stub: Any = _Stub(TensorSpec((1, 8, 8, 3), "uint8"), TensorSpec((1, 8, 8, 1), "float32"))
    stub.outputs = []
    with pytest.raises(UserError, match="m gives no output; expected one depth map"):
        check_signature(Path("m"), stub, None, need_depth=False)


def test_a_scale_per_channel_is_refused() -> None:
    picture = TensorSpec((1, 8, 8, 3), "uint8", "", (1.0, 2.0, 3.0), (0, 0, 0))
    with pytest.raises(UserError, match="3 scales for 1x8x8x3 uint8"):
        check_signature(Path("m"), _Stub(picture, picture), None)  # type: ignore[arg-type]
