"""The photos and depth maps that the demo's page shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.results.records import Results, load
from ghostdepth_export.pages.scenes import read_scenes

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def results() -> Results:
    """The last file's first image is called 3, as in the dataset."""
    results = load(REPOSITORY / "benchmarks/results/demo.json")
    record = results.models[-1]
    assert record.accuracy is not None
    images = list(record.accuracy.images)
    images[0] = dataclasses.replace(images[0], name="3")
    accuracy = dataclasses.replace(record.accuracy, images=images)
    last = dataclasses.replace(record, accuracy=accuracy)
    return dataclasses.replace(results, models=[*results.models[:-1], last])


def test_scenes_have_the_predictions_and_each_images_own_error(
    results: Results, dataset: Path, tmp_path: Path
) -> None:
    record = results.models[-1]
    folder = tmp_path / record.file
    folder.mkdir()
    for name in ("3", "2"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((96, 128), 1234, np.uint16))
    own, other = read_scenes(dataset, ["3", "2"], [folder], results)
    assert [picture.caption for picture in own.pictures] == [
        "photo",
        "ground truth",
        "int8.onnx",
        "error",
    ]
    assert record.accuracy is not None
    assert own.pictures[2].figure == f"si-RMSE {record.accuracy.images[0].metrics.si_rmse:.3f}"
    assert other.pictures[2].figure == "no ground truth"


def test_a_missing_photo_or_prediction_is_named(
    results: Results, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no photo called nowhere"):
        read_scenes(dataset, ["nowhere"], [], results)
    folder = tmp_path / results.models[0].file
    with pytest.raises(UserError, match=r"cannot read .*fp32\.tflite/0\.png"):
        read_scenes(dataset, ["0"], [folder], results)
