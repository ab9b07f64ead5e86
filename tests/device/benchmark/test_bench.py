from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.accuracy.sharpness import metrics_with_sharpness
from bench_depth.benchmark import bench as bench_module
from bench_depth.benchmark.bench import bench
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.options import BenchOptions
from bench_depth.core.dataset import list_pairs, read_depth, read_rgb
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.core.metrics import depth_metrics, mean_metrics, score
from bench_depth.machine.guard import HANG
from bench_depth.model.runtimes import tflite
from bench_depth.model.signature import Signature
from bench_depth.results.records import Results
from bench_depth.timing import session
from bench_depth.timing.measure import TimingPlan
from bench_depth.timing.session import sample_photo

from tests.device.conftest import tiny_depth

QUICK = TimingPlan(warmup=1, min_runs=3, min_time=0)


def quiet(_: str) -> None:
    pass


def test_the_bundled_sample_is_a_small_camera_picture() -> None:
    photo = sample_photo()
    assert photo.shape == (480, 640, 3)
    path = Path(bench_module.__file__).parents[1] / "timing" / "sample.jpg"
    assert path.stat().st_size < 80_000


def test_one_record_per_model_in_their_order(
    make_tflite, onnx_with_contract: Path, contract, tmp_path: Path
) -> None:
    tflite = make_tflite(tmp_path / "tiny.tflite", contract)
    measured = bench(
        [onnx_with_contract, tflite], BenchOptions(plan=QUICK, threads=[1]), Hooks(quiet)
    )
    assert [record.file for record in measured.models] == ["tiny.onnx", "tiny.tflite"]
    for record in measured.models:
        assert record.contract is not None
        assert "no-contract" not in record.warnings
        assert len(record.invoke.times_ns) == record.invoke.statistics.runs == 3
        assert record.accuracy is None
        assert record.peak_rss_bytes > 10_000_000


def test_a_model_without_a_contract_is_measured_with_a_warning(tiny_tflite: Path) -> None:
    measured = bench([tiny_tflite], BenchOptions(plan=QUICK), Hooks(quiet))
    assert "no-contract" in measured.models[0].warnings


def test_depth_that_is_damaged_after_the_first_run_is_warned_of(
    tiny_tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, right = [], session.to_depth

    def to_depth(output: np.ndarray, signature: Signature) -> np.ndarray:
        seen.append(right(output, signature))
        return seen[-1] if len(seen) == 1 else np.full_like(seen[-1], np.nan)

    monkeypatch.setattr(session, "to_depth", to_depth)
    measured = bench([tiny_tflite], BenchOptions(plan=QUICK), Hooks(quiet))
    assert "output-nan" in measured.models[0].warnings


def test_accuracy_agrees_with_the_metrics_of_a_numpy_prediction(
    tiny_tflite: Path, dataset: Path
) -> None:
    rows = []
    for pair in list_pairs(dataset):
        photo = cv2.resize(read_rgb(pair.rgb), (64, 48), interpolation=cv2.INTER_LINEAR)
        depth = cv2.resize(tiny_depth(photo[np.newaxis]), (128, 96))
        rows.append(depth_metrics(depth * 1000.0, read_depth(pair.depth), "median"))
    options = BenchOptions(data=dataset, plan=QUICK, align="median")
    record = bench([tiny_tflite], options, Hooks(quiet)).models[0]
    assert record.accuracy is not None
    assert record.accuracy.align == "median"
    assert [image.name for image in record.accuracy.images] == ["a", "b", "c", "d"]
    mean = mean_metrics(rows)
    for name, value in mean.to_dict().items():
        assert getattr(record.accuracy.mean, name) == pytest.approx(value, rel=1e-4), name
    median_ms = record.invoke.statistics.median
    assert record.accuracy.score == pytest.approx(score(mean.si_rmse, median_ms), rel=1e-3)


def test_an_image_without_a_valid_pixel_is_reported_and_left_out(
    tiny_tflite: Path, dataset: Path
) -> None:
    cv2.imwrite(str(dataset / "depth" / "b.png"), np.zeros((96, 128), np.uint16))
    accuracy = (
        bench([tiny_tflite], BenchOptions(data=dataset, plan=QUICK), Hooks(quiet))
        .models[0]
        .accuracy
    )
    assert accuracy is not None
    assert accuracy.left_out == ["b"]
    assert [image.name for image in accuracy.images] == ["a", "c", "d"]


def test_a_dataset_without_any_valid_pixel_is_refused(tiny_tflite: Path, dataset: Path) -> None:
    for path in (dataset / "depth").iterdir():
        cv2.imwrite(str(path), np.zeros((96, 128), np.uint16))
    with pytest.raises(UserError, match="no depth map in"):
        bench([tiny_tflite], BenchOptions(data=dataset, plan=QUICK), Hooks(quiet))


def test_on_image_gets_each_image_with_the_index_of_its_model(
    tiny_tflite: Path, onnx_with_contract: Path, dataset: Path
) -> None:
    seen: list[tuple[int, EvaluatedImage]] = []
    hooks = Hooks(quiet, on_image=lambda place, image: seen.append((place, image)))
    options = BenchOptions(data=dataset, data_limit=2, plan=QUICK, align="median")
    found = bench([tiny_tflite, onnx_with_contract], options, hooks)
    assert [(place, image.name) for place, image in seen] == [(p, n) for p in (0, 1) for n in "bd"]
    for place, image in seen:
        accuracy = found.models[place].accuracy
        assert accuracy is not None
        assert image.metrics in [entry.metrics for entry in accuracy.images]
        wanted = metrics_with_sharpness(image.depth_mm, image.ground_truth_mm, image.align)
        assert wanted == image.metrics
        np.testing.assert_array_equal(image.photo, read_rgb(dataset / "rgb" / f"{image.name}.png"))


def test_predictions_are_saved_as_the_datasets_depth_is(
    tiny_tflite: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions"
    options = BenchOptions(data=dataset, plan=QUICK, save_predictions=out)
    bench([tiny_tflite], options, Hooks(quiet))
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]
    photo = cv2.resize(read_rgb(dataset / "rgb" / "a.png"), (64, 48))
    expected = 1000 * cv2.resize(tiny_depth(photo[np.newaxis]), (128, 96))
    np.testing.assert_allclose(read_depth(out / "a.png"), expected, atol=1)


def test_predictions_of_several_models_are_kept_apart(
    tiny_tflite: Path, onnx_with_contract: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions"
    options = BenchOptions(data=dataset, plan=QUICK, save_predictions=out)
    bench([tiny_tflite, onnx_with_contract], options, Hooks(quiet))
    for name in ("tiny.tflite", "tiny.onnx"):
        assert len(list((out / name).glob("*.png"))) == 4


def test_nan_depth_is_refused(make_onnx, dataset: Path, tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "nan.onnx", factor=float("nan"))
    with pytest.raises(UserError, match=r"NaN or infinity for the photo a of .*data") as caught:
        bench([path], BenchOptions(data=dataset, plan=QUICK), Hooks(quiet))
    assert caught.value.exit_code == MODEL_FAILED


def test_what_was_measured_before_an_error_is_kept(
    tiny_tflite: Path, make_onnx, tmp_path: Path
) -> None:
    other = make_onnx(tmp_path / "four.onnx", shape=(1, 4, 48, 64))
    kept: list[Results] = []
    with pytest.raises(UserError, match="takes 1x4x48x64"):
        bench([tiny_tflite, other], BenchOptions(plan=QUICK), Hooks(quiet, kept.append))
    assert [record.file for record in kept[-1].models] == ["tiny.tflite"]


def test_all_files_are_checked_before_the_first_is_measured(
    tiny_tflite: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    with pytest.raises(UserError, match=r"missing\.tflite"):
        bench(
            [tiny_tflite, tmp_path / "missing.tflite"],
            BenchOptions(plan=QUICK),
            Hooks(lines.append),
        )
    assert lines == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": [0]}, "--threads 0"),
        ({"plan": TimingPlan(-1, 1, 0)}, "--warmup -1"),
        ({"plan": TimingPlan(0, 0, 0)}, "--min-runs 0"),
        ({"plan": TimingPlan(0, 1, float("nan"))}, "min-time nan"),
        ({"plan": TimingPlan(0, 1, float("inf"))}, "min-time inf"),
        ({"align": "mean"}, "unknown alignment 'mean'"),
        ({"save_predictions": Path("x")}, "give --data"),
        ({"data_split": "val"}, "need --data"),
        ({"data_format": "kitti"}, "need --data"),
        ({"data": Path("x"), "data_limit": 0}, "--data-limit 0"),
        ({"data": Path("x"), "data_format": "sun"}, "unknown data format 'sun'"),
    ],
)
def test_wrong_options_are_usage_errors(tiny_tflite: Path, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        bench([tiny_tflite], BenchOptions(**options), Hooks(quiet))
    assert caught.value.exit_code == BAD_INPUT


def test_models_of_the_same_name_cannot_save_predictions(
    tiny_tflite: Path, dataset: Path, tmp_path: Path
) -> None:
    options = BenchOptions(data=dataset, plan=QUICK, save_predictions=tmp_path / "out")
    with pytest.raises(UserError, match="same file name"):
        bench([tiny_tflite, tiny_tflite], options, Hooks(quiet))


@pytest.mark.parametrize("count", [1, 3])
def test_every_run_has_a_time_limit_of_its_own(
    make_tflite, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    events: list[str | float | None] = []
    invoke = tflite._TfliteModel.invoke

    def run(model: tflite._TfliteModel) -> None:
        events.append("run")
        invoke(model)

    monkeypatch.setattr(tflite._TfliteModel, "invoke", run)
    models = [make_tflite(tmp_path / f"{index}.tflite") for index in range(count)]
    options = BenchOptions(data=dataset, plan=QUICK, align="median", sustain_minutes=1e-4)
    bench(models, options, Hooks(quiet, on_task=lambda task, limit: events.append(limit)))
    before = [events[place - 1] for place, event in enumerate(events) if event == "run"]
    assert len(before) > 10 * count
    assert set(before) == {HANG}
    # What follows the last run has no limit.
    assert events[-1] is None
