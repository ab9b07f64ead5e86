from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from bench_depth.core.metrics import depth_metrics
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.source import ExportSource, evenly
from ghostdepth_export.convert.verify import (
    Parity,
    Reference,
    check_limits,
    compare,
    make_reference,
    verify,
)

EXACT = Parity(0.0, 0.0, 0.0, 0.0, None, 0.2, 0.2, 0.0)


@pytest.fixture
def reference() -> Reference:
    rng = np.random.default_rng(0)
    depths = [rng.uniform(1, 4, (60, 80)).astype(np.float32) for _ in range(2)]
    ground_truths_mm = [
        (d * 1000 * rng.uniform(0.8, 1.2, d.shape)).astype(np.uint16) for d in depths
    ]
    return Reference([], depths, ground_truths_mm)


def test_the_same_depth_has_no_error(reference: Reference) -> None:
    parity = compare(reference.depths, reference)
    assert parity.max_abs_error == parity.max_relative_error == parity.si_rmse_change == 0
    assert parity.p999_relative_error == parity.mean_relative_error == 0
    assert parity.sqnr_db is None


def test_the_figures_are_what_their_formulas_say(reference: Reference) -> None:
    rng = np.random.default_rng(1)
    depths = [d + rng.normal(0, 0.05, d.shape).astype(np.float32) for d in reference.depths]
    parity = compare(depths, reference)
    ours, theirs = np.concatenate(depths), np.concatenate(reference.depths)
    relative = np.sort((np.abs(ours - theirs) / theirs).ravel())
    assert parity.max_abs_error == pytest.approx(np.abs(ours - theirs).max())
    assert parity.max_relative_error == pytest.approx(relative[-1])
    assert relative[-11] <= parity.p999_relative_error <= relative[-10]
    assert parity.mean_relative_error == pytest.approx(relative.mean(), rel=1e-4)
    power = [float(np.sum(x.astype(np.float64) ** 2)) for x in (theirs, ours - theirs)]
    assert parity.sqnr_db == pytest.approx(10 * math.log10(power[0] / power[1]), rel=1e-4)
    rows = [
        [
            depth_metrics(d * 1000.0, ground_truth_mm)
            for d, ground_truth_mm in zip(maps, reference.ground_truths_mm, strict=True)
        ]
        for maps in (depths, reference.depths)
    ]
    file, torch = (np.mean([row.si_rmse for row in r if row]) for r in rows)
    assert parity.si_rmse == pytest.approx(file, rel=1e-5)
    assert parity.si_rmse_torch == pytest.approx(torch, rel=1e-5)
    assert parity.si_rmse_change == pytest.approx(abs(file / torch - 1), rel=1e-3)


def test_the_depth_is_resized_to_the_ground_truth(reference: Reference) -> None:
    larger = [np.full((120, 160), 2000, np.uint16) for _ in reference.ground_truths_mm]
    parity = compare(reference.depths, dataclasses.replace(reference, ground_truths_mm=larger))
    assert parity.si_rmse > 0


@pytest.mark.parametrize("name", FORMATS)
def test_one_pixel_that_is_far_off_does_not_fail_a_file(name: str, reference: Reference) -> None:
    depths = [depth.copy() for depth in reference.depths]
    depths[0][30, 40] *= 1.002
    parity = compare(depths, reference)
    assert parity.max_relative_error == pytest.approx(2e-3, rel=1e-3)
    check_limits(f"m-{name}", FORMATS[name], parity)


@pytest.mark.parametrize(
    ("name", "figure", "most"),
    [(name, each.figure, each.most) for name, kind in FORMATS.items() for each in kind.limits],
)
def test_a_limit_names_file_figure_and_value(name: str, figure: str, most: float) -> None:
    kind = FORMATS[name]
    check_limits(f"m-{name}", kind, dataclasses.replace(EXACT, **{figure: most}))
    with pytest.raises(UserError) as caught:
        check_limits(f"m-{name}", kind, dataclasses.replace(EXACT, **{figure: most * 1.5}))
    assert caught.value.exit_code == 1
    assert f"m-{name}" in str(caught.value)
    assert f"{figure} is {most * 1.5:.3g}, at most {most:g}" in str(caught.value)


@pytest.mark.parametrize("figure", ["p999_relative_error", "mean_relative_error"])
def test_a_figure_that_is_nan_fails(figure: str) -> None:
    broken = dataclasses.replace(EXACT, **{figure: math.nan})
    with pytest.raises(UserError, match=f"{figure} is nan"):
        check_limits("m.tflite", FORMATS["fp32.tflite"], broken)


def test_images_are_taken_evenly() -> None:
    assert evenly(range(100), 4) == [0, 25, 50, 75]
    assert evenly(range(3), 8) == [0, 1, 2]


def test_a_dataset_without_known_depth_is_refused(source: ExportSource, tmp_path: Path) -> None:
    import cv2

    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    cv2.imwrite(str(tmp_path / "rgb" / "a.png"), np.zeros((96, 128, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "depth" / "a.png"), np.zeros((96, 128), np.uint16))
    with pytest.raises(UserError, match="valid pixel"):
        make_reference(source, list_pairs(tmp_path))


def test_a_file_is_run_on_the_pictures_that_torch_saw(
    source: ExportSource, dataset: Path, exported: Path
) -> None:
    pairs = list_pairs(dataset)
    reference = make_reference(source, pairs)
    assert len(reference.depths) == len(reference.ground_truths_mm) == len(pairs)
    parity = verify(exported / "toy-fp32.tflite", FORMATS["fp32.tflite"], reference)
    assert parity.max_relative_error < 1e-3
    assert parity.si_rmse == pytest.approx(parity.si_rmse_torch, rel=1e-4)
    assert parity.si_rmse > 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_one_pixel_that_is_not_finite_is_refused(
    wrong: float, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths = [depth.copy() for depth in reference.depths]
    depths[1][30, 40] = wrong
    given = iter(depths)
    name = "ghostdepth_export.convert.verify.open_model"
    monkeypatch.setattr(name, lambda path: lambda image: next(given))
    two = dataclasses.replace(reference, images=[np.zeros((1, 60, 80, 3), np.uint8)] * 2)
    with pytest.raises(UserError, match="gives NaN or infinity") as caught:
        verify(Path("m.tflite"), FORMATS["int8.tflite"], two)
    assert caught.value.exit_code == THRESHOLD_FAILED


def test_a_network_that_gives_nan_is_refused_by_the_name_of_the_picture(
    source: ExportSource, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(self: ExportSource, *inputs: object) -> np.ndarray:
        depth = np.ones((48, 64), np.float32)
        depth[5, 5] = math.nan
        return depth

    monkeypatch.setattr(ExportSource, "predict", predict)
    with pytest.raises(UserError, match=r"0\.png; train it again"):
        make_reference(source, list_pairs(dataset))
