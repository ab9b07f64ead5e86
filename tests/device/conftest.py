"""Tiny model files and a tiny dataset."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.bands import Band
from bench_depth.accuracy.records import Accuracy, ImageAccuracy
from bench_depth.commands import cli
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import DepthMetrics
from bench_depth.machine.board import Board, Health
from bench_depth.model.contract import METADATA_NAME, ModelContract
from bench_depth.results.advice import ADVICE
from bench_depth.results.records import Context, ModelRecord, Results, RuntimeRecord
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, summarize

from tests.device.onnx_files import onnx_bytes

HEIGHT, WIDTH = 48, 64


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "model_files: runs on model files that are made for it")
    # Starting Python takes ten seconds in emulation.
    config.addinivalue_line(
        "markers", "same_everywhere: depends neither on the board nor on a runtime; not run on a Pi"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"make_tflite", "make_onnx"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("model_files")


def remembered(key: object, make: Callable[[], bytes]) -> bytes:
    """What `make` gives, kept in the folder that the environment names, if it names one.

    The libraries that write model files are too heavy for a Pi: there these tests find the files
    that a run on a workstation left, all of its processes in one folder.
    """
    folder = os.environ.get("BENCH_DEPTH_TEST_MODELS")
    if folder is None:
        return make()
    path = Path(folder) / hashlib.sha256(repr(key).encode()).hexdigest()
    if not path.exists():
        write_bytes(path, make())
    return path.read_bytes()


def main(words: list[str]) -> int:
    """Runs `bench-depth` in this process, which has perhaps started a runtime's threads.

    The command itself has a forked child do it. A fork of a process with threads is what the guard
    rules out; in emulation such a child crashes at times.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(os, "fork")
        return cli.main(words)


def only_line(text: str) -> str:
    """The one line of what a command wrote to standard error that is its message."""
    (line,) = [line for line in text.splitlines() if line.startswith("bench-depth: ")]
    assert "Traceback" not in text
    return line


def converted(module: Any) -> bytes:
    """The .tflite file of a module of TensorFlow's with a function `run`."""
    import tensorflow as tf

    concrete = module.run.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert())


def tiny_depth(picture: np.ndarray) -> np.ndarray:
    """What the tiny models compute, in numpy: 1xHxWx3 pixels -> HxW metres."""
    return picture.astype(np.float32).mean(-1)[0] / 100 + 0.5


@pytest.fixture
def contract() -> ModelContract:
    return ModelContract(
        name="tiny",
        variant="fp32",
        input_height=HEIGHT,
        input_width=WIDTH,
        input_dtype="float32",
        input_layout="NHWC",
        input_color="RGB",
        input_range=(0, 255),
        output_height=HEIGHT,
        output_width=WIDTH,
        output_dtype="float32",
        output_layout="NHWC",
        output_quantity="depth",
        output_unit="m",
        output_range=(0.5, 3.05),
        minimum_runtime="1.5.0",
        checkpoint_sha256="0" * 64,
        training_data="none",
        metrics={"si_rmse": 0.25},
        created_by="a test",
    )


class TfliteMaker(Protocol):
    def __call__(
        self,
        path: Path,
        contract: ModelContract | None = None,
        shapes: tuple[tuple[int | None, ...], ...] = ...,
        dtype: str = ...,
        outputs: int = ...,
    ) -> Path: ...


@pytest.fixture(scope="session")
def make_tflite() -> TfliteMaker:
    """Writes a .tflite file with TensorFlow; with a contract put in by TensorFlow's own classes."""
    cache: dict[Any, bytes] = {}

    def make(
        path: Path,
        contract: ModelContract | None = None,
        shapes: tuple[tuple[int | None, ...], ...] = ((1, HEIGHT, WIDTH, 3),),
        dtype: str = "float32",
        outputs: int = 1,
    ) -> Path:
        key = (shapes, dtype, outputs)
        if key not in cache:
            cache[key] = remembered(key, lambda: _convert(*key))
        data, text = cache[key], contract.to_json() if contract is not None else None
        if text is not None:
            data = remembered((*key, text), lambda: _with_contract(cache[key], text))
        path.write_bytes(data)
        return path

    return make


def _convert(shapes: tuple[tuple[int | None, ...], ...], dtype: str, outputs: int) -> bytes:
    import tensorflow as tf

    class Tiny(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, dtype) for shape in shapes])
        def run(self, *pictures: Any) -> Any:
            total = sum(tf.cast(p, tf.float32) for p in pictures)
            mean = tf.reduce_mean(total, -1, keepdims=True)
            return [mean / 100.0 + 0.5 + i for i in range(outputs)]

    return converted(Tiny())


def _with_contract(data: bytes, text: str) -> bytes:
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = METADATA_NAME.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session")
def tiny_tflite(make_tflite: TfliteMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1x48x64x3 float32 -> 1x48x64x1 float32, without a contract."""
    return make_tflite(tmp_path_factory.mktemp("models") / "tiny.tflite")


class OnnxMaker(Protocol):
    def __call__(
        self,
        path: Path,
        contract: ModelContract | None = None,
        shape: tuple[int | str, ...] = ...,
        factor: float = ...,
    ) -> Path: ...


@pytest.fixture(scope="session")
def make_onnx() -> OnnxMaker:
    """Writes an .onnx file with `onnx.helper`; skips where nothing can run it."""
    pytest.importorskip("onnxruntime")

    def make(
        path: Path,
        contract: ModelContract | None = None,
        shape: tuple[int | str, ...] = (1, HEIGHT, WIDTH, 3),
        factor: float = 0.01,
    ) -> Path:
        text = contract.to_json() if contract is not None else None
        key = ("onnx", shape, factor, text)
        path.write_bytes(remembered(key, lambda: _onnx(shape, factor, text)))
        return path

    return make


def _onnx(shape: tuple[int | str, ...], factor: float, contract: str | None) -> bytes:
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["depth"]),
    ]
    constants = {"axes": [-1], "factor": np.float32(factor), "offset": np.float32(0.5)}
    properties = {} if contract is None else {"other": "x", METADATA_NAME: contract}
    shapes = {"picture": shape}, {"depth": (*shape[:-1], 1)}
    return onnx_bytes(nodes, *shapes, constants, properties=properties)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four random photos of 96x128 with depth within 15 % of what the tiny models say."""
    rng = np.random.default_rng(1)
    for name in ("a", "b", "c", "d"):
        photo = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (128, 96))
        truth = 1000 * tiny_depth(photo[np.newaxis]) * rng.uniform(0.85, 1.15, photo.shape[:2])
        for folder, image in (("rgb", photo[..., ::-1]), ("depth", truth.astype(np.uint16))):
            path = tmp_path / "data" / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return tmp_path / "data"


@pytest.fixture
def onnx_with_contract(make_onnx: OnnxMaker, contract: ModelContract, tmp_path: Path) -> Path:
    return make_onnx(tmp_path / "tiny.onnx", dataclasses.replace(contract, minimum_runtime="1.12"))


@pytest.fixture
def measured(contract: ModelContract) -> Results:
    board = Board(
        "Raspberry Pi 4 Model B Rev 1.4",
        "Cortex-A72",
        4,
        "aarch64",
        "Debian GNU/Linux 11 (bullseye), kernel 5.10.103-v8+",
        1500,
        "ondemand",
        emulated=False,
    )
    context = Context(
        "2026-01-02T03:04:05+00:00", "bench-depth 0.1.0", None, "3.9.2", board, 4, 5, 50, 5.0
    )
    metrics = DepthMetrics(0.51234, 0.21987, 0.08, 0.19, 0.71234, 0.9, 0.97, 6.125, 9.25, 0.137)
    images = [ImageAccuracy("a", metrics)]
    bands = [
        Band(1.0, 2.0, 1234, 0.25, 0.5, 0.2, 0.6, 0.1),
        Band(10.0, None, 1, 0.75, 12.345, 0.3, 0.51234, -0.2),
    ]
    accuracy = Accuracy("samples", "none", metrics, 345.6, images, ["b"], bands)
    times = Timing([46_000_000, 47_000_000, 60_000_000], summarize([46_000_000] * 3))
    record = ModelRecord(
        file="ghostdepth-s-with-a-very-long-name-indeed-int8.tflite",
        bytes=1_234_567,
        sha256="0" * 64,
        contract=contract,
        runtime=RuntimeRecord("tflite_runtime", "2.5.0.post1", xnnpack=False),
        input="1x480x640x3 uint8",
        output="1x480x640x1 float32",
        load_ms=12.3,
        first_ms=80.0,
        preprocess=times,
        invoke=times,
        postprocess=times,
        peak_rss_bytes=80_000_000,
        before=Health(1500, 48.2, 0),
        after=Health(1500, 61.0, 0x40000),
        accuracy=accuracy,
        warnings=list(ADVICE),
        threads=4,
        total=times,
    )
    compared = Comparison("the first", 0.5, 0.45, 0.55, 20)
    return Results(context, [record, dataclasses.replace(record, comparison=compared)])
