"""Files that are damaged at random, and sound ones that want more memory than there is."""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth import DepthModel
from bench_depth.model.contract import METADATA_NAME

from tests.device.conftest import OnnxMaker, TfliteMaker, converted
from tests.device.onnx_files import onnx_bytes

SOAK = Path(__file__).resolve().parents[3] / "benchmarks" / "fuzz" / "soak.py"
SIDE = 13_380  # SIDE x SIDE x 3 float32 are 2.1 GB.
LIMIT = 3 << 30


def test_damaged_files_are_measured_or_refused_in_one_line(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    classes = ("tflite-bytes", "tflite-fields", "onnx-bytes", "onnx-fields", "contracts")
    command = [sys.executable, SOAK, "--only", *classes, "--tries", "25", "--jobs", "1"]
    command += ["--folder", tmp_path / "soak", "--results", counts]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = list(csv.DictReader(counts.read_text().splitlines()))
    assert sum(int(row["clean"]) for row in rows) == 25


def test_what_the_soak_changes_is_true_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(SOAK.parent))
    import inputs
    from corpus import small_onnx

    model = onnx.ModelProto.FromString(small_onnx())
    (tmp_path / "described.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "described.onnx.json").write_text(json.dumps(inputs.SIDECAR))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_NAME, json.dumps(inputs.CONTRACT)
    (tmp_path / "contract.onnx").write_bytes(model.SerializeToString())
    photo = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    for name in ("described.onnx", "contract.onnx"):
        assert np.isfinite(DepthModel(tmp_path / name)(photo)).all()


def refusal(path: Path) -> str:
    """The one line that the command ends in; it may have `LIMIT` bytes of address space."""
    done = subprocess.run(
        [sys.executable, "-m", "bench_depth", "--model", path, "--threads", "1"],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("bench-depth: ")]
    return line


def test_an_input_of_two_gigabytes_is_refused(
    make_tflite: TfliteMaker, make_onnx: OnnxMaker, tmp_path: Path
) -> None:
    shape = (1, SIDE, SIDE, 3)
    for path in (
        make_tflite(tmp_path / "m.tflite", shapes=(shape,)),
        make_onnx(tmp_path / "m.onnx", shape=shape),
    ):
        assert f"{path} has a tensor 1x{SIDE}x{SIDE}x3 float32, 2.15 GB" in refusal(path)


@pytest.mark.parametrize("write", ["tflite", "onnx"])
def test_a_tensor_inside_that_memory_cannot_hold_is_one_line(write: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{write}"
    path.write_bytes({"tflite": _tflite, "onnx": _onnx}[write]())
    assert str(path) in refusal(path)


def _tflite() -> bytes:
    import tensorflow as tf

    class Large(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
        def run(self, picture: Any) -> Any:
            large = tf.image.resize(picture, (2 * SIDE, 2 * SIDE))
            return tf.image.resize(tf.reduce_mean(large, -1, keepdims=True), (8, 8))

    return converted(Large())


def _onnx() -> bytes:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    nodes = [
        onnx.helper.make_node("Resize", ["rgb", "", "", "up"], ["large"], mode="nearest"),
        onnx.helper.make_node("Resize", ["large", "", "", "down"], ["small"], mode="nearest"),
        onnx.helper.make_node("ReduceMean", ["small", "axes"], ["depth"]),
    ]
    constants = {"up": [1, 3, 2 * SIDE, 2 * SIDE], "down": [1, 3, 8, 8], "axes": [1]}
    return onnx_bytes(nodes, {"rgb": [1, 3, 8, 8]}, {"depth": [1, 1, 8, 8]}, constants)
