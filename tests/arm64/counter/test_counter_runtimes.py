"""Counting with LiteRT and its XNNPACK, and with ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.counter import ModelCounts, count
from ghostdepth_export.pi4.counter.graph import onnx_probe

from tests.arm64.conftest import need


@pytest.fixture(scope="module", name="root")
def _root(trixie_root: Path) -> Path:
    need("gcc", "gcc")
    need("setarch", "util-linux")
    return trixie_root


def counted_twice(model: Path, root: Path, runtime: str) -> ModelCounts:
    """The counts of a model that repeat, and whose ops are the whole."""
    first, second = (count(model, root, runtime) for _ in range(2))
    figures = np.array([counts.total.values() for counts in (first, second)], dtype=float)
    # Instructions, loads, stores, cycles; then misses.
    assert (np.abs(figures[1] / figures[0] - 1)[:4] < 1e-3).all(), figures
    assert (np.abs(figures[1] / figures[0] - 1)[4:] < 2e-2).all(), figures
    assert first.library == runtime
    assert 0 <= first.outside.instructions < 0.005 * first.total.instructions
    return first


def test_litert_is_counted_by_the_operators_of_xnnpack(root: Path, exported: Path) -> None:
    counts = counted_twice(exported / "ghostdepth-nano-int8.tflite", root, "litert")
    names = Counter(op.name for op in counts.ops)
    assert counts.runtime.startswith("2.")
    # LiteRT keeps the one op that XNNPACK does not take.
    assert names["QUANTIZE"] == 1
    assert names["Convolution (NHWC, QC8) DWConv"] > 10
    assert all(op.counts.instructions > 0 for op in counts.ops)


def test_onnx_runtime_is_counted_by_the_nodes_of_its_graph(root: Path, exported: Path) -> None:
    counts = counted_twice(exported / "ghostdepth-s-fp32.onnx", root, "onnxruntime")
    names = Counter(op.name for op in counts.ops)
    assert names["FusedConv"] > 10
    assert counts.ops[-1].shape == "1x480x640x1"
    resized = max(op.counts.instructions for op in counts.ops if op.name == "Resize")
    assert resized > 480 * 640


def test_what_onnx_runtime_refuses_is_told_in_one_line(root: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load_from_string(onnx_probe())
    model.opset_import[0].version = 999
    path = tmp_path / "new.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"cannot count .*new\.onnx: ONNX Runtime .* opset") as told:
        count(path, root, "onnxruntime")
    assert "\n" not in str(told.value)
