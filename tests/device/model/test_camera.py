"""The metres of a network for a camera that it was not trained with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth import DepthModel, UserError
from bench_depth.benchmark.bench import bench
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions
from bench_depth.depth.cloud import focal_length
from bench_depth.model.camera import depth_factor
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import camera_description, from_values
from bench_depth.timing.measure import TimingPlan

from tests.device.conftest import HEIGHT, WIDTH, TfliteMaker, main, tiny_depth


@pytest.mark.same_everywhere
@pytest.mark.parametrize("hfov", [40.0, 62.2, 110.0])
def test_an_object_of_the_same_size_in_the_picture_is_at_the_scaled_distance(hfov: float) -> None:
    # A pinhole of focal length f draws a width X at distance Z with f X / Z pixels.
    width, pixels = 0.7, 55.0
    assumed, other = focal_length(640, 63.3), focal_length(640, hfov)
    seen = assumed * width / pixels
    assert seen * depth_factor(63.3, hfov) == pytest.approx(other * width / pixels)


@pytest.fixture
def wide(make_tflite: TfliteMaker, contract: ModelContract, tmp_path: Path) -> Path:
    """A model whose metres hold for a camera of 90 degrees."""
    return make_tflite(tmp_path / "wide.tflite", dataclasses.replace(contract, hfov=90.0))


def test_depth_range_and_points_are_those_of_the_camera(wide: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    model = DepthModel(wide, hfov=60)
    # tan(45 degrees) = 1 and tan(30 degrees) = 1 / sqrt(3).
    factor = np.sqrt(3)
    np.testing.assert_allclose(model(photo), tiny_depth(photo[np.newaxis]) * factor, rtol=1e-5)
    assert model.range == pytest.approx((0.5 * factor, 3.05 * factor))
    assert (model.hfov, DepthModel(wide).hfov) == (60, 90)
    np.testing.assert_allclose(DepthModel(wide)(photo) * factor, model(photo), rtol=1e-6)


def test_depth_of_photos_is_written_for_the_camera(wide: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((HEIGHT, WIDTH, 3), 100, np.uint8))
    common = ["depth", str(tmp_path / "photo.png"), "--model", str(wide), "--format", "npy"]
    assert main([*common, "--hfov", "60", "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "out/photo.npy"), 1.5 * np.sqrt(3), rtol=1e-5)


def test_accuracy_is_that_of_the_camera(wide: Path, tmp_path: Path) -> None:
    for folder in ("rgb", "depth"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "data/rgb/a.png"), np.full((HEIGHT, WIDTH, 3), 100, np.uint8))
    true = np.full((HEIGHT, WIDTH), 1500 * np.sqrt(3), np.uint16)
    cv2.imwrite(str(tmp_path / "data/depth/a.png"), true)
    errors = []
    for hfov in (None, 60.0):
        options = BenchOptions(
            data=tmp_path / "data",
            plan=TimingPlan(warmup=0, min_runs=1, min_time=0),
            description=camera_description(hfov),
        )
        (record,) = bench([wide], options, Hooks(lambda line: None)).models
        assert record.accuracy is not None
        errors.append(record.accuracy.mean.rmse)
    assert errors[0] == pytest.approx(1.5 * np.sqrt(3) - 1.5, abs=1e-3)
    assert errors[1] == pytest.approx(0, abs=1e-3)


def test_a_model_that_does_not_know_its_camera_is_not_measured_for_another(
    tiny_tflite: Path,
) -> None:
    with pytest.raises(UserError, match="does not say for which camera its metres hold"):
        bench([tiny_tflite], BenchOptions(description=camera_description(60.0)), Hooks(print))
    lines: list[str] = []
    model = DepthModel(tiny_tflite, hfov=60, log=lines.append)
    photo = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    np.testing.assert_array_equal(model(photo), DepthModel(tiny_tflite)(photo))
    assert model.hfov == 60
    (line,) = (line for line in lines if "point clouds alone" in line)
    assert line.startswith("warning: ")


@pytest.mark.same_everywhere
@pytest.mark.parametrize("hfov", [0, 180, -5, float("nan")])
def test_an_impossible_camera_is_refused(hfov: float) -> None:
    with pytest.raises(ValueError, match="field of view"):
        from_values({"hfov": hfov}, "the test says")


@pytest.mark.same_everywhere
def test_a_contract_without_a_camera_is_written_as_before(contract: ModelContract) -> None:
    assert "hfov" not in json.loads(contract.to_json())
    known = dataclasses.replace(contract, hfov=63.3)
    assert ModelContract.from_json(known.to_json()) == known


@pytest.mark.same_everywhere
@pytest.mark.parametrize("hfov", [0.0, -5.0, 180.0, float("nan")])
def test_a_contract_with_an_impossible_camera_is_refused(
    contract: ModelContract, hfov: float
) -> None:
    with pytest.raises(ValueError, match="its horizontal field of view is"):
        ModelContract.from_json(dataclasses.replace(contract, hfov=hfov).to_json())
