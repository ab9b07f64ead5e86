"""A network with every kind of attention as files, verified as each export is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.quantization import Trunk, write_ranges
from ghostdepth_train.quantization.observers import choose_range, collect_histograms

from tests.export.conftest import op_names
from tests.train.models.attention_network import attention_network, images

FORMATS = ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")


def files(
    folder: Path, dataset: Path, formats: tuple[str, ...] = FORMATS, **more: Any
) -> dict[str, Path]:
    """Exports and verifies; the default is to refuse what TFLite 2.5 lacks."""
    network = attention_network()
    save_checkpoint(folder / "toy", network, name="toy", training_data="", metrics={}, **more)
    found = export(
        folder / "toy", folder / "out", camera=(64, 96), formats=formats, calibration=dataset
    )
    return dict(zip(formats, found, strict=True))


def ops(path: Path) -> Counter[str]:
    return Counter(op_names(path.read_bytes()))


def test_all_files_pass_with_calibrated_ranges(dataset: Path, tmp_path: Path) -> None:
    found = files(tmp_path, dataset)
    for name in ("fp32.tflite", "int8.tflite"):
        count = ops(found[name])
        # Two products for each of three blocks; one softmax; one gate for each of two modules.
        assert (count["BATCH_MATMUL"], count["SOFTMAX"], count["LOGISTIC"]) == (6, 1, 2)
    assert ops(found["int8.tflite"])["QUANTIZE"] <= 2  # The picture, and no detour to float.


def test_int8_files_pass_with_learned_ranges(dataset: Path, tmp_path: Path) -> None:
    trunk = Trunk.of(attention_network())
    seen = collect_histograms(trunk, images(4).split(1))
    ranges = write_ranges({name: choose_range(h, "minmax", 100) for name, h in seen.items()})
    found = files(tmp_path, dataset, ("int8.tflite", "int8.onnx"), ranges=ranges)
    assert ops(found["int8.tflite"])["BATCH_MATMUL"] == 6
